"""Fixed places on the screen of which only those cells are painted again that have changed."""

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.style import Style
from textual.visual import Visual

from offtui.ui.widgets.bare import Bare

APART = 12
"""Cells between two changed ones from which on it costs less to paint them apart: a move and a colour are bytes too."""


class Line(Bare):
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
        self.auto_links = False
        self._lines: list[Content] = [Content("")]
        self._rows = 0
        """Height that was set here; 0: none, the style sheet says it."""
        self._strips: dict[int, tuple[Content, tuple[int, str, Style], Strip]] = {}
        """Rows as they were painted last, with their text and what else they look like by."""

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

    def render_line(self, y: int) -> Strip:
        """One row; what has not changed is not made again."""
        if self.text_selection is not None:  # which is of all rows together
            return super().render_line(y)
        self._dirty_regions.clear()
        width = self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, self.visual_style.rich_style)
        line, looks = self._lines[y], (width, self.app.theme, self.visual_style)  # pyright: ignore[reportUnknownMemberType] -- Textual leaves App[Unknown]
        known = self._strips.get(y)
        if known is not None and known[0] is line and known[1] == looks:
            return known[2]
        strip = Visual.to_strips(self, line, width, 1, looks[2])[0]
        self._strips[y] = line, looks, strip
        return strip

    def _paint_lines(self, lines: list[Content]) -> None:
        before = self._lines
        if len(before) != len(lines):
            self._lines = lines
            self._strips.clear()
            self.refresh()
            return
        changed: list[Region] = []
        width = self.content_size.width
        for row, (old, new) in enumerate(zip(before, lines, strict=True)):
            stretches = _changed_cells(old, new, width)
            changed += [Region(start, row, end - start, 1) for start, end in stretches]
            if not stretches:
                lines[row] = old
        self._lines = lines
        if changed:
            self.repaint(*changed)


def _changed_cells(old: Content, new: Content, width: int) -> list[tuple[int, int]]:
    """Stretches, each from a first cell to one past its last, outside of which both look the same."""
    if old.plain == new.plain and old.spans == new.spans:
        return []
    before, after = old.plain, new.plain
    if len(before) != old.cell_length or len(after) != new.cell_length or max(len(before), len(after)) > width:
        return [(0, width)]
    stretches: list[tuple[int, int]] = []
    cells = max(len(before), len(after))
    for cell, (a, b) in enumerate(zip(_looks(old, cells), _looks(new, cells), strict=True)):
        if a == b:
            continue
        if stretches and cell - stretches[-1][1] < APART:
            stretches[-1] = stretches[-1][0], cell + 1
        else:
            stretches.append((cell, cell + 1))
    return stretches


def _looks(content: Content, cells: int) -> list[tuple[object, ...]]:
    """The character of each cell and its styles, the last of which counts most."""
    looks: list[tuple[object, ...]] = [(character,) for character in content.plain.ljust(cells)]
    for start, end, style in content.spans:
        for cell in range(max(start, 0), min(end, cells)):
            looks[cell] = *looks[cell], style
    return looks
