"""Fenced code as rows: highlighted by Pygments, folded to the width, on a background of its own."""

from collections.abc import Iterator
from functools import lru_cache

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name  # pyright: ignore[reportUnknownVariableType]: untyped options
from pygments.util import ClassNotFound

from offtui.ui.transcript.grid import Line, Run, clip, pad, settle
from offtui.ui.transcript.wrap import joined, wrap_hard

HIGHLIGHT_LIMIT = 20_000
"""Characters; longer code is shown without highlighting, which takes Pygments 0.1 s for so much."""

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


def code_block(source: str, language: str, width: int) -> list[Line]:
    """Rows of exactly ``width`` cells; the language stands at the right of a first row of its own."""
    text = settle(source.rstrip("\n"))
    edge = Run(" ", "code")
    before, inner = ((edge,), width - 2) if width > NARROWEST else ((), width)
    rows: list[Line] = []
    if language:
        rows.append((*before, Run(clip(settle(language), inner), "code code-label")))
    for line in _highlighted(text, language):
        rows.extend((*before, *row) for row in wrap_hard(line, inner))
    return [pad(row, width, "code") for row in rows]


def _highlighted(text: str, language: str) -> Iterator[Line]:
    lexer = _lexer(language) if language and len(text) <= HIGHLIGHT_LIMIT else None
    if lexer is None:
        for line in text.split("\n"):
            yield (Run(line, "code"),)
        return
    row: list[Run] = []
    for kind, value in lexer.get_tokens(text):
        look = _look(kind)
        first, *others = value.split("\n")
        row.append(Run(first, look))
        for other in others:
            yield joined(row)
            row = [Run(other, look)]
    if any(run.text for run in row):
        yield joined(row)


@lru_cache(maxsize=256)
def _look(kind: tuple[str, ...]) -> str:
    name = ".".join(kind)
    return next((look for above, look in _LOOKS.items() if f"{name}.".startswith(f"{above}.")), "code")


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language.lower(), stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
