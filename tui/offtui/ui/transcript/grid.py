"""Text on a grid of cells: what may be drawn, how wide it is, and where it may be cut.

Terminals disagree about joined emoji, variation selectors and skin tones, and a disagreement of one cell
shifts a whole row. So these are not drawn; a copy of the source still has them. Without them the width of a
text is the sum of the widths of its characters, everywhere.
"""

import re
import unicodedata
from typing import NamedTuple

from rich.cells import cell_len, get_character_cell_size

from offtui.text import clean

MARKS_PER_CELL = 4
"""Combining marks drawn on one character; text that hides kilobytes in one cell is cut there."""

_JOINERS = re.compile(
    "[\u200b-\u200d\u2060-\u2064\u180b-\u180f\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0100-\U000e01ef]"
)


class Run(NamedTuple):
    """Characters of one look: a space-separated list of component names, weakest first."""

    text: str
    look: str = ""


Line = tuple[Run, ...]
"""One row, not padded to any width."""

BLANK: Line = ()


def settle(text: str) -> str:
    """``text`` as it can be drawn without breaking the grid. Newlines stay; tabs become four spaces."""
    if text.isascii():
        return clean(text).replace("\t", "    ")
    text = _JOINERS.sub("", clean(unicodedata.normalize("NFC", text))).replace("\t", "    ")
    kept: list[str] = []
    marks = 0
    for character in text:
        if character > "\u02ff" and get_character_cell_size(character) == 0:
            marks += 1
            if marks > MARKS_PER_CELL:
                continue
        else:
            marks = 0
        kept.append(character)
    return "".join(kept)


def cells(text: str) -> int:
    """Cells that settled ``text`` takes."""
    return len(text) if text.isascii() else cell_len(text)


def line_cells(line: Line) -> int:
    """Cells that a row takes."""
    return sum(cells(run.text) for run in line)


def reach(text: str, start: int, limit: int) -> int:
    """Index of the first character of settled ``text`` that does not fit in ``limit`` cells beginning at ``start``."""
    if text.isascii():
        return min(len(text), start + limit)
    used = 0
    for index in range(start, len(text)):
        used += get_character_cell_size(text[index])
        if used > limit:
            return index
    return len(text)


def clip(text: str, limit: int) -> str:
    """Settled ``text`` on at most ``limit`` cells, with an ellipsis where it was cut."""
    if cells(text) <= limit:
        return text
    return text[: reach(text, 0, limit - 1)] + "…" if limit > 0 else ""


def dress(line: Line, look: str) -> Line:
    """``line`` with ``look`` under the looks it has."""
    return tuple(Run(text, f"{look} {own}" if own else look) for text, own in line)


def pad(line: Line, width: int, look: str) -> Line:
    """``line`` filled with spaces of ``look`` up to ``width`` cells."""
    missing = width - line_cells(line)
    return (*line, Run(" " * missing, look)) if missing > 0 else line


def changed_cells(before: Line, after: Line) -> tuple[int, int]:
    """Cells from which and up to which two rows differ; the same number twice where they do not."""
    if before is after or before == after:
        return 0, 0
    start = 0
    for one, other in zip(before, after, strict=False):
        if one == other:
            start += cells(one.text)
            continue
        if one.look == other.look:
            start += _same_start(one.text, other.text)
        break
    return start, max(line_cells(before), line_cells(after))


def _same_start(one: str, other: str) -> int:
    """Cells that two texts begin with alike, as far as they are ASCII."""
    for index, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right or not left.isascii():
            return index
    return min(len(one), len(other))


def crop(line: Line, width: int) -> Line:
    """The part of a row that fits in ``width`` cells."""
    kept: list[Run] = []
    for text, look in line:
        end = reach(text, 0, width)
        kept.append(Run(text[:end], look))
        width -= cells(text[:end])
        if end < len(text):
            break
    return tuple(kept)
