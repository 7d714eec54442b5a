"""Fenced code as rows: highlighted by Pygments, folded to the width, on a background of its own."""

from collections.abc import Callable
from functools import lru_cache
from time import thread_time
from typing import TYPE_CHECKING

from offtui.ui.transcript.grid import Line, Run, clip, pad, settle
from offtui.ui.transcript.wrap import joined, wrap_hard

if TYPE_CHECKING:
    from pygments.lexer import Lexer

HIGHLIGHT_LIMIT = 20_000
"""Characters; longer code is shown without highlighting."""
HIGHLIGHT_SECONDS = 0.15
"""Of the processor; twice what so much code takes, but some lexers take minutes for 20 000 newlines."""

OVERLAP = 24
"""Lines highlighted again when code grows; the first half of them must come out as before."""
LONG_LINE = 2000
"""Characters; a longer line is no source code, and one step of some lexers takes seconds over it."""
BLANK_LINES = "\n" * 200
"""The same for empty lines."""
GIVE_UP = 2000
"""Characters of code; when so much could not be highlighted, more of it is not tried."""
NARROWEST = 8
"""Cells below which code has no margin."""

_LOOKS = {
    "Comment": "code code-comment",
    "Keyword.Constant": "code code-number",
    "Keyword": "code code-keyword",
    "Operator.Word": "code code-keyword",
    "Literal.String": "code code-string",
    "Literal.Number": "code code-number",
    "Name.Function": "code code-name",
    "Name.Class": "code code-name",
    "Name.Decorator": "code code-name",
    "Name.Tag": "code code-keyword",
    "Name.Builtin": "code code-builtin",
    "Generic.Deleted": "code code-deleted",
    "Generic.Inserted": "code code-string",
    "Generic.Heading": "code code-name",
    "Generic.Subheading": "code code-name",
}
"""Looks by Pygments token type; the first that is the type or above it counts."""


_SLOW = {"matlab"}
"""Languages whose lexer takes seconds over blank lines."""

Highlight = Callable[[str, str], list[Line]]
"""Lines of a source in a language, one for each of its lines."""


def highlighted(text: str, language: str) -> list[Line]:
    """The lines of settled ``text``; plain in an unknown language, and where highlighting would take too long."""
    return _coloured(text, language) or [(Run(line, "code"),) for line in text.split("\n")]


def _coloured(text: str, language: str) -> list[Line] | None:
    # Before the first line of code its language may not be there as a whole, and looking for half a name is slow.
    lexer = _lexer(language) if text else None
    if (
        lexer is None
        or len(text) > HIGHLIGHT_LIMIT
        or BLANK_LINES in text
        or max(map(len, text.split("\n"))) > LONG_LINE
    ):
        return None
    deadline = thread_time() + HIGHLIGHT_SECONDS
    lines: list[Line] = []
    row: list[Run] = []
    for kind, value in lexer.get_tokens(text):
        look = _look(kind)
        first, *others = value.split("\n")
        row.append(Run(first, look))
        for other in others:
            lines.append(joined(row))
            row = [Run(other, look)]
        if thread_time() > deadline:
            return None
    return [*lines, joined(row)]


class GrowingCode:
    """Highlights code that grows at its end, from a little before the place where it was left.

    The lines in between must come out as before, otherwise all of it is done again. A string over many lines can still
    deceive that; the answer is highlighted as a whole when it has ended.
    """

    def __init__(self) -> None:
        self._language = ""
        self._source: list[str] = []
        self._lines: list[Line] = []
        self._gave_up = False

    def __call__(self, text: str, language: str) -> list[Line]:
        """As ``highlighted``."""
        source = text.split("\n")
        lines = self._continued(source, language)
        if lines is None and not self._gave_up:
            lines = _coloured(text, language)
        if lines is None:
            self._gave_up = len(text) > GIVE_UP
            lines = [(Run(line, "code"),) for line in source]
        self._language = language
        self._source, self._lines = source[:-1], lines[:-1]
        return lines

    def _continued(self, source: list[str], language: str) -> list[Line] | None:
        known = len(self._source)
        start, check = known - OVERLAP, OVERLAP // 2
        if language != self._language or start < OVERLAP or source[:known] != self._source:
            return None
        fresh = highlighted("\n".join(source[start:]), language)
        return self._lines[:start] + fresh if fresh[:check] == self._lines[start : start + check] else None


def code_block(source: str, language: str, width: int, highlight: Highlight = highlighted) -> list[Line]:
    """Rows of exactly ``width`` cells; the language stands in a first row of its own."""
    text = settle(source.rstrip("\n"))
    edge = Run(" ", "code edge")
    before, inner = ((edge,), width - 2) if width > NARROWEST else ((), width)
    rows: list[Line] = []
    if language:
        rows.append((*before, Run(clip(settle(language), inner), "code code-label")))
    for line in highlight(text, language):
        rows.extend((*before, *row) for row in wrap_hard(line, inner))
    return [pad(row, width, "code") for row in rows]


@lru_cache(maxsize=256)
def _look(kind: tuple[str, ...]) -> str:
    name = ".".join(kind)
    return next((look for above, look in _LOOKS.items() if f"{name}.".startswith(f"{above}.")), "code")


@lru_cache(maxsize=64)
def _lexer(language: str) -> "Lexer | None":
    """Pygments takes 30 ms to import: not before there is code."""
    if not language or language.lower() in _SLOW:
        return None
    from pygments.lexers import get_lexer_by_name  # pyright: ignore[reportUnknownVariableType]: untyped options
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language.lower(), stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
