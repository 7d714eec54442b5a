"""A page of lines to read and scroll, over the screen."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from offtui.ui.key_line import border_keys


class PageScreen(ModalScreen[None]):
    """Esc closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "leave", "Back"),
        ("q", "leave", "Back"),
        ("m", "leave", "Back"),
    ]

    def __init__(self, title: str, lines: Sequence[Content]) -> None:
        super().__init__()
        self._title, self._lines = title, lines

    def compose(self) -> ComposeResult:
        """The page."""
        with VerticalScroll(id="page-box") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = border_keys(self)
            yield Static(Content("\n").join(self._lines), markup=False)

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)
