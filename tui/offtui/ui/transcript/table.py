"""Tables folded to the width: columns shrink to what is there, and a table too wide for that becomes a list."""

from collections.abc import Sequence
from dataclasses import dataclass

from offtui.ui.transcript.grid import BLANK, Line, Run, cells, dress, line_cells, pad
from offtui.ui.transcript.wrap import wrap

NARROWEST = 4
"""Cells below which a column is no longer readable."""
_BETWEEN = 3


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as runs; every row has as many as the header."""

    header: Sequence[Sequence[Run]]
    rows: Sequence[Sequence[Sequence[Run]]]
    aligns: Sequence[str]
    """``"left"``, ``"center"`` or ``"right"`` per column."""


def table_lines(table: Table, width: int) -> list[Line]:
    """Rows of at most ``width`` cells."""
    widths = _column_widths(table, width)
    if widths is None:
        return _as_list(table, width)
    lines = _row_lines([_strong(cell) for cell in table.header], widths, table.aligns)
    lines.append((Run("─┼─".join("─" * column for column in widths), "table-line"),))
    wrapped = [_row_lines(row, widths, table.aligns) for row in table.rows]
    spaced = any(len(row) > 1 for row in wrapped)
    for index, row in enumerate(wrapped):
        if spaced and index:
            lines.append((Run("┄┼┄".join("┄" * column for column in widths), "table-line"),))
        lines.extend(row)
    return lines


def _strong(cell: Sequence[Run]) -> list[Run]:
    return [Run(run.text, f"table-header {run.look}".rstrip()) for run in cell]


def _natural(cell: Sequence[Run]) -> int:
    return sum(cells(run.text) for run in cell)


def _longest_word(cell: Sequence[Run]) -> int:
    return max((cells(word) for word in "".join(run.text for run in cell).split(" ")), default=0)


def _column_widths(table: Table, width: int) -> list[int] | None:
    """Widths that fit; columns that need least get what they need. ``None``: there is no room."""
    columns = list(zip(table.header, *table.rows, strict=True))
    room = width - _BETWEEN * (len(columns) - 1)
    natural = [max(1, *map(_natural, column)) for column in columns]
    if sum(natural) <= room:
        return natural
    least = [
        min(max(NARROWEST, *map(_longest_word, column)), most) for column, most in zip(columns, natural, strict=True)
    ]
    if sum(least) > room:
        least = [min(NARROWEST, most) for most in natural]
        if sum(least) > room:
            return None
    widths = least
    spare = room - sum(widths)
    order = sorted(range(len(widths)), key=lambda index: natural[index] - widths[index])
    for place, index in enumerate(order):
        share = min(natural[index] - widths[index], spare // (len(order) - place))
        widths[index] += share
        spare -= share
    return widths


def _row_lines(row: Sequence[Sequence[Run]], widths: Sequence[int], aligns: Sequence[str]) -> list[Line]:
    folded = [wrap(cell, column) for cell, column in zip(row, widths, strict=True)]
    lines: list[Line] = []
    for height in range(max(1, *map(len, folded))):
        runs: list[Run] = []
        for index, (cell, column) in enumerate(zip(folded, widths, strict=True)):
            if index:
                runs.append(Run(" │ ", "table-line"))
            line = cell[height] if height < len(cell) else BLANK
            runs.extend(_aligned(line, column, aligns[index], last=index == len(widths) - 1))
        lines.append(tuple(runs))
    return lines


def _aligned(line: Line, width: int, align: str, *, last: bool) -> Line:
    missing = width - line_cells(line)
    before = missing if align == "right" else missing // 2 if align == "center" else 0
    shifted = (Run(" " * before), *line) if before > 0 else line
    return shifted if last else pad(shifted, width, "")


def _as_list(table: Table, width: int) -> list[Line]:
    """One block per row, "header: cell" on each line."""
    lines: list[Line] = []
    for row in table.rows or [[()] * len(table.header)]:
        if lines:
            lines.append((Run("─" * min(width, 12), "table-line"),))
        for name, cell in zip(table.header, row, strict=True):
            title = wrap([*_strong(name), Run(": ", "table-header")], width)
            lines.extend(wrap([*[run for line in title for run in line], Run(" "), *cell], width))
    return [dress(line, "table") for line in lines]
