"""Breaking runs of text into rows."""

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import get_character_cell_size

from offtui.ui.transcript.grid import BLANK, Line, Run, cells, line_cells, reach

_CLOSING = frozenset("、。，．！？：；）」』】〉》〕”’·ー,.!?:;)]}…")
"""Not the first in a row."""

_TOO_WIDE = "…"
"""Drawn in place of a wide character in a column of one cell."""


def wrap(runs: Iterable[Run], width: int) -> list[Line]:
    """Rows of at most ``width`` cells: broken at spaces and beside wide characters, long words anywhere.

    A newline begins a row; the spaces at a break are dropped, those that begin a line of the source are kept.
    No text gives no row.
    """
    line = tuple(run for run in runs if run.text)
    width = max(1, width)
    text = "".join(run.text for run in line)
    if not text:
        return []
    if "\n" not in text and text[-1] != " " and cells(text) <= width:
        return [joined(line)]
    return list(_rows(line, _spans(text, width), width))


def joined(runs: Sequence[Run]) -> Line:
    """A row with neighbours of one look as one run."""
    merged: list[Run] = []
    for run in runs:
        if merged and merged[-1].look == run.look:
            merged[-1] = Run(merged[-1].text + run.text, run.look)
        elif run.text:
            merged.append(run)
    return tuple(merged)


def _spans(text: str, width: int) -> Iterator[tuple[int, int]]:
    """Where each row begins and ends in ``text``."""
    start = 0
    while True:
        newline = text.find("\n", start)
        end = len(text) if newline < 0 else newline
        yield from _line_spans(text, start, end, width)
        if newline < 0:
            return
        start = newline + 1


def _line_spans(text: str, start: int, end: int, width: int) -> Iterator[tuple[int, int]]:
    first = start
    while first < end and text[first] == " ":
        first += 1
    start = max(start, first - width // 2)
    while True:
        full = max(min(reach(text, start, width), end), start + 1)
        if full >= end:
            yield start, _without_spaces(text, start, end)
            return
        cut = _break(text, max(start, first), full)
        yield start, _without_spaces(text, start, cut)
        start = cut
        while start < end and text[start] == " ":
            start += 1
        if start == end:
            return


def _without_spaces(text: str, start: int, end: int) -> int:
    while end > start and text[end - 1] == " ":
        end -= 1
    return end


def _break(text: str, start: int, full: int) -> int:
    """Where the next row begins: the last place to break in a row that is full at ``full``, or ``full`` itself."""
    if text[full] == " ":
        return full
    space = text.rfind(" ", start, full)
    if not text.isascii():
        for place in range(full, max(space + 1, start), -1):
            if text[place] not in _CLOSING and _is_wide(text[place - 1], text[place]):
                return place
    return space + 1 if space > start else full


def _is_wide(before: str, after: str) -> bool:
    """Whether a row may be broken between two characters because one of them is wide."""
    size = get_character_cell_size(after)
    return size == 2 or (size == 1 and get_character_cell_size(before) == 2)


def _rows(line: Line, spans: Iterable[tuple[int, int]], width: int) -> Iterator[Line]:
    """The rows of ``line`` between places that only go forward."""
    index, offset = 0, 0
    for start, end in spans:
        while index < len(line) and offset + len(line[index].text) <= start:
            offset += len(line[index].text)
            index += 1
        runs: list[Run] = []
        number, place = index, offset
        while number < len(line) and place < end:
            text, look = line[number]
            runs.append(Run(text[max(0, start - place) : end - place], look))
            place += len(text)
            number += 1
        if end - start == 1 and cells(runs[0].text) > width:
            runs = [Run(_TOO_WIDE, runs[0].look)]
        yield joined(runs) if runs else BLANK


def wrap_hard(line: Line, width: int) -> list[Line]:
    """Rows of at most ``width`` cells with all spaces kept: for code, broken after a space near the end if any.

    An empty line is one row.
    """
    width = max(1, width)
    text = "".join(run.text for run in line)
    if line_cells(line) <= width:
        return [line]
    return list(_rows(line, _hard_spans(text, width), width))


def _hard_spans(text: str, width: int) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = max(reach(text, start, width), start + 1)
        if end < len(text):
            space = text.rfind(" ", start + (end - start) * 2 // 3, end)
            end = space + 1 if space > start else end
        yield start, end
        start = end
