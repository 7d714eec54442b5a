"""How the hub looks: rows of repositories, of what one offers, and of downloads. Pure."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from textual.content import Content

from offtui.text import clean_line
from offtui.ui.key_line import key_line
from offtui.units import GIB, UNKNOWN, count_text, left_text, params_text, size_text

if TYPE_CHECKING:
    from offtui.hub.names import Offer
    from offtui.hub.wire import Found, Looking, Repo, Sort
    from offtui.models.downloads import Job
    from offtui.models.recommended import Recommendation
    from offtui.models.remote import Planned

SHORT = 4 * GIB
"""Bytes left on the disk below which it is said."""
BAR = 12
"""Cells of a download's bar; half of them where there are fewer columns than ``WIDE``."""
WIDE = 100
NAME = 12
"""Cells of a repository's name that are always shown."""


def repo_lines(repo: "Repo", width: int) -> list[Content]:
    """Name, then what it is and how many took it."""
    marks = " gated" if repo.gated else " private" if repo.private else ""
    name = Content(clean_line(repo.name)).truncate(max(width - len(marks), 8), ellipsis=True)
    about = " ".join(
        part for part in (params_text(repo.n_params), repo.arch, repo.license) if part not in ("", UNKNOWN)
    )
    figures = f"↓ {count_text(repo.downloads)}  ♥ {count_text(repo.likes)}  {repo.updated}"
    suits = " ".join(clean_line(name, 40) for name in repo.suits)
    second = Content.assemble((f"{suits}   " if suits else "", "$success"), (f"{figures}   {about}", "$quiet"))
    second = second.truncate(width - 2, ellipsis=True)
    return [Content.assemble(name, (marks, "$warning")), Content.assemble("  ", second)]


def found_text(found: "Found", sort: "Sort") -> str:
    """How many repositories a search brought."""
    count = len(found.repos)
    told = f"{count} {'repository' if count == 1 else 'repositories'} by {sort}" if count else "nothing was found"
    return f"{told}; {found.looked_at} were looked at, more words narrow it" if found.looked_at else told


def looking_text(looking: "Looking") -> str:
    """How far a search is."""
    if not looking.looked_at:
        return f"asking {clean_line(looking.host, 100)}…"
    repos = "1 repository" if looking.looked_at == 1 else f"{looking.looked_at} repositories"
    files = f", into {looking.opened} of them for their files" if looking.opened else ""
    return f"looked at {repos}{files} · {looking.found} found so far…"


def recommended_lines(model: "Recommendation", width: int) -> list[Content]:
    """Name, then its size and what it is good for."""
    second = Content.styled(f"{model.size:.1f} GiB · {model.about}", "$quiet")
    name = Content(model.repo).truncate(width, ellipsis=True)
    return [name, Content.assemble("  ", second.truncate(width - 2, ellipsis=True))]


def offer_lines(
    offer: "Offer", planned: "Planned | None", width: int, *, job: "Job | None", is_best: bool, is_here: bool
) -> list[Content]:
    """Quant and size at the left, what fits at the right; a mark for the best one and for what is here."""
    mark = ("✓", "$success") if is_here else ("★", "$accent") if is_best else (" ", "")
    label = offer.quant if offer.kind == "model" and offer.quant else clean_line(offer.name.rpartition("/")[2])
    parts = f" ×{len(offer.files)}" if len(offer.files) > 1 else ""
    left = Content(f"{label}{parts}").truncate(17, ellipsis=True)
    size = f"{size_text(offer.bytes):>9}"
    room = max(width - 33, 6)
    right = _doing(job) if job is not None and job.state != "done" else _plan(offer, planned)
    if is_here:
        right = Content.assemble(("here · ", "$success"), right)
    gap = " " * max(18 - left.cell_length, 1)
    return [Content.assemble(mark, " ", left, gap, (size, "$quiet"), "   ", right.truncate(room, ellipsis=True))]


def _plan(offer: "Offer", planned: "Planned | None") -> Content:
    if offer.kind != "model":
        return Content.styled(
            {"mmproj": "projector for images", "lora": "LoRA adapter"}.get(offer.kind, offer.kind), "$quiet"
        )
    if offer.missing:
        return Content.styled(f"lacks {offer.missing} {'part' if offer.missing == 1 else 'parts'}", "$error")
    if planned is None:
        return Content.styled("…", "$quiet")
    if planned.failure is not None:
        return Content.styled(planned.failure.message, "$quiet")
    fitting = planned.fitting
    if fitting is None:
        return Content.styled("no language model", "$quiet")
    style = "$success" if fitting.is_good else "$warning" if fitting.fits else "$error"
    return Content.styled(fitting.line, style)


def _doing(job: "Job") -> Content:
    percent = int(100 * job.done / job.total) if job.total else 0
    words = {"queued": "waits for its turn", "waiting": "waits for the network", "paused": "paused", "failed": "failed"}
    style = {"failed": "$error", "paused": "$warning", "waiting": "$warning"}.get(job.state, "$primary")
    return Content.styled(f"{percent} % {words.get(job.state, '')}".rstrip(), style)


def job_lines(job: "Job", width: int) -> list[Content]:
    """Bar, amount, speed and time left; or what it waits for. Where there is little room the amount goes first."""
    share = job.done / job.total if job.total else 1.0
    cells = BAR if width >= WIDE else BAR // 2
    full = round(share * cells)
    bar = Content.assemble(("█" * full, "$primary"), ("·" * (cells - full), "$quiet"))
    whole = size_text(job.total)
    amount = f"{whole if job.state == 'done' else f'{size_text(job.done)} of {whole}'}  "
    tail, style = _tail(job)
    told = Content(tail).cell_length
    name = clean_line(job.repo.rpartition("/")[2])
    quant = f" {clean_line(job.quant)}" if job.quant else ""
    need = min(Content(name).cell_length, NAME) + Content(quant).cell_length
    room = width - cells - 8
    if need + 1 + len(amount) + told > room:
        amount = ""
    space = max(room - len(amount) - told - 1, need)
    left = max(space - Content(quant).cell_length, 4)
    shown = Content.assemble(Content(name).truncate(left, ellipsis=True), quant)
    line = Content.assemble(
        bar,
        f" {int(share * 100):>3} %  ",
        shown,
        " " * (space - shown.cell_length + 1),
        (amount, "$quiet"),
        (tail, style),
    )
    return [line.truncate(width, ellipsis=True)]


def _tail(job: "Job") -> tuple[str, str]:
    """What a download does, with its style."""
    match job.state:
        case "running" if job.lacks:
            return f"the disk lacks {size_text(job.lacks)}", "$error"
        case "running" if job.step:
            again = f"again in {left_text(job.wait)} · " if job.wait > 3 else ""
            steps = {
                "waiting": "another program downloads it",
                "checking": "checking what is here",
                "retrying": f"{again}{job.why}",
            }
            return steps.get(job.step, job.step), "$warning"
        case "running":
            return (
                f"{size_text(int(job.speed))}/s · {left_text(job.left)} left" if job.speed else "starting"
            ), "$success"
        case "done":
            return "here and checked · Enter loads it", "$success"
        case "queued":
            return "waits for its turn", "$quiet"
        case "paused":
            return f"paused · {job.why or 'Enter goes on'}", "$warning"
        case "waiting":
            again = f"again at {time.strftime('%H:%M', time.localtime(job.again))}" if job.again else "again soon"
            return f"{again} · {job.why}", "$warning"
        case "failed":
            return job.why, "$error"


def jobs_title(jobs: "tuple[Job, ...]") -> tuple[str, bool]:
    """Of the downloads, with what is free where they go to; and whether that is, or gets, short."""
    waiting = [job for job in jobs if job.state != "done"]
    job = next((job for job in waiting if job.state == "running" and job.free is not None), None)
    job = job or next((job for job in waiting if job.free is not None), None)
    if job is None or job.free is None:
        return " Downloads ", False
    free = f" Downloads · {size_text(job.free)} free on the disk"
    left = job.free - sum(max(one.total - one.done, 0) for one in waiting if one.to == job.to)
    if job.lacks or left < 0:
        return f"{free}, {size_text(max(job.lacks, -left))} too little ", True
    return (f"{free}, {size_text(left)} when all are here ", True) if left < SHORT else (f"{free} ", False)


def jobs_by_offer(jobs: "tuple[Job, ...]", repo: str) -> "Mapping[str, Job]":
    """The downloads from a repository, by the offer's name."""
    return {job.name: job for job in jobs if job.repo == repo}


def head_lines(repo: "Repo", commit: str, refused: int) -> list[Content]:
    """What a repository is."""
    about = [
        params_text(repo.n_params),
        repo.arch,
        f"context {count_text(repo.n_ctx_train)}" if repo.n_ctx_train else "",
    ]
    about += [
        repo.license,
        "gated: accept its terms on its page" if repo.gated else "",
        "private" if repo.private else "",
    ]
    facts = " · ".join(part for part in about if part and part != UNKNOWN)
    figures = f"↓ {count_text(repo.downloads)}  ♥ {count_text(repo.likes)}  {repo.updated}  {commit[:8]}"
    lines = [Content.styled(clean_line(repo.name), "bold"), Content.styled(f"{figures}   {facts}", "$quiet")]
    if refused:
        files = "1 file has a name" if refused == 1 else f"{refused} files have names"
        lines.append(Content.styled(f"left out: {files} that cannot be trusted", "$warning"))
    return lines


def keys_line(focus: str, is_opened: bool, sort: str, width: int, *, is_asking: bool = False) -> Content:
    """The keys that matter, by the id of the part that has the focus; ``""``: a list of repositories or offers.

    While something is being asked for, Escape ends that.
    """
    leave = ("Esc", "back")
    if focus == "hub-words":
        pairs = [("Enter", "search"), ("Tab", "list")]
    elif focus == "hub-jobs":
        pairs = [("Enter", "hold, go on, load"), ("x", "give up"), ("Tab", "search")]
    elif is_opened:
        pairs = [("Enter", "download, load"), ("t", "to folder"), ("r", "readme"), ("p", "hold"), ("x", "give up")]
        leave = ("Esc", "list")
    else:
        pairs = [("Enter", "open"), ("r", "readme"), ("s", f"sort: {sort}"), ("/", "search")]
    return key_line(pairs, width, leave=("Esc", "stop") if is_asking else leave)
