"""Breaking runs of text into rows."""

import re
from collections.abc import Iterable, Sequence

from offtui.ui.transcript.grid import BLANK, Line, Run, cells, line_cells, reach

_WIDE = (
    "\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\U00020000-\U0003fffd"
)
_CLOSING = "、。，．！？：；）」』】〉》〕”’·ー"
_PIECES = re.compile(
    f"(?P<newline>\n)|(?P<space> +)|(?P<wide>[{_WIDE}][{_CLOSING}]*)|(?P<word>[^ \n{_WIDE}]+)",
)

_TOO_WIDE = "…"
"""Drawn in place of a wide character in a column of one cell."""


def wrap(runs: Iterable[Run], width: int) -> list[Line]:
    """Rows of at most ``width`` cells: broken at spaces and between wide characters, long words anywhere.

    A newline begins a row; the spaces at a break are dropped, those that begin a line of the source are kept.
    No text gives no row.
    """
    filler = _Filler(max(1, width))
    for run in runs:
        for piece in _PIECES.finditer(run.text):
            filler.add(piece.lastgroup or "", Run(piece.group(), run.look))
    return filler.finish()


class _Filler:
    """The row being filled, and the word that is not yet known to fit it."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._lines: list[Line] = []
        self._row: list[Run] = []
        self._used = 0
        self._gap: Run | None = None
        self._word: list[Run] = []
        self._word_cells = 0
        self._open = False

    def add(self, kind: str, run: Run) -> None:
        if kind == "word":
            self._word.append(run)
            self._word_cells += cells(run.text)
            return
        self._place_word()
        if kind == "newline":
            self._end_row()
            self._open = True
        elif kind == "space":
            self._gap = Run(self._gap.text + run.text, run.look) if self._gap else run
        else:
            self._word = [run]
            self._word_cells = cells(run.text)
            self._place_word()

    def finish(self) -> list[Line]:
        self._place_word()
        if self._row or self._open:
            self._end_row()
        return self._lines

    def _end_row(self) -> None:
        self._lines.append(joined(self._row) if self._row else BLANK)
        self._row = []
        self._used = 0
        self._gap = None

    def _place_word(self) -> None:
        if not self._word:
            return
        gap, self._gap = self._gap, None
        if gap is not None and not self._row:
            gap = Run(gap.text[: self._width // 2], gap.look)
        gap_cells = len(gap.text) if gap else 0
        if self._used + gap_cells + self._word_cells <= self._width:
            self._put(gap)
        elif self._row:
            self._end_row()
        else:
            self._put(gap)
        for run in self._word:
            self._put_long(run)
        self._word = []
        self._word_cells = 0

    def _put(self, run: Run | None) -> None:
        if run is not None and run.text:
            self._row.append(run)
            self._used += cells(run.text)

    def _put_long(self, run: Run) -> None:
        """Put a part of a word, breaking it wherever the row is full."""
        text, start = run.text, 0
        while start < len(text):
            end = reach(text, start, self._width - self._used)
            if end > start:
                self._put(Run(text[start:end], run.look))
            elif not self._row:
                self._put(Run(_TOO_WIDE, run.look))
                end = start + 1
            if end < len(text):
                self._end_row()
            start = end


def joined(runs: Sequence[Run]) -> Line:
    """A row with neighbours of one look as one run."""
    merged: list[Run] = []
    for run in runs:
        if merged and merged[-1].look == run.look:
            merged[-1] = Run(merged[-1].text + run.text, run.look)
        elif run.text:
            merged.append(run)
    return tuple(merged)


def wrap_hard(line: Line, width: int) -> list[Line]:
    """Rows of at most ``width`` cells with all spaces kept: for code, which is broken after a space near the end if any.

    An empty line is one row.
    """
    width = max(1, width)
    text = "".join(run.text for run in line)
    if cells(text) <= width:
        return [line]
    rows: list[Line] = []
    start = 0
    while start < len(text):
        end = max(reach(text, start, width), start + 1)
        if end < len(text):
            space = text.rfind(" ", start + (end - start) * 2 // 3, end)
            end = space + 1 if space > start else end
        row = _slice(line, start, end)
        rows.append(row if line_cells(row) <= width else (Run(_TOO_WIDE, row[0].look),))
        start = end
    return rows


def _slice(line: Line, start: int, end: int) -> Line:
    """The characters of a row from ``start`` up to ``end``."""
    runs: list[Run] = []
    for text, look in line:
        if start < len(text) and end > 0:
            runs.append(Run(text[max(0, start) : end], look))
        start -= len(text)
        end -= len(text)
        if end <= 0:
            break
    return tuple(runs)
