"""A question that is answered by typing a name: for what cannot be undone."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from offtui.ui.key_line import border_keys


class TypedScreen(ModalScreen[bool]):
    """``True`` where the name was typed; Esc leaves with ``False``."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "leave", "Back")]

    def __init__(self, title: str, text: str, name: str) -> None:
        """Ask.

        Args:
            title: what will be done.
            text: one line about what it is done to.
            name: what must be typed.
        """
        super().__init__()
        self._title, self._text, self._name = title, text, name

    def compose(self) -> ComposeResult:
        """A box with the name, what will happen, and a field."""
        with Vertical(id="typed-box") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = border_keys(self, ("Enter", "do it"))
            yield Static(Content.styled(self._name, "bold $error"), markup=False)
            yield Static(Content.styled(self._text, "$quiet"), markup=False)
            yield Input(placeholder="type the name to do it", id="typed-name")

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Do it where the name is right."""
        message.stop()
        if message.value.strip() == self._name.strip():
            self.dismiss(True)
        else:
            self.query_one("#typed-box").border_subtitle = border_keys(self, before="that is not the name")

    def action_leave(self) -> None:
        """Do nothing."""
        self.dismiss(False)
