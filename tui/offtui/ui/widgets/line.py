"""Fixed places on the screen of which only those rows are painted again that have changed."""

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget


class Line(Widget):
    """Some rows of text. Never parsed as markup, laid out again only where their number changes."""

    DEFAULT_CSS = """
    Line {
        width: 1fr;
        height: 1;
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: list[Content] = [Content("")]
        self._rows = 0
        """Height that was set here; 0: none, the style sheet says it."""

    def show(self, content: Content | str) -> None:
        """Paint this one row."""
        self._paint_lines([Content(content) if isinstance(content, str) else content])

    def show_lines(self, lines: Sequence[Content]) -> None:
        """Paint these under one another, and take as many rows as there are; without any, no place at all."""
        rows = len(lines)
        if self.display != bool(rows):
            self.display = bool(rows)
        if rows and rows != (self._rows or self.size.height):
            self._rows = rows
            self.styles.height = rows
        self._paint_lines(list(lines))

    @property
    def text(self) -> str:
        """What is painted, without its colours."""
        return "\n".join(line.plain for line in self._lines)

    def render(self) -> Content:
        """All rows."""
        return Content("\n").join(self._lines)

    def _paint_lines(self, lines: list[Content]) -> None:
        before, self._lines = self._lines, lines
        if len(before) != len(lines):
            self.refresh()
            return
        gutter = self.gutter
        changed = [
            Region(start + gutter.left, row + gutter.top, end - start, 1)
            for row, (old, new) in enumerate(zip(before, lines, strict=True))
            for start, end in _changed_cells(old, new, self.content_size.width)
        ]
        if changed:
            self.refresh(*changed)


def _changed_cells(old: Content, new: Content, width: int) -> list[tuple[int, int]]:
    """From the first cell to the last that look different, as one stretch; none where all look the same."""
    if old.plain == new.plain and old.spans == new.spans:
        return []
    before, after = old.plain, new.plain
    plain = old.spans == new.spans and len(before) == len(after) == old.cell_length == new.cell_length <= width
    if not plain:
        return [(0, width)]
    different = [cell for cell, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    return [(different[0], different[-1] + 1)]
