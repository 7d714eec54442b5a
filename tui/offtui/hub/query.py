"""What a person types to search the hub: words, and of what owner, size, architecture and licence. Pure."""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from offtui.errors import UsageError
from offtui.hub.wire import Range, Search, Sort
from offtui.text import clean_line
from offtui.units import GIB, MIB

MAX_TEXT: Final = 300
"""Characters of all words."""
ABOUT: Final = 0.12
"""A single size stands for those around it: models that are called 8B have 7.6 to 8.2 billion."""
FORMS: Final = "write for instance <8GiB, 4..8GiB, >2GiB or 8GiB, or of parameters <9B, 3B..9B, 8B"

_ALIASES: Final = {
    "author": "author",
    "owner": "author",
    "by": "author",
    "arch": "arch",
    "architecture": "arch",
    "license": "license",
    "licence": "license",
    "size": "size",
    "params": "params",
    "parameters": "params",
}
_BYTES: Final = {"MIB": MIB, "MB": MIB, "GIB": GIB, "GB": GIB, "G": GIB, "TIB": 1024 * GIB, "TB": 1024 * GIB}
_PARAMS: Final = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_NUMBER = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([A-Za-z]{0,3})", re.ASCII)
_PREFIX = re.compile(r"([A-Za-z]+):(.*)", re.DOTALL)


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A search as it was typed."""

    words: str = ""
    author: str = ""
    arch: str = ""
    license: str = ""
    params: Range = Range()
    """Parameters."""
    size: Range = Range()
    """Bytes of a file."""

    def request(self, id: int, sort: Sort, limit: int) -> Search:
        """To the hub."""
        return Search(
            id=id, words=self.words, author=self.author, arch=self.arch, license=self.license, params=self.params,
            size=self.size, sort=sort, limit=limit,
        )  # fmt: skip


def parse_query(words: Iterable[str]) -> Query:
    """Words with ``author:``, ``arch:``, ``license:``, ``size:`` and ``params:`` among them, in any order and case.

    Raises:
        UsageError: what is typed after ``size:`` or ``params:`` is no size.
    """
    plain: list[str] = []
    query = Query()
    for word in " ".join(words)[:MAX_TEXT].split():
        match = _PREFIX.fullmatch(word)
        key = _ALIASES.get(match[1].casefold()) if match else None
        if match is None or key is None:
            plain.append(word)
        elif not match[2]:
            raise UsageError(f"{clean_line(word, 40)} says nothing after the colon; no space goes there.")
        elif key == "size":
            query = with_size(query, match[2])
        elif key == "params":
            query = msgspec.structs.replace(query, params=parse_params(match[2]))
        else:
            query = msgspec.structs.replace(query, **{key: match[2]})
    return msgspec.structs.replace(query, words=" ".join(plain))


def with_size(query: Query, text: str) -> Query:
    """``query`` narrowed to a size: of files where it is in GiB or MiB, else in parameters.

    Raises:
        UsageError: it is no size.
    """
    low, high, unit = _ends(text)
    if unit in _BYTES:
        return msgspec.structs.replace(query, size=Range(low, high))
    return msgspec.structs.replace(query, params=Range(low, high))


def parse_params(text: str) -> Range:
    """A range of parameters.

    Raises:
        UsageError: it is none.
    """
    low, high, unit = _ends(text)
    if unit in _BYTES:
        raise UsageError(f"{clean_line(text, 40)!r} is no number of parameters; write for instance <9B, 3B..9B or 8B.")
    return Range(low, high)


def _ends(text: str) -> tuple[int, int, str]:
    """Lower and upper bound, 0 where there is none, and the unit; one of them is not 0."""
    low, high, unit = _bounds(text)
    if not (low or high):
        raise _no_size(text)
    return low, high, unit


def _bounds(text: str) -> tuple[int, int, str]:
    bare = text.strip()
    for sign in ("<=", "≤", "<", ">=", "≥", ">"):
        if bare.startswith(sign):
            value, unit = _number(bare.removeprefix(sign), text)
            return (0, value, unit) if sign in ("<=", "≤", "<") else (value, 0, unit)
    low, dots, high = bare.partition("..")
    if not dots:
        value, unit = _number(bare, text)
        return int(value * (1 - ABOUT)), int(value * (1 + ABOUT)), unit
    if not low and not high:
        raise _no_size(text)
    last, unit = _number(high, text) if high else (0, "")
    if low and re.fullmatch(r"[\d.]+", low, re.ASCII):  # "4..8GiB": the unit at the end is that of both
        low += unit
    first, of_low = _number(low, text) if low else (0, unit)
    unit = unit if high else of_low
    if (of_low in _BYTES) != (unit in _BYTES) or (high and first > last):
        raise _no_size(text)
    return first, last, unit


def _number(text: str, whole: str) -> tuple[int, str]:
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise _no_size(whole)
    unit = match[2].upper()
    factor = _BYTES.get(unit) or _PARAMS.get(unit)
    if factor is None:
        raise _no_size(whole)
    return int(float(match[1]) * factor), unit


def _no_size(text: str) -> UsageError:
    return UsageError(f"{clean_line(text, 40)!r} is no size; {FORMS}.")
