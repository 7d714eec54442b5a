"""A question that is answered with a folder."""

import os
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from offtui.ui.key_line import border_keys


class FolderScreen(ModalScreen[str]):
    """The absolute path; ``""`` where it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "leave", "Back")]

    def __init__(self, title: str, folder: str) -> None:
        """Ask.

        Args:
            title: what it is asked for.
            folder: that is proposed.
        """
        super().__init__()
        self._title, self._folder = title, folder

    def compose(self) -> ComposeResult:
        """A box with a field."""
        with Vertical(id="typed-box") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = border_keys(self, ("Enter", "download"))
            yield Input(self._folder, placeholder="a folder, as in ~/models", id="folder-path")
            yield Static(Content.styled("It is made where it does not exist.", "$quiet"), markup=False)

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Take it, unless it is plainly none."""
        message.stop()
        folder, trouble = folder_of(message.value)
        if trouble:
            self.query_one("#typed-box").border_subtitle = border_keys(self, before=trouble)
        else:
            self.dismiss(folder)

    def action_leave(self) -> None:
        """None."""
        self.dismiss("")


def folder_of(text: str) -> tuple[str, str]:
    """The absolute path that a person means; or why it can be no folder to write to."""
    if not text.strip():
        return "", "no folder is named"
    if "\0" in text:
        return "", "that is not a path"
    try:
        path = Path(text.strip()).expanduser().absolute()
        there = next(place for place in (path, *path.parents) if place.exists())
    except (OSError, RuntimeError):  # a name that is too long, a user that does not exist
        return "", "that is not a path"
    if not there.is_dir():
        return "", "that is a file" if there == path else "a file is in the way"
    if not os.access(there, os.W_OK | os.X_OK):
        return "", "it may not be written to"
    return str(path), ""
