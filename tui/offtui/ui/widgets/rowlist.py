"""A list of any length with a cursor. Only rows that are seen are ever made, so that a thousand cost what ten do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

RowMaker = Callable[[int, int], list[Content]]
"""From the number of a row and the width in cells to its lines."""


class RowList(ScrollView, can_focus=True):
    """Rows of one height. The maker is asked for a row each time it is drawn; ``show`` says that rows changed."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rowlist--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("k", "move(-1)", "Up", show=False),
        Binding("j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "move(-1000000)", "First", show=False),
        Binding("end", "move(1000000)", "Last", show=False),
        Binding("enter", "choose", "Choose", show=False),
    ]

    @dataclass
    class Moved(Message):
        """The cursor is on another row, or the row under it is another."""

        rows: "RowList"
        index: int | None

        @property
        def control(self) -> "RowList":
            """The list."""
            return self.rows

    @dataclass
    class Chosen(Message):
        """Intent: this row."""

        rows: "RowList"
        index: int

        @property
        def control(self) -> "RowList":
            """The list."""
            return self.rows

    @dataclass
    class Seen(Message):
        """Other rows are in view."""

        rows: "RowList"
        first: int
        last: int
        """Past the last."""

        @property
        def control(self) -> "RowList":
            """The list."""
            return self.rows

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._make: RowMaker = lambda _row, _width: []
        self._count = 0
        self._height = 1
        self._cursor: int | None = None
        self._seen = (0, 0)

    @property
    def count(self) -> int:
        """Rows there are."""
        return self._count

    @property
    def cursor(self) -> int | None:
        """The row under the cursor; ``None`` where there is none."""
        return self._cursor

    def show(self, count: int, make: RowMaker, cursor: int | None = None, *, height: int = 1) -> None:
        """Other rows.

        Args:
            count: how many.
            make: makes one.
            cursor: where the cursor goes; ``None``: it stays, as far as there are rows.
            height: lines of each.
        """
        self._count, self._make, self._height = count, make, height
        before = self._cursor
        wanted = cursor if cursor is not None else before if before is not None else 0
        self._cursor = min(max(wanted, 0), count - 1) if count else None
        self.virtual_size = Size(self.scrollable_content_region.width, count * height)
        self._follow()
        self.refresh()
        self.post_message(self.Moved(self, self._cursor))
        self._note_seen(again=True)

    def action_move(self, by: int) -> None:
        """Move the cursor by rows."""
        if self._cursor is not None:
            self._put(self._cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by what is seen at once."""
        rows = max(1, self.scrollable_content_region.height // self._height - 1)
        self.action_move(by * rows)

    def action_choose(self) -> None:
        """Choose the row under the cursor."""
        if self._cursor is not None:
            self.post_message(self.Chosen(self, self._cursor))

    def on_click(self, event: events.Click) -> None:
        """To that row; choose the one under the cursor."""
        index = (round(self.scroll_y) + event.y) // self._height
        if not 0 <= index < self._count:
            return
        if index == self._cursor:
            self.action_choose()
        else:
            self._put(index)

    def on_resize(self) -> None:
        """Other rows are in view."""
        self.virtual_size = Size(self.scrollable_content_region.width, self._count * self._height)
        self._follow()
        self._note_seen()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Other rows are in view."""
        super().watch_scroll_y(old_value, new_value)
        self._note_seen()

    def render_line(self, y: int) -> Strip:
        """One line of a row."""
        width = self.scrollable_content_region.width
        index, line = divmod(round(self.scroll_y) + y, self._height)
        base = self.visual_style
        if not 0 <= index < self._count:
            return Strip.blank(width, base.rich_style)
        if index == self._cursor:
            base += self.get_visual_style("rowlist--cursor")
        lines = self._make(index, width)
        content = lines[line] if line < len(lines) else Content("")
        strips = Visual.to_strips(self, content, width, 1, base, pad=True, apply_selection=False)
        return strips[0].adjust_cell_length(width, base.rich_style) if strips else Strip.blank(width, base.rich_style)

    def _put(self, index: int) -> None:
        before, self._cursor = self._cursor, min(max(index, 0), self._count - 1)
        if self._cursor == before:
            return
        for row in (before, self._cursor):
            if row is not None:
                top = row * self._height - round(self.scroll_y)
                self.refresh(Region(0, top, self.size.width, self._height))
        self._follow()
        self.post_message(self.Moved(self, self._cursor))

    def _follow(self) -> None:
        """Scroll so that the cursor is seen."""
        if self._cursor is None or not self.is_mounted:
            return
        top, height = self._cursor * self._height, self.scrollable_content_region.height
        if height <= 0:
            return
        if top < self.scroll_y:
            self.scroll_to(y=top, animate=False, force=True, immediate=True)
        elif top + self._height > self.scroll_y + height:
            self.scroll_to(y=top + self._height - height, animate=False, force=True, immediate=True)

    def _note_seen(self, *, again: bool = False) -> None:
        height = self.scrollable_content_region.height
        first = round(self.scroll_y) // self._height
        last = min(self._count, first + -(-height // self._height) + 1) if height > 0 else first
        if again or (first, last) != self._seen:
            self._seen = (first, last)
            self.post_message(self.Seen(self, first, last))
