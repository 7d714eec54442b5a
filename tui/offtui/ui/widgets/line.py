"""Fixed places on the screen of which only those cells are painted again that have changed."""

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.content import Content
from textual.geometry import Region, Spacing
from textual.strip import Strip
from textual.style import Style as VisualStyle
from textual.visual import Visual

from offtui.ui.widgets.bare import Bare

APART = 12
"""Cells between two changed ones from which on it costs less to paint them apart: a move and a colour are bytes too."""
STYLES = 4096
"""Styles that a widget keeps."""


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
        self._strips: dict[int, tuple[Content, Strip]] = {}
        """Rows as they were painted last, with their text."""
        self._looks: tuple[object, ...] = ()
        """What else they look like by."""
        self._styles_at: dict[tuple[VisualStyle | str, int, int], RichStyle] = {}
        """By style and place, which is part of it: that is how text is selected with the mouse."""

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

    def render_lines(self, crop: Region) -> list[Strip]:
        """Some rows, with the room at their sides; what has not changed is not made again."""
        styles = self.styles
        if self.text_selection is not None or any(edge[0] for edge in (*styles.border, *styles.outline)):
            return super().render_lines(crop)
        padding = styles.padding
        width, looks = self._look_again(padding)
        rows = [self._row(y - padding.top, width, looks, padding) for y in crop.line_range]
        if filters := self.get_line_filters():
            background = self.background_colors[1]
            for each in filters:
                rows = [row.apply_filter(each, background) for row in rows]
        return rows if crop.column_span == (0, width) else [row.crop(*crop.column_span) for row in rows]

    def render_line(self, y: int) -> Strip:
        """One row of the text alone."""
        if self.text_selection is not None:  # which is of all rows together
            return super().render_line(y)
        width, looks = self._look_again(Spacing())
        return self._row(y, width, looks, Spacing())

    def _look_again(self, padding: Spacing) -> tuple[int, VisualStyle]:
        """The width with the room at the sides, and the looks; rows of others are forgotten."""
        self._dirty_regions.clear()
        style, width = self.visual_style, self.size.width + padding.width
        looks = (style, width, padding, self.app.theme)  # pyright: ignore[reportUnknownMemberType] -- Textual leaves App[Unknown]
        if looks != self._looks:
            self._looks = looks
            self._strips.clear()
            self._styles_at.clear()
        return width, style

    def _row(self, y: int, width: int, style: VisualStyle, padding: Spacing) -> Strip:
        if not 0 <= y < len(self._lines):
            return Strip.blank(width, style.background_style.rich_style)
        line = self._lines[y]
        known = self._strips.get(y)
        if known is not None and known[0] is line:
            return known[1]
        inside = width - padding.width
        segments = self._segments(line, y, inside, style)
        blank = style.background_style.rich_style
        if padding.left:
            segments.insert(0, Segment(" " * padding.left, blank))
        right = width - sum(segment.cell_length for segment in segments)
        if right > 0:
            segments.append(Segment(" " * right, blank))
        strip = Strip(segments, width)
        self._strips[y] = line, strip
        return strip

    def _segments(self, line: Content, y: int, width: int, style: VisualStyle) -> list[Segment]:
        """As Textual would make them; what is plain by a look into a table for each stretch of one style."""
        text, at = line.plain, 0
        pieces: list[tuple[str, VisualStyle | str, int]] = []
        for span in line.spans:
            if span.start < at or span.end > len(text):
                break
            if span.start > at:
                pieces.append((text[at : span.start], "", at))
            if span.end > span.start:
                pieces.append((text[span.start : span.end], span.style, span.start))
            at = span.end
        else:
            if line.cell_length <= width:
                if at < len(text):
                    pieces.append((text[at:], "", at))
                return [Segment(piece, self._style_at(look, x, y, style)) for piece, look, x in pieces]
        return list(Visual.to_strips(self, line, width, 1, style)[0].crop(0, width))

    def _style_at(self, look: VisualStyle | str, x: int, y: int, style: VisualStyle) -> RichStyle:
        key = look, x, y
        known = self._styles_at.get(key)
        if known is None:
            if len(self._styles_at) >= STYLES:
                self._styles_at.clear()
            whole = style + (style + self._get_style(look)) if look else style
            known = self._styles_at[key] = whole.rich_style_with_offset(x, y)
        return known

    def _paint_lines(self, lines: list[Content]) -> None:
        before = self._lines
        if len(before) != len(lines):
            self._lines = lines
            self._strips = {row: each for row, each in self._strips.items() if row < len(lines)}
            self.refresh()
            return
        changed: list[Region] = []
        width = self.content_size.width
        for row, (old, new) in enumerate(zip(before, lines, strict=True)):
            if old is new:
                continue
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
    cells = max(len(before), len(after))
    different = [
        cell for cell, (a, b) in enumerate(zip(before.ljust(cells), after.ljust(cells), strict=True)) if a != b
    ]
    if old.spans != new.spans:
        looks = zip(_looks(old, cells), _looks(new, cells), strict=True)
        different = sorted({*different, *(cell for cell, (a, b) in enumerate(looks) if a != b)})
    stretches: list[tuple[int, int]] = []
    for cell in different:
        if stretches and cell - stretches[-1][1] < APART:
            stretches[-1] = stretches[-1][0], cell + 1
        else:
            stretches.append((cell, cell + 1))
    return stretches


def _looks(content: Content, cells: int) -> list[object]:
    """The styles of each cell, the last of which counts most."""
    looks: list[object] = [None] * cells
    for start, end, style in content.spans:
        first, past = max(start, 0), min(end, cells)
        if any(looks[first:past]):
            looks[first:past] = [(before, style) for before in looks[first:past]]
        else:
            looks[first:past] = [style] * (past - first)
    return looks
