"""Help: every command with its keys and its name after ``/``, from the table of commands."""

import textwrap
from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from offtui.ui.commands import COMMANDS, Command, Where
from offtui.ui.key_line import border_keys
from offtui.ui.keys import keys_of

_HEADS = {
    Where.ANYWHERE: "Anywhere",
    Where.OUTSIDE_TEXT: "Outside text fields",
    Where.PROMPT: "In the prompt",
    Where.CHAT: "In the chat (Tab leads there)",
    Where.DIAL: "In the dial",
    Where.MODELS: "In the list of models",
    Where.HUB: "In the hub",
    Where.MONITOR: "In the monitor",
    Where.FULL: "In the full monitor",
}
_ABOUT = (
    "A model has n_layer blocks and an output layer. The dial says how many of them lie on the graphics card; the rest "
    "stays in RAM and is computed by the processor. More layers there: faster, and more VRAM taken."
)


_REMAP = (
    'Keys can be changed in config.toml, by the ids that the README lists: [keys] "dial.more" = "ctrl+up"; '
    '"none" takes one away.'
)
_KEYS, _TITLE, _SLASH = 9, 34, 25
"""Cells of the columns."""


class HelpScreen(ModalScreen[None]):
    """A page to scroll."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "leave", "Back"),
        ("f1", "leave", "Back"),
        ("question_mark", "leave", "Back"),
        ("q", "leave", "Back"),
    ]

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        """The page."""
        with VerticalScroll(id="help-box") as box:
            box.border_title = "Help"
            box.border_subtitle = border_keys(self)
            yield Static(help_text(self._keys), markup=False)

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)


def help_text(keys: Mapping[str, str]) -> Content:
    """The whole page."""
    lines = [Content(_ABOUT), Content("")]
    for where, head in _HEADS.items():
        rows = [_row(command, keys) for command in COMMANDS if command.where is where and _is_listed(command)]
        lines += [Content.styled(head, "bold $primary"), *rows, Content("")]
    lines.append(Content.styled(_REMAP, "$quiet"))
    return Content("\n").join(lines)


def _is_listed(command: Command) -> bool:
    return bool(command.keys or command.slash) and command.id != "app.help_mark"


def _row(command: Command, keys: Mapping[str, str]) -> Content:
    names = " ".join(keys_of(command, keys))
    slash = textwrap.wrap(f"/{command.slash} {command.argument}".strip(), _SLASH) if command.slash else []
    indent = "\n" + " " * (2 + _KEYS + _TITLE + 1)
    return Content.assemble(
        (f"  {names:<{_KEYS}}", "$accent"), f"{command.title:<{_TITLE}}", (f" {indent.join(slash)}".rstrip(), "$quiet")
    )
