"""Rows of any number to read, over the screen; one that has more to say is opened with Enter."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from offtui.ui.key_line import Pair, border_keys
from offtui.ui.widgets.rowlist import RowList

Row = tuple[Content, str]
"""A line, and what Enter opens on it; ``""``: nothing."""


class RowsScreen(ModalScreen[None]):
    """Only the rows that are seen are made. Esc closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "leave", "Back"),
        ("q", "leave", "Back"),
        ("m", "leave", "Back"),
    ]

    def __init__(
        self, title: str, rows: Callable[[int], Sequence[Row]], open: Callable[[str], None] | None = None
    ) -> None:
        """A page.

        Args:
            title: above it.
            rows: for a width in cells.
            open: opens what a row names.
        """
        super().__init__()
        self._title, self._rows, self._open = title, rows, open
        self._shown: Sequence[Row] = ()

    def compose(self) -> ComposeResult:
        """The page."""
        with Vertical(id="rows-box") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = border_keys(self, *self._keys)
            yield RowList(id="rows-list")

    def on_mount(self) -> None:
        """All of it, when the width is known."""
        self.query_one(RowList).focus()
        self.call_after_refresh(self._fill)

    def on_resize(self) -> None:
        """Rows of another width."""
        self.call_after_refresh(self._fill)

    def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        """Open what there is more of."""
        message.stop()
        _, more = self._shown[message.index]
        if more and self._open is not None:
            self._open(more)

    @property
    def _keys(self) -> list[Pair]:
        return [("Enter", "open ▸")] if self._open is not None else []

    def _say(self, text: str) -> None:
        """A word in the place of the keys; ``""``: the keys again."""
        self.query_one("#rows-box").border_subtitle = border_keys(self, *([] if text else self._keys), before=text)

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)

    def _fill(self) -> None:
        if not self.is_mounted:
            return
        rows = self.query_one(RowList)
        width = rows.scrollable_content_region.width
        if width <= 0:
            return
        self._shown = shown = self._rows(width)
        rows.show(len(shown), lambda row, _: [shown[row][0]])
