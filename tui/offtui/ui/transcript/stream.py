"""An answer while it is being written: finished blocks are laid out once, only the last one again and again."""

from typing import Any

from offtui.ui.transcript.grid import BLANK, Line
from offtui.ui.transcript.layout import parse, plain_lines, stacked
from offtui.ui.transcript.parse import line_offset


class LiveMarkdown:
    """Rows of a Markdown text that grows at its end.

    At any moment they are those of the text so far laid out at once, but for links whose definition comes later.
    """

    def __init__(self, width: int, text: str = "") -> None:
        self._width = width
        self._finished: list[Line] = []
        self._open = text
        self._references: dict[str, Any] = {}

    def feed(self, text: str) -> None:
        """Add text at the end; costs nothing until the rows are asked for."""
        self._open += text

    def lines(self) -> tuple[list[Line], list[Line]]:
        """The rows that can never change again (do not modify that list), and those after them."""
        references = dict(self._references)
        document = parse(self._open, references)
        if document is None:
            return self._finished, self._after(plain_lines(self._open, self._width))
        if len(document.blocks) > 1:
            last = document.starts[-1]
            self._finished += self._after(stacked(document.blocks[:-1], self._width))
            self._open = self._open[line_offset(self._open, last) :]
            self._references.update((label, known) for label, known in references.items() if known["map"][1] <= last)
        return self._finished, self._after(stacked(document.blocks[-1:], self._width))

    def _after(self, rows: list[Line]) -> list[Line]:
        return [BLANK, *rows] if self._finished and rows else rows
