"""An answer while it is being written: finished blocks are laid out once, only the last one again and again."""

from typing import Any

from offtui.ui.transcript.code import GrowingCode
from offtui.ui.transcript.grid import BLANK, Line
from offtui.ui.transcript.layout import parse, plain_lines, stacked
from offtui.ui.transcript.tree import line_offset

LINES_AHEAD = 2
"""What a line begins is certain when it and the next are complete: a table is known by its second line."""


class LiveMarkdown:
    """Rows of a Markdown text that grows at its end.

    At any moment they are those of the text so far laid out at once, but for links whose definition comes later.
    """

    def __init__(self, width: int, text: str = "") -> None:
        self._width = width
        self._finished: list[Line] = []
        self._open = text
        self._references: dict[str, Any] = {}
        self._code = GrowingCode()

    def feed(self, text: str) -> None:
        """Add text at the end; costs nothing until the rows are asked for."""
        self._open += text

    def lines(self) -> tuple[list[Line], list[Line]]:
        """The rows that can never change again (do not modify that list), and those after them."""
        references = dict(self._references)
        document = parse(self._open, references)
        if document is None:
            return self._finished, self._after(plain_lines(self._open, self._width))
        fixed = self._open.count("\n") - LINES_AHEAD
        last = max((index for index, start in enumerate(document.starts) if start <= fixed), default=0)
        if last:
            begin = document.starts[last]
            self._finished += self._after(stacked(document.blocks[:last], self._width))
            self._open = self._open[line_offset(self._open, begin) :]
            self._references.update((label, known) for label, known in references.items() if known["map"][1] <= begin)
        return self._finished, self._after(stacked(document.blocks[last:], self._width, self._code))

    def _after(self, rows: list[Line]) -> list[Line]:
        return [BLANK, *rows] if self._finished and rows else rows
