"""The conversation on the screen: one widget that draws rows, however many messages there are."""

from collections.abc import Iterable
from time import monotonic
from typing import ClassVar

from textual import events
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from offtui.text import clean
from offtui.ui.transcript.column import Column, Dirty
from offtui.ui.transcript.grid import BLANK, Line, Run, dress, line_cells
from offtui.ui.transcript.layout import markdown_lines
from offtui.ui.transcript.message import measure
from offtui.ui.transcript.model import Entry, EntryState
from offtui.ui.transcript.palette import LOOKS, PREFIX, Palette, component_css

FLUSH_SECONDS = 1 / 15
"""How often the running answer is drawn, at most."""
FLUSH_SHARE = 0.04
"""Share of the time that drawing the running answer may take; a slow one is drawn less often."""
SLOWEST_FLUSH_SECONDS = 0.5
"""How seldom the running answer is drawn, at most."""
NEAR_BOTTOM = 2
"""Rows from the bottom within which the newest row is kept in view."""


class Transcript(ScrollView, can_focus=True):
    """Entries under one another, with one at most being written.

    The owner appends entries, and streams an answer with ``begin``, any number of ``feed`` and ``end``. Text is cleaned
    here once more; none of it is ever taken for markup.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {PREFIX + look for look in LOOKS}

    DEFAULT_CSS = """
    Transcript {
        height: 1fr;
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
        scrollbar-color: $foreground 18%;
        scrollbar-color-hover: $foreground 32%;
        scrollbar-color-active: $primary;
        background: $background;
        color: $foreground;
    }
    """ + component_css("Transcript")

    def __init__(
        self, *, empty: str = "", name: str | None = None, id: str | None = None, classes: str | None = None
    ) -> None:
        """Create an empty transcript.

        Args:
            empty: Markdown shown while there is nothing in it.
            name: The name of the widget.
            id: The id of the widget in the DOM.
            classes: The CSS classes of the widget.
        """
        super().__init__(name=name, id=id, classes=classes)
        self._empty = clean(empty)
        self._empty_rows: list[Line] = []
        self._column = Column()
        self._palette = Palette(self)
        self._following = True
        self._settling = False
        self._anchor = (0, 0)
        self._unseen = 0
        self._next_flush = 0.0
        self._timer = self.set_interval(FLUSH_SECONDS, self._flush, pause=True)

    # What is shown

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries in order; the one being written with the text it has so far."""
        return self._column.entries

    @property
    def following(self) -> bool:
        """Whether the newest row is kept in view."""
        return self._following

    @property
    def unseen_rows(self) -> int:
        """Rows that came since the newest ones were last in view."""
        return self._unseen

    @property
    def empty(self) -> str:
        """Markdown shown while there are no entries."""
        return self._empty

    @empty.setter
    def empty(self, text: str) -> None:
        self._empty = clean(text)
        self._empty_rows = []
        if not len(self._column):
            self.refresh()

    def source_of(self, entry_id: int) -> str:
        """The text of an entry as it was written.

        Raises:
            KeyError: there is no such entry.
        """
        return self._column.entry(self._column.index_of(entry_id)).text

    # Changing it

    def append(self, entry: Entry) -> None:
        """Add an entry at the end. One of the user's brings the bottom into view.

        Raises:
            ValueError: its id is taken.
        """
        self.extend((entry,))

    def extend(self, entries: Iterable[Entry]) -> None:
        """Add many entries at the end, for instance a chat that was stored.

        Raises:
            ValueError: an id is taken.
        """
        before, count = self._column.rows.total, len(self._column)
        added = tuple(entries)
        self._column.extend(added)
        if self._following or any(entry.role == "user" for entry in added):
            self._following = True
        elif self.is_mounted and len(added) == 1:
            self._column.settle(count)
        if not self._following:
            self._unseen += self._column.rows.total - before
        self._refit()

    def begin(self, entry_id: int, name: str = "") -> None:
        """Stream an answer into the entry of that id; a new one of the assistant unless there is one.

        Args:
            entry_id: The entry to write; what it has already said stays.
            name: Who answers, for a new entry.
        """
        self.end("stopped")
        if not self._column.has(entry_id):
            self._column.extend((Entry(entry_id, "assistant", "", state="streaming", name=name),))
        self._column.begin(entry_id)
        self._timer.resume()
        self._relay(self._column.index_of(entry_id))

    def feed(self, answer: str = "", reasoning: str = "") -> None:
        """Add to the answer being written. Cheap: drawn with the next flush."""
        self._column.feed(answer, reasoning)

    def end(self, state: EntryState = "done", stamp: str = "", reasoning_tokens: int | None = None) -> None:
        """Finish the answer being written, if there is one. It is laid out once more, as a whole.

        Args:
            state: How it ended.
            stamp: One line shown under it; for a failure, why.
            reasoning_tokens: Length of its reasoning, where it was counted.
        """
        index = self._column.live_index
        if index is None:
            return
        self._timer.pause()
        self._column.end(state, stamp, reasoning_tokens)
        self._relay(index)

    def replace(self, entry: Entry) -> None:
        """Show another value for the entry of that id.

        Raises:
            KeyError: there is no such entry.
        """
        index = self._column.index_of(entry.id)
        self._column.replace(entry)
        if self._column.live_index is None:
            self._timer.pause()
        self._relay(index)

    def remove_entry(self, entry_id: int) -> None:
        """Take an entry out.

        Raises:
            KeyError: there is no such entry.
        """
        self._column.remove(entry_id)
        if self._column.live_index is None:
            self._timer.pause()
        self._refit()

    def clear(self) -> None:
        """Take all entries out and show the empty state."""
        self._timer.pause()
        self._column.clear()
        self._following = True
        self._unseen = 0
        self._refit()

    def toggle_reasoning(self, entry_id: int | None = None) -> None:
        """Fold or unfold the reasoning of one entry, or of all of them.

        Raises:
            KeyError: there is no such entry.
        """
        self._column.toggle_reasoning(entry_id)
        self._refit()

    # Scrolling: never animated, a picture in between costs kilobytes over SSH

    def action_scroll_up(self) -> None:
        """Scroll one row up."""
        self.scroll_relative(y=-1, animate=False)

    def action_scroll_down(self) -> None:
        """Scroll one row down."""
        self.scroll_relative(y=1, animate=False)

    def action_page_up(self) -> None:
        """Scroll up by the rows in view but two."""
        self.scroll_relative(y=-max(1, self._rows_in_view - 2), animate=False)

    def action_page_down(self) -> None:
        """Scroll down by the rows in view but two."""
        self.scroll_relative(y=max(1, self._rows_in_view - 2), animate=False)

    def action_scroll_home(self) -> None:
        """Show the first row."""
        self.scroll_to(y=0, animate=False)

    def action_scroll_end(self) -> None:
        """Show the last row, and keep doing so."""
        self._following = True
        self._refit()

    @property
    def _rows_in_view(self) -> int:
        return self.scrollable_content_region.height

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Lay out what came into view, so that nothing is drawn by estimate."""
        if not self._settling:
            self._settle(round(new_value), upward=new_value < old_value)
            self._note_position()
        super().watch_scroll_y(old_value, self.scroll_y)

    def _settle(self, top: int, *, upward: bool) -> None:
        """Lay out the entries in view from row ``top``; what was already in view stays where it is."""
        rows, height = self._column.rows, self._rows_in_view
        while rows.total and height > 0:
            top = max(0, min(top, rows.total - height))
            first, last = rows.find(top)[0], rows.find(min(top + height, rows.total) - 1)[0]
            order = range(last, first - 1, -1) if upward else range(first, last + 1)
            grown = 0
            for index in order:
                grown = self._column.settle(index)
                if grown:
                    top += grown if upward and index < last else 0
                    break
            if not grown:
                break
        self._go_to(top)

    def _settle_end(self) -> None:
        """Lay out the last entries and show the last row."""
        rows, height = self._column.rows, self._rows_in_view
        index, seen = len(rows), 0
        while index > 0 and seen < height:
            index -= 1
            self._column.settle(index)
            seen += rows.height(index)
        self._go_to(max(0, rows.total - height))

    def _go_to(self, top: int) -> None:
        """Take the height of the column and the row at the top of the view over, without asking for a layout."""
        size = Size(self._column.width, self._column.rows.total)
        self._settling = True
        if size != self.virtual_size:
            self.set_reactive(Widget.virtual_size, size)  # pyright: ignore[reportArgumentType]: Textual's own overload
            self._scroll_update(size)
        self.scroll_target_y = top
        self.scroll_y = self.scroll_target_y
        self._settling = False

    def _note_position(self) -> None:
        """Remember what is at the top, and whether the bottom is near enough to be followed."""
        rows, top = self._column.rows, round(self.scroll_y)
        if top < rows.total:
            self._anchor = rows.find(top)
        was = self._following, self._unseen
        self._following = rows.total - (top + self._rows_in_view) <= NEAR_BOTTOM
        if self._following:
            self._unseen = 0
        if was != (self._following, self._unseen):
            self._refresh_last_row()

    def _refit(self) -> None:
        """Anything may have changed: find the place again and draw all of it."""
        if not self.is_mounted or self._rows_in_view <= 0:
            return
        if self._following:
            self._settle_end()
            self._unseen = 0
        else:
            rows = self._column.rows
            index, within = self._anchor
            index = max(0, min(index, len(rows) - 1))
            if len(rows):
                self._column.settle(index)
                within = min(within, rows.height(index) - 1)
                self._settle(rows.top(index) + within, upward=False)
            else:
                self._go_to(0)
        self._note_position()
        self.refresh()

    def on_resize(self, event: events.Resize) -> None:
        """Wrap what is seen to another width; the rest when it is scrolled to."""
        width = self.scrollable_content_region.width
        if width > 0 and width != self._column.width:
            index, within = self._anchor
            before = self._column.rows.height(index) if index < len(self._column) else 1
            self._column.resize(width)
            self._empty_rows = []
            if index < len(self._column):
                self._column.settle(index)
                within = round(within * self._column.rows.height(index) / max(1, before))
            self._anchor = (index, within)
        self._refit()

    # The running answer

    def _flush(self) -> None:
        """Draw what was fed since the last time."""
        now = monotonic()
        index = self._column.live_index
        if index is None or now < self._next_flush or not self._column.has_fresh_text:
            return
        self._relay(index)
        self._next_flush = now + min(SLOWEST_FLUSH_SECONDS, (monotonic() - now) / FLUSH_SHARE)

    def _relay(self, index: int) -> None:
        """Lay one entry out again and draw the cells that changed, or everything where rows moved."""
        if not self.is_mounted or self._rows_in_view <= 0:
            return
        last = index == len(self._column) - 1
        above = self._column.rows.top(index) + self._column.rows.height(index) <= self.scroll_y
        grown, dirty = self._column.relay(index)
        if self._following:
            self._settle_end()
        elif grown:
            self._unseen = max(0, self._unseen + grown)
            self._go_to(round(self.scroll_y) + (grown if above else 0))
            self._refresh_last_row()
        self._note_position()
        if grown and not last:
            self.refresh()
        else:
            self._refresh_cells(dirty)

    def _refresh_cells(self, dirty: Iterable[Dirty]) -> None:
        top, height = round(self.scroll_y), self._rows_in_view
        regions = [Region(start, row - top, end - start, 1) for row, start, end in dirty if top <= row < top + height]
        if regions:
            self.refresh(*regions)

    def _refresh_last_row(self) -> None:
        self.refresh(Region(0, self._rows_in_view - 1, self.size.width, 1))

    # Drawing

    def notify_style_update(self) -> None:
        """Take another theme over."""
        super().notify_style_update()
        self._palette.forget()

    def render_line(self, y: int) -> Strip:
        """One row of the view."""
        width = self.scrollable_content_region.width
        base = self._palette.style("")
        if not len(self._column):
            return self._palette.strip(self._empty_line(y)).crop_extend(0, width, base)
        strip = self._palette.strip(self._column.line(round(self.scroll_y) + y)).crop_extend(0, width, base)
        if y == self._rows_in_view - 1 and not self._following and self._unseen > 0:
            return self._marked(strip, width)
        return strip

    def _marked(self, strip: Strip, width: int) -> Strip:
        noun = "line" if self._unseen == 1 else "lines"
        mark = self._palette.strip((Run(f" ↓ {self._unseen} new {noun} ", "mark"),))
        room = width - mark.cell_length - 1
        if room < 0:
            return strip
        return Strip.join([strip.crop(0, room), mark, self._palette.strip((Run(" "),))])

    def _empty_line(self, y: int) -> Line:
        width, height = self.scrollable_content_region.width, self._rows_in_view
        if not self._empty_rows and self._empty:
            self._empty_rows = markdown_lines(self._empty, min(72, measure(width)))
        rows = self._empty_rows
        index = y - max(0, (height - len(rows)) // 2)
        if not 0 <= index < len(rows):
            return BLANK
        left = max(0, (width - max(map(line_cells, rows))) // 2)
        return (Run(" " * left), *dress(rows[index], "empty"))

    def on_click(self, event: events.Click) -> None:
        """The mark leads to the bottom; a line of folded reasoning unfolds it."""
        if event.y == self._rows_in_view - 1 and not self._following and self._unseen > 0:
            self.action_scroll_end()
            return
        entry_id = self._column.thought_title_at(round(self.scroll_y) + event.y)
        if entry_id is not None:
            self.toggle_reasoning(entry_id)
