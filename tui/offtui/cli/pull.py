"""``offtui pull``: downloads a model from the hub."""

import argparse
import shutil
import signal
import sys
import unicodedata
from pathlib import Path
from types import FrameType

import msgspec

from offtui.cli.commands import Commands
from offtui.cli.exits import INTERRUPTED, complain
from offtui.cli.hub_exits import report
from offtui.engine import prober
from offtui.errors import UsageError
from offtui.hub.client import HubClient
from offtui.hub.names import Offer, chosen, offers, split_wish
from offtui.hub.wire import Answer, Failed, Fetch, Fetched, GetInfo, HubFailure, Info, Progress
from offtui.models.fitting import here_of
from offtui.models.meter import Meter
from offtui.models.remote import best, none_fits, plan_offer
from offtui.store.catalogue import Catalogue
from offtui.store.measurements import FileId, Store
from offtui.text import clean_line
from offtui.units import left_text, size_text

LIVES = 5
"""How often the process that downloads may die of something else before it is given up."""
SILENCE = 300.0
"""Seconds without a word from it."""
MANY = 64
"""Models of a repository above which none is chosen: each takes some hundred KiB to plan."""
NAMED = 12
"""Files that a sentence names."""
STEP_PERCENT = 5
"""Between two lines where nobody watches."""


def add_parser(commands: Commands) -> None:
    """Add ``pull`` to the ``offtui`` command."""
    parser = commands.add(
        "pull",
        run,
        help="download a model from the Hugging Face hub",
        description="Downloads a GGUF, all its parts or none, into Hugging Face's cache or a folder, and checks its "
        "SHA-256. What was interrupted goes on where it ended. Without a quant the one that suits this machine best "
        "is taken.",
    )
    parser.add_argument("wish", metavar="REPO[:QUANT|:FILE]", help="as in bartowski/Some-GGUF:Q4_K_M")
    parser.add_argument("--to", metavar="DIR", help="a folder (default: Hugging Face's cache)")
    parser.add_argument("--json", action="store_true", help="write one JSON object when it is done")


def run(arguments: argparse.Namespace) -> int:
    """Download it; the exit code."""
    repo, wanted = split_wish(arguments.wish)
    client = HubClient()
    try:
        answer = client.call(GetInfo(id=client.next_id(), repo=repo))
        if isinstance(answer, Failed):
            return report(answer.failure)
        assert isinstance(answer, Info)
        offer = _offer(client, answer, wanted)
        if isinstance(offer, HubFailure):
            return report(offer)
        if offer.missing:
            raise UsageError(f"{repo} lacks {_count(offer.missing, 'part')} of {offer.name}.")
        to = str(Path(arguments.to).expanduser().absolute()) if arguments.to else ""
        return _pull(client, answer, offer, to, as_json=arguments.json)
    finally:
        client.close()


def _offer(client: HubClient, info: Info, wanted: str) -> Offer | HubFailure:
    found = offers(info.files)
    if not found:
        return HubFailure("no_gguf", f"{info.repo.name} has no GGUF files.")
    models = [offer for offer in found if offer.kind == "model" and not offer.missing]
    if wanted:
        return chosen(found, wanted)
    if len(models) == 1:
        return models[0]
    if not models and len(found) == 1 and found[0].missing:
        return found[0]
    if not models:
        return _choose(info.repo.name, found, f"{info.repo.name} has no whole model, but {_count(len(found), 'file')}")
    if len(models) > MANY:
        return _choose(info.repo.name, models, f"{info.repo.name} has {len(models)} models")
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[KLooking which of {len(models)} files suits this machine…")
        sys.stderr.flush()
    reply = prober.devices()
    if reply.failure is not None:
        return HubFailure("internal", reply.failure.message, "Name a quant.")
    catalogue, store = Catalogue(), Store()
    try:
        here = here_of(reply.devices, store)
        plans = [plan_offer(client, info.repo.name, info.commit, offer, here, catalogue) for offer in models]
    finally:
        catalogue.close()
        store.close()
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
    choice = best(plans)
    if choice is None:
        failures = [plan.failure for plan in plans if plan.failure is not None]
        why = failures[0].message if len(failures) == len(plans) else none_fits(plans, here)
        return HubFailure("internal", why, f"Name one all the same: {_names(models)}.")
    plan, why = choice
    complain(f"{plan.offer.quant or plan.offer.name} is taken: {why}.")
    return plan.offer


def _choose(repo: str, found: list[Offer], what: str) -> HubFailure:
    how = f"Name one, as {repo}:QUANT or {repo}:FILE; it has {_names(found)}"
    listed = f"; all with: offtui search {repo.rpartition('/')[2]} --author {repo.partition('/')[0]} --json"
    return HubFailure("bad_name", f"{what}.", f"{how}{listed if len(found) > NAMED else '.'}")


def _names(found: list[Offer]) -> str:
    names = list(dict.fromkeys(clean_line(offer.quant or offer.name.rpartition("/")[2], 60) for offer in found))
    more = f" and {len(found) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _pull(client: HubClient, info: Info, offer: Offer, to: str, *, as_json: bool) -> int:
    bar = _Bar(offer)
    answer: Answer | None = None
    for life in range(1, LIVES + 1):
        fetch = Fetch(
            id=client.next_id(), repo=info.repo.name, commit=info.commit, files=offer.files, revision="main", to=to
        )

        def interrupted(_number: int, _frame: FrameType | None, id: int = fetch.id) -> None:
            client.stop(id)

        before = signal.signal(signal.SIGINT, interrupted)
        try:
            answer = client.call(fetch, bar.show, SILENCE)
        finally:
            signal.signal(signal.SIGINT, before)
        if not (isinstance(answer, Failed) and answer.failure.kind == "died" and life < LIVES):
            break
    bar.end(is_done=isinstance(answer, Fetched))
    if isinstance(answer, Failed):
        if answer.failure.kind == "stopped":
            complain("Interrupted; the same command goes on from here.")
            return INTERRUPTED
        return report(answer.failure)
    assert isinstance(answer, Fetched)
    _remember(answer)
    if as_json:
        hashes = list(answer.sha256)
        value = {
            "path": answer.paths[0],
            "bytes": answer.bytes,
            "sha256": hashes[0] if len(hashes) == 1 else hashes,
            "resumed_bytes": answer.resumed,
        }
        sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    else:
        sys.stdout.write(f"{clean_line(answer.paths[0])}\n")
    return 0


def _remember(fetched: Fetched) -> None:
    """The hashes were checked just now."""
    catalogue = Catalogue()
    for path, sha256 in zip(fetched.paths, fetched.sha256, strict=True):
        file = FileId.of(path)
        if file is not None and sha256:
            catalogue.keep_hash(file, sha256)
    catalogue.close()


class _Bar:
    """Progress on stderr: a bar where somebody watches, a line now and then where nobody does."""

    def __init__(self, offer: Offer) -> None:
        self._name = clean_line(offer.quant or offer.name.rpartition("/")[2], 40)
        self._bytes = offer.bytes
        self._meter = Meter()
        self._live = sys.stderr.isatty()
        self._percent = 0
        self._said: str = ""

    def show(self, progress: Progress) -> None:
        """How far it is."""
        if progress.step == "fetching":
            self._meter.note(progress.done)
        else:
            self._meter.restart()
        percent = int(100 * progress.done / progress.total) if progress.total else 100
        if self._live:
            columns = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\x1b[K{fitted(self._parts(progress, percent), columns)}")
            sys.stderr.flush()
            return
        said = progress.why or ("waiting" if progress.step == "waiting" else "lacks" if progress.lacks else "")
        if percent >= self._percent + STEP_PERCENT or (said and said != self._said):
            self._percent, self._said = percent, said
            self._line(progress, percent)

    def end(self, *, is_done: bool) -> None:
        """Leave the line; where nobody watches the last one says that all is here."""
        if self._live:
            sys.stderr.write("\r\x1b[K")
        elif is_done:
            sys.stderr.write(f"{self._name} 100 %  {size_text(self._bytes)}  here and checked\n")
        sys.stderr.flush()

    def _line(self, progress: Progress, percent: int) -> None:
        if percent < 100:  # the last one is written at the end, when the hash is known to be right
            sys.stderr.write("  ".join(self._parts(progress, percent)) + "\n")
            sys.stderr.flush()

    def _parts(self, progress: Progress, percent: int) -> list[str]:
        """What there is to say, what matters most first."""
        begin = f"{self._name} {percent:3} %"
        amount = f"{size_text(progress.done)} of {size_text(progress.total)}"
        free = [f"{size_text(progress.free)} free"] if progress.free is not None else []
        if progress.lacks:
            free = [f"the disk lacks {size_text(progress.lacks)}"]
            return [begin, *free, amount] if progress.step == "fetching" else [begin, *free]
        match progress.step:
            case "waiting":
                return [self._name, "another program downloads it; waiting"]
            case "checking":
                return [begin, amount, "checking what is here"]
            case "retrying":
                again = f"again in {left_text(progress.wait)} · " if progress.wait > 3 else ""
                return [begin, again + progress.why]
            case "fetching":
                speed = self._meter.speed
                if not speed:
                    return [begin, amount, *free]
                left = left_text(self._meter.left(progress.total - progress.done))
                return [begin, amount, f"{size_text(int(speed))}/s", f"{left} left", *free]


def fitted(parts: list[str], columns: int) -> str:
    """As many of them as there is room for, whole but for the first two."""
    text = "  ".join(parts[:2])
    for part in parts[2:]:
        if _cells(text) + 2 + _cells(part) > columns:
            break
        text += f"  {part}"
    if _cells(text) > columns:
        while text and _cells(text) >= columns:
            text = text[:-1]
        text += "…"
    return text


def _cells(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
