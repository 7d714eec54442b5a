"""The keys that matter, in one row: the same look wherever there is one."""

from collections.abc import Sequence
from typing import Any

from textual.content import Content
from textual.screen import Screen

from offtui.text import clean_line

Pair = tuple[str, str]
"""A key as people write it, and a word for what it does."""
_BESIDE = 10
"""Cells of the terminal that a box and its corners leave to the keys in its border."""


def key_line(pairs: Sequence[Pair], width: int, *, leave: Pair | None = None) -> Content:
    """``Enter send   ^R layers   Esc back`` in at most ``width`` cells, where ``leave`` alone has room.

    What does not fit is left out from the end, so the first matter most. ``leave``, the way out, stands last and stays.
    They stand closer together where that saves one.
    """
    last = [] if leave is None else [_part(leave)]
    parts = [_part(pair) for pair in pairs]
    for count in range(len(parts), -1, -1):
        shown = [*parts[:count], *last]
        bare = sum(part.cell_length for part in shown)
        for gap in (3, 2):
            if bare + gap * (len(shown) - 1) <= width or not count:
                return Content(" " * gap).join(shown)
    return Content("")


def border_keys(screen: Screen[Any], *pairs: Pair, before: str = "") -> Content:
    """The keys of a box over the whole screen, for its border; with a word that must be said in their place."""
    width = screen.app.size.width - _BESIDE  # pyright: ignore[reportUnknownMemberType] -- Textual leaves App[Unknown]
    leave = "Esc", "close"
    if not before:
        return key_line(pairs, width, leave=leave)
    return Content.assemble(Content(clean_line(before)), "   ", key_line([], width, leave=leave))


def _part(pair: Pair) -> Content:
    key, word = pair
    return Content.assemble((key, "bold $primary"), (f" {word}", "$quiet"))
