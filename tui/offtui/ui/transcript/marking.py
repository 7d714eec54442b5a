"""Selecting text in the transcript by keys alone: a cursor, a selection that grows from where it was begun, copying."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from textual import events
from textual.geometry import Offset
from textual.message import Message
from textual.selection import Selection

from offtui.ui.transcript.grid import Line
from offtui.ui.transcript.selecting import gutter, selected_text, with_selection
from offtui.ui.transcript.widget import Transcript

_WORD = re.compile(r"\w+|[^\w\s]+")
_FAR = 1 << 30
"""A column behind every row's end."""


class Place(NamedTuple):
    """A character: of which entry, in which of its rows, which one of that row.

    Entries above may get another height when they are laid out, so a row of the whole transcript is no place.
    """

    entry: int
    row: int
    column: int


@dataclass(frozen=True)
class Marking:
    """The cursor, and where the selection was begun."""

    cursor: Place
    anchor: Place | None = None
    by_rows: bool = False


class MarkableTranscript(Transcript):
    """A transcript with a mode in which keys move a cursor and select."""

    @dataclass
    class MarkingChanged(Message):
        """The mode began, ended, or selects now."""

        marking: Marking | None

    @dataclass
    class Marked(Message):
        """Intent: copy this text."""

        text: str

    _marking: Marking | None = None

    @property
    def marking(self) -> Marking | None:
        """Where the cursor is; ``None`` outside of the mode."""
        return self._marking

    def action_mark(self) -> None:
        """Begin at the last row in view that has text; without any, nothing happens."""
        rows, column = self._column.rows, self._column
        top = round(self.scroll_y)
        for number in range(min(top + self._rows_in_view, rows.total) - 1, top - 1, -1):
            entry, row = rows.find(number)
            if _end(column.view(number, 1)[0]):
                self._mark(Marking(self._at_column(Place(entry, row, 0))))
                return

    def leave_marking(self) -> None:
        """Out of the mode; nothing is copied."""
        if self._marking is not None:
            self._mark(None)

    async def _on_key(self, event: events.Key) -> None:
        """As in vi, tmux and less; chords are for the screen."""
        if self._marking is None:
            return
        key = event.character if event.is_printable and event.character else event.key
        if self._act(key, self._marking) or event.is_printable:
            event.stop()
            event.prevent_default()

    def on_resize(self, event: events.Resize) -> None:
        """Rows are others at another width: the mode ends."""
        if self._marking is not None and self.scrollable_content_region.width != self._column.width:
            self._mark(None)
        super().on_resize(event)

    def clear(self) -> None:
        """Take all entries out and show the empty state."""
        self.leave_marking()
        super().clear()

    # What keys do

    def _act(self, key: str, marking: Marking) -> bool:
        """Whether the key means something."""
        cursor, page = marking.cursor, max(1, self._rows_in_view - 2)
        match key:
            case "h" | "left" | "l" | "right":
                self._move(marking, self._by_columns(cursor, -1 if key in ("h", "left") else 1))
            case "j" | "down" | "k" | "up":
                self._move(marking, self._by_rows(cursor, -1 if key in ("k", "up") else 1))
            case "pageup" | "pagedown":
                self._move(marking, self._by_rows(cursor, page if key == "pagedown" else -page))
            case "w" | "b":
                self._move(marking, self._by_words(cursor, 1 if key == "w" else -1))
            case "0" | "home":
                self._move(marking, self._at_column(cursor._replace(column=0)))
            case "$" | "end":
                self._move(marking, self._at_column(cursor._replace(column=_FAR)))
            case "g" | "G":
                self._move(marking, self._first() if key == "g" else self._last())
            case "v" | "space" | " " | "V":
                self._select(marking, by_rows=key == "V")
            case "o":
                self._swap(marking)
            case "y" | "enter":
                self._copy(marking)
            case "escape" | "q":
                self._mark(None)
            case _:
                return False
        return True

    def _move(self, marking: Marking, cursor: Place) -> None:
        self._mark(Marking(cursor, marking.anchor, marking.by_rows))

    def _first(self) -> Place:
        self._column.settle(0)
        return Place(0, 0, 0)

    def _last(self) -> Place:
        """The last row that has text: below it is an empty one."""
        entry = len(self._column) - 1
        self._column.settle(entry)
        return Place(entry, max(0, self._column.rows.height(entry) - 2), 0)

    def _by_rows(self, place: Place, count: int) -> Place:
        """Some rows further down, or up; the same column as far as there is one."""
        column = self._column
        entry, row = place.entry, place.row
        for _ in range(abs(count)):
            column.settle(entry)
            if 0 <= row + (1 if count > 0 else -1) < column.rows.height(entry):
                row += 1 if count > 0 else -1
            elif count > 0 and entry + 1 < len(column):
                entry, row = entry + 1, 0
            elif count < 0 and entry > 0:
                entry -= 1
                column.settle(entry)
                row = max(0, column.rows.height(entry) - 1)
            else:
                break
        return Place(entry, row, place.column)

    def _by_columns(self, place: Place, count: int) -> Place:
        """One character to the right, or to the left; at the edges to the next row."""
        place = self._at_column(place)
        line = self._line(place)
        wanted = place.column + count
        if gutter(line) <= wanted < max(_end(line), gutter(line) + 1):
            return place._replace(column=wanted)
        beyond = self._by_rows(place, count)
        if beyond[:2] == place[:2]:
            return place
        line = self._line(beyond)
        return beyond._replace(column=gutter(line) if count > 0 else max(gutter(line), _end(line) - 1))

    def _by_words(self, place: Place, count: int) -> Place:
        """The beginning of the next word, or of this one or the one before."""
        place = self._at_column(place)
        for _ in range(1000):
            text, first = self._text(place), gutter(self._line(place))
            starts = [match.start() for match in _WORD.finditer(text) if match.start() >= first]
            found = [start for start in starts if (start > place.column if count > 0 else start < place.column)]
            if found:
                return place._replace(column=found[0 if count > 0 else -1])
            beyond = self._by_rows(place, count)
            if beyond[:2] == place[:2]:
                return place
            place = beyond._replace(column=-1 if count > 0 else len(self._text(beyond)))
        return self._at_column(place)

    def _at_column(self, place: Place) -> Place:
        """The same row, at a character that is there."""
        line = self._line(place)
        return place._replace(column=max(gutter(line), min(place.column, _end(line) - 1)))

    def _select(self, marking: Marking, *, by_rows: bool) -> None:
        """Begin to select, select otherwise, or no longer."""
        if marking.anchor is not None and marking.by_rows == by_rows:
            self._mark(Marking(marking.cursor))
        else:
            self._mark(Marking(marking.cursor, marking.anchor or self._at_column(marking.cursor), by_rows))

    def _swap(self, marking: Marking) -> None:
        if marking.anchor is not None:
            self._mark(Marking(marking.anchor, marking.cursor, marking.by_rows))

    def _copy(self, marking: Marking) -> None:
        """Copy what is selected, without a selection the row."""
        selection = self._selection(marking if marking.anchor else Marking(marking.cursor, marking.cursor, True))
        if selection.start is None or selection.end is None:
            return
        first, last = selection.start.y, selection.end.y
        text = selected_text(self._column.view(first, last - first + 1), first, selection)
        self._mark(None)
        self.post_message(self.Marked(text))

    # Drawing

    def _mark(self, marking: Marking | None) -> None:
        before, self._marking = self._marking, marking
        if marking is not None:
            self._show(marking.cursor)
        self._draw()
        if before is None or marking is None or (before.anchor, before.by_rows) != (marking.anchor, marking.by_rows):
            self.post_message(self.MarkingChanged(marking))

    def _show(self, place: Place) -> None:
        """Scroll as little as brings a place into view."""
        self._column.settle(place.entry)
        number, top, height = self._number(place), round(self.scroll_y), self._rows_in_view
        if number < top or number >= top + height:
            self._following = False
            self.scroll_to(y=number if number < top else number - height + 1, animate=False)

    def _number(self, place: Place) -> int:
        return self._column.rows.top(place.entry) + place.row

    def _line(self, place: Place) -> Line:
        return self._column.view(self._number(place), 1)[0]

    def _text(self, place: Place) -> str:
        return "".join(run.text for run in self._line(place)).rstrip()

    def _selection(self, marking: Marking) -> Selection:
        """In rows of the transcript; the end is behind the last character."""
        places = sorted((marking.cursor, marking.anchor or marking.cursor))
        first, last = (self._at_column(place) for place in places)
        if marking.by_rows:
            start, end = Offset(0, self._number(first)), Offset(max(1, _end(self._line(last))), self._number(last))
        else:
            start, end = Offset(first.column, self._number(first)), Offset(last.column + 1, self._number(last))
        return Selection(start, end)

    def _view(self) -> list[Line]:
        view = super()._view()
        marking = self._marking
        if marking is None or marking.cursor.entry >= len(self._column):
            return view
        top = round(self.scroll_y)
        if marking.anchor is not None:
            selection = self._selection(marking)
            view = [with_selection(line, selection, number) for number, line in enumerate(view, top)]
        cursor = self._at_column(marking.cursor)
        number = self._number(cursor)
        if top <= number < top + len(view):
            at = Selection(Offset(cursor.column, number), Offset(cursor.column + 1, number))
            line = view[number - top]
            view[number - top] = with_selection(line, at, number, "cursor")
        return view


def _end(line: Line) -> int:
    """Characters of a row but for the spaces at its end."""
    return len("".join(run.text for run in line).rstrip())
