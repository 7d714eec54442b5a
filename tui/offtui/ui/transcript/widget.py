"""The conversation on the screen: one widget that draws rows, however many messages there are."""

from collections.abc import Iterable, Sequence
from time import monotonic, thread_time
from typing import ClassVar

from textual import events
from textual.filter import ANSIToTruecolor, LineFilter
from textual.geometry import Region, Size
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from offtui.text import clean
from offtui.ui.transcript.column import Column
from offtui.ui.transcript.grid import BLANK, Line, changed_cells
from offtui.ui.transcript.message import empty_view, with_mark
from offtui.ui.transcript.model import Entry, EntryState, Sketch
from offtui.ui.transcript.palette import LOOKS, PREFIX, STYLE_SHEET, Palette
from offtui.ui.transcript.selecting import selected_text, with_selection
from offtui.ui.widgets.bare import BareScrollView

FLUSH_SECONDS = 1 / 10
"""How often the running answer is drawn, at most."""
FLUSH_SHARE = 0.04
"""Share of the time that drawing the running answer may take; a slow one is drawn less often."""
SLOWEST_FLUSH_SECONDS = 0.5
"""How seldom the running answer is drawn, at most."""
NEAR_BOTTOM = 2
"""Rows from the bottom within which the newest row is kept in view."""
ROOM_BELOW = 6
"""Rows scrolled ahead of a running answer, so that it scrolls seldom: each time costs kilobytes over SSH."""


class Transcript(BareScrollView, can_focus=True):
    """Entries under one another, with one at most being written.

    The owner appends entries, and streams an answer with ``begin``, any number of ``feed`` and ``end``. Text is cleaned
    here once more; none of it is ever taken for markup.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {PREFIX + look for look in LOOKS}

    DEFAULT_CSS = STYLE_SHEET
    paced = True
    """Draws the running answer by itself; else its owner calls ``flush``: waking up twice costs."""

    def __init__(self, *, empty: str = "", name: str | None = None, id: str | None = None) -> None:
        """Create one without entries; ``empty`` is the Markdown shown meanwhile."""
        super().__init__(name=name, id=id)
        self._empty = clean(empty)
        self._shown: list[Line] = []
        self._thumb = (0, 0, 0)
        self._view_height, self._fitted = 0, Size(0, 0)  # not known
        self._column = Column()
        self._palette = Palette(self)
        self._following, self._settling = True, False
        self._anchor = (0, 0)
        self._unseen = 0
        self._next_flush = 0.0
        self._timer = self.set_interval(FLUSH_SECONDS, self.flush, pause=True)

    # What is shown

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries in order; the one being written with its text so far."""
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
        self._refit()

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

    def extend(self, entries: Iterable[Entry | Sketch]) -> None:
        """Add many entries at the end, for instance a chat that was stored.

        Raises:
            ValueError: an id is taken.
        """
        before, count = self._column.rows.total, len(self._column)
        added = tuple(entries)
        self._column.extend(added)
        if self._following or any(isinstance(entry, Sketch) or entry.role == "user" for entry in added):
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
        if self.paced:
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
        self._following, self._unseen = True, 0
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
        if self._view_height <= 0:  # Textual climbs up to the screen to find it
            self._view_height = self.scrollable_content_region.height
        return self._view_height

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Lay out what came into view, so that nothing is drawn by estimate."""
        if not self._settling and self.outer_size == self._fitted:
            self._go_to(self._column.settle_view(round(new_value), self._rows_in_view, upward=new_value < old_value))
            self._note_position()
            self._draw()

    def _settle_end(self) -> None:
        """Lay out the last entries and show the last row; of an answer being written, with some room below it."""
        height = self._rows_in_view
        top = self._column.settle_end(height)
        if top and self._column.live_index is not None:
            room = min(ROOM_BELOW, height // 5)
            now = round(self.scroll_y)
            top = now if top <= now <= top + room else top + room
        self._go_to(top)

    def _go_to(self, top: int) -> None:
        """Take the height of the column and the row at the top over, without asking for a layout."""
        height = self._rows_in_view
        size = Size(self._column.width, max(self._column.rows.total, top + height if top else 0))
        self._settling = True
        if size != self.virtual_size:
            self.set_reactive(Widget.virtual_size, size)  # pyright: ignore[reportArgumentType]: Textual's own overload
        self.scroll_target_y = top
        self.scroll_y = self.scroll_target_y
        self._settling = False
        self._move_scrollbar()

    def _move_scrollbar(self) -> None:
        """Redraw the scrollbar where its thumb looks different: it costs a kilobyte."""
        height, total, top = self._rows_in_view, self.virtual_size.height, round(self.scroll_y)
        thumb = (height, top * height * 8 // max(1, total), height * height * 8 // max(1, total))
        if thumb != self._thumb:
            self._thumb = thumb
            bar = self.vertical_scrollbar
            bar.window_virtual_size = total
            bar.window_size = height
            bar.position = top

    def _note_position(self) -> None:
        """Remember what is at the top, and whether the bottom is near enough to be followed."""
        if self.outer_size != self._fitted:  # scrolled by Textual for a size not told of yet: nobody's wish
            return
        rows, top = self._column.rows, round(self.scroll_y)
        if top < rows.total:
            self._anchor = rows.find(top)
        self._following = rows.total - (top + self._rows_in_view) <= NEAR_BOTTOM
        if self._following:
            self._unseen = 0

    def _refit(self, *, everything: bool = False) -> None:
        """Entries may have changed: find the place again and draw what looks different."""
        if not self.is_mounted or self._rows_in_view <= 0:
            return
        if self._following:
            self._settle_end()
        else:
            rows = self._column.rows
            index, within = self._anchor
            index = max(0, min(index, len(rows) - 1))
            if len(rows):
                self._column.settle(index)
                within = min(within, rows.height(index) - 1)
                self._go_to(self._column.settle_view(rows.top(index) + within, self._rows_in_view, upward=False))
            else:
                self._go_to(0)
        self._note_position()
        self._draw(everything=everything)

    def on_resize(self, event: events.Resize) -> None:
        """Wrap what is seen to another width; the rest when it is scrolled to."""
        width = self.scrollable_content_region.width
        self._view_height, self._fitted = 0, self.outer_size
        if width > 0 and width != self._column.width:
            index, within = self._anchor
            before = self._column.rows.height(index) if index < len(self._column) else 1
            self._column.resize(width)
            if index < len(self._column):
                self._column.settle(index)
                within = round(within * self._column.rows.height(index) / max(1, before))
            self._anchor = (index, within)
        self._refit(everything=True)

    # The running answer

    def flush(self) -> None:
        """Draw what was fed since the last time, unless that was a moment ago."""
        now, cpu = monotonic(), thread_time()
        index = self._column.live_index
        if index is None or now < self._next_flush or not self._column.has_fresh_text:
            return
        self._relay(index)
        self._next_flush = now + min(SLOWEST_FLUSH_SECONDS, (thread_time() - cpu) / FLUSH_SHARE)

    def _relay(self, index: int) -> None:
        """Lay one entry out again and draw what looks different."""
        if not self.is_mounted or self._rows_in_view <= 0:
            return
        above = self._column.rows.top(index) + self._column.rows.height(index) <= self.scroll_y
        grown = self._column.relay(index)
        if self._following:
            self._settle_end()
        else:
            self._unseen = max(0, self._unseen + grown)
            self._go_to(round(self.scroll_y) + (grown if above else 0))
        self._note_position()
        self._draw()

    # Drawing

    def get_line_filters(self) -> Sequence[LineFilter]:
        """All but the one for a terminal's own colours: where looks are such, they are left as they are."""
        return [each for each in super().get_line_filters() if not isinstance(each, ANSIToTruecolor)]

    def notify_style_update(self) -> None:
        """Take another theme over."""
        super().notify_style_update()
        self._palette.forget()

    def render_line(self, y: int) -> Strip:
        """One row of the view, as it was found when last something changed."""
        line, number = self._shown[y] if y < len(self._shown) else BLANK, round(self.scroll_y) + y
        if (selection := self.text_selection) is not None:
            line = with_selection(line, selection, number)
        return self._palette.placed(line, self._column.width, number)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """What was selected with the mouse, as it is drawn but for bars; all sources where everything was."""
        if selection.start is None and selection.end is None:
            return "\n\n".join(entry.text for entry in self.entries), "\n"
        first = selection.start.y if selection.start else 0
        last = selection.end.y if selection.end else self._column.rows.total - 1
        return selected_text(self._column.view(first, max(0, last - first + 1)), first, selection), "\n"

    def _draw(self, *, everything: bool = False) -> None:
        """Find out what is in view, and have the cells drawn that differ from what was."""
        before, self._shown = self._shown, self._view()
        if everything or len(before) != len(self._shown):
            self.refresh()
            return
        regions: list[Region] = []
        for row, (old, new) in enumerate(zip(before, self._shown, strict=True)):
            start, end = changed_cells(old, new)
            if start < end:
                regions.append(Region(start, row, end - start, 1))
        if regions:
            self.repaint(*regions)

    def _view(self) -> list[Line]:
        height = self._rows_in_view
        if not len(self._column):
            return empty_view(self._empty, self.scrollable_content_region.width, height)
        view = self._column.view(round(self.scroll_y), height)
        if view and self._has_mark:
            view[-1] = with_mark(view[-1], self._unseen, self.scrollable_content_region.width)
        return view

    @property
    def _has_mark(self) -> bool:
        return not self._following and self._unseen > 0

    def on_click(self, event: events.Click) -> None:
        """The mark leads to the bottom; a line of folded reasoning unfolds it."""
        if event.y == self._rows_in_view - 1 and self._has_mark:
            self.action_scroll_end()
            return
        entry_id = self._column.thought_title_at(round(self.scroll_y) + event.y)
        if entry_id is not None:
            self.toggle_reasoning(entry_id)
