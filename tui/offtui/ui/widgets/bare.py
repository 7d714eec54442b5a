"""Widgets that are nothing but their rows."""

from typing import NamedTuple

from textual.color import Color
from textual.geometry import Region
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget

from offtui.ui.compositing import CellScreen


class _Frame(NamedTuple):
    is_bare: bool
    left: int
    background: Color
    style: Style


class Bare(Widget):
    """Has no outline, tint, hatch or opacity; drawn so where it has no border and padding at its sides at most.

    Textual looks all of these up for each change, which costs more than a row.
    """

    _frame: _Frame | None = None

    def notify_style_update(self) -> None:
        """Look them up once more."""
        super().notify_style_update()
        self._frame = None

    def render_lines(self, crop: Region) -> list[Strip]:
        """The rows of ``crop``, as they are."""
        frame = self._frame
        if frame is None:
            frame = self._frame = self._framed()
        is_bare, left, background, style = frame
        if not is_bare:
            return super().render_lines(crop)
        blank = style.rich_style
        first, past = crop.column_span
        filters = self.get_line_filters()
        strips: list[Strip] = []
        for y in crop.line_range:
            strip = self.render_line(y)
            if left:
                strip = Strip.join([Strip.blank(left, blank), strip])
            if strip.cell_length < past:  # the padding at the right, or what lies under a scrollbar
                strip = strip.extend_cell_length(past, blank)
            for line_filter in filters:
                strip = strip.apply_filter(line_filter, background)
            strips.append(strip if (first, past) == (0, strip.cell_length) else strip.crop(first, past))
        return strips

    def repaint(self, *regions: Region) -> None:
        """Have these regions of it painted."""
        screen = self.screen if self.is_running else None
        if isinstance(screen, CellScreen) and self.display:
            self._set_dirty(*regions)
            screen.paint_soon(self)
        else:
            self.refresh(*regions)

    def _framed(self) -> _Frame:
        padding = self.styles.padding
        is_bare = self.styles.gutter == (0, padding.right, 0, padding.left)
        base, background = self.background_colors
        return _Frame(is_bare, padding.left, background, Style(background=base + background))


class BareScrollBar(Bare, ScrollBar):
    """A scrollbar, likewise."""


class BareScrollView(Bare, ScrollView):
    """A view with such a scrollbar."""

    @property
    def vertical_scrollbar(self) -> ScrollBar:
        """It is made when it is first asked for."""
        if self._vertical_scrollbar is None:
            self._vertical_scrollbar = BareScrollBar(name="vertical", thickness=self.scrollbar_size_vertical)
            self._vertical_scrollbar.display = False
            self.app._start_widget(self, self._vertical_scrollbar)  # pyright: ignore -- as Textual's own, which is private
        return self._vertical_scrollbar
