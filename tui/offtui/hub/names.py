"""Names from the hub: which can be trusted with a path, which files belong together, what a person means by a word."""

import re
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from offtui.errors import UsageError
from offtui.gguf.names import Kind, is_gguf, parse_kind, parse_quant, parse_split, stem
from offtui.hub.wire import RemoteFile
from offtui.text import clean_line

_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9._-]{1,96}")
MAX_NAME = 1024
"""Characters of a path in a repository."""


def check_repo(name: str) -> str:
    """The name, if it is ``owner/name`` as the hub allows it.

    Raises:
        UsageError: it is not; the sentence shows it cleaned and short.
    """
    bare = name.removeprefix("https://huggingface.co/").removeprefix("hf.co/").strip("/")
    good = _REPO.fullmatch(bare) and ".." not in bare and "--" not in bare and not bare.endswith((".git", ".ipynb"))
    if not good:
        raise UsageError(f"{clean_line(name, 80)!r} is not a repository of the hub; those are called OWNER/NAME.")
    return bare


def is_safe(name: str) -> bool:
    """Whether a path in a repository can be a path below a folder, and be shown as it is."""
    if not 0 < len(name) <= MAX_NAME or clean_line(name, MAX_NAME) != name or "\\" in name or name.startswith("/"):
        return False
    parts = name.split("/")
    return all(part not in ("", ".", "..") and len(part.encode()) <= 255 for part in parts)


class Offer(msgspec.Struct, frozen=True):
    """What can be downloaded as one thing: a file, or all parts of a split one."""

    name: str
    """Without part number and ``.gguf``."""
    quant: str
    kind: Kind
    files: tuple[RemoteFile, ...]
    missing: int = 0
    """Parts that the repository lacks."""

    @property
    def bytes(self) -> int:
        """Of all parts."""
        return sum(file.bytes for file in self.files)


def offers(files: Sequence[RemoteFile]) -> list[Offer]:
    """The GGUFs of a repository, parts joined, smallest first; models before what belongs to them."""
    groups: dict[tuple[str, int], list[RemoteFile]] = defaultdict(list)
    for file in files:
        folder, _, name = file.name.rpartition("/")
        if not is_gguf(name):
            continue
        split = parse_split(name)
        groups[(f"{folder}/{split.stem}", split.count) if split else (file.name, 0)].append(file)
    found: list[Offer] = []
    for (key, count), group in groups.items():
        group.sort(key=lambda file: file.name)
        bare = key if count else stem(key)
        folder, _, name = bare.rpartition("/")
        quant = parse_quant(name) or parse_quant(folder.rpartition("/")[2])
        found.append(Offer(bare.lstrip("/"), quant, parse_kind(name), tuple(group), max(count - len(group), 0)))
    return sorted(found, key=lambda offer: (offer.kind != "model", offer.bytes, offer.name))


def chosen(found: Sequence[Offer], wanted: str) -> Offer:
    """The offer that ``QUANT`` or ``FILE`` after a repository's name means.

    Raises:
        UsageError: none, or several; the sentence names them.
    """
    word = wanted.casefold()
    tiers = (
        [offer for offer in found if any(file.name == wanted for file in offer.files) or offer.name == wanted],
        [offer for offer in found if offer.kind == "model" and offer.quant.casefold() == word],
        [offer for offer in found if any(file.name.rpartition("/")[2].casefold() == word for file in offer.files)],
        [offer for offer in found if offer.kind == "model" and offer.quant.casefold() == f"ud-{word}"],
        [offer for offer in found if word in offer.name.casefold()],
    )
    near: list[Offer] = next((tier for tier in tiers if tier), list[Offer]())
    if len(near) == 1:
        return near[0]
    names = ", ".join(clean_line(offer.quant or offer.name, 60) for offer in (near or found)[:12])
    if near:
        files = ", ".join(clean_line(offer.files[0].name, 100) for offer in near[:6])
        raise UsageError(f"{clean_line(wanted, 80)!r} is {len(near)} files there; name one: {files}.")
    raise UsageError(f"{clean_line(wanted, 80)!r} is not there; there is {names}.")


def split_wish(text: str) -> tuple[str, str]:
    """``REPO[:QUANT|:FILE]`` as repository and the rest.

    Raises:
        UsageError: no repository of the hub.
    """
    bare = text.removeprefix("https://huggingface.co/").removeprefix("hf.co/")
    repo, _, wanted = bare.partition(":")
    if not wanted and repo.count("/") > 1:  # the address of a file's page
        parts = repo.split("/")
        repo, rest = "/".join(parts[:2]), parts[2:]
        if rest[0] not in ("blob", "resolve", "tree", ""):
            raise UsageError(f"{clean_line(text, 80)!r} is not a repository of the hub; those are called OWNER/NAME.")
        wanted = "/".join(rest[2:]) if rest[0] in ("blob", "resolve") else ""
    return check_repo(repo), wanted
