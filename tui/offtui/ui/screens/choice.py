"""A list over the screen to choose one thing from: the palette of commands, the themes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from offtui.ui.commands import Situation, palette
from offtui.ui.keys import keys_of


@dataclass(frozen=True)
class Choice:
    """One row."""

    id: str
    title: str
    note: str = ""
    """At the right: keys and slash name."""


def command_choices(situation: Situation, keys: Mapping[str, str]) -> list[Choice]:
    """The commands that can be run from a list now."""
    return [
        Choice(
            command.id,
            command.title,
            "  ".join([*([f"/{command.slash}"] if command.slash else []), *keys_of(command, keys)[:1]]),
        )
        for command in palette(situation)
    ]


class ChoiceScreen(ModalScreen[str | None]):
    """Typing filters, Enter chooses, Esc leaves with ``None``."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "leave", "Back"),
        ("down", "move(1)", "Down"),
        ("up", "move(-1)", "Up"),
    ]

    def __init__(self, title: str, choices: list[Choice], *, by_number: bool = False) -> None:
        """A list.

        Args:
            title: above it.
            choices: the rows.
            by_number: whether the ids are numbers, and typing one chooses it.
        """
        super().__init__()
        self._by_number = by_number
        self._title = title
        self._choices = choices
        self._shown = choices

    def compose(self) -> ComposeResult:
        """A box with a filter and rows."""
        with Vertical(id="choice-box") as box:
            box.border_title = Content(self._title)
            yield Input(placeholder="type to find", id="choice-filter")
            yield OptionList(id="choice-list", markup=False)

    def on_mount(self) -> None:
        """Show all rows."""
        rows = self.query_one(OptionList)
        rows.can_focus = False
        self.query_one(Input).focus()

    def on_resize(self) -> None:
        """Fit the columns."""
        self.call_after_refresh(self._fill)

    def on_input_changed(self, message: Input.Changed) -> None:
        """Filter, or choose the row of that number."""
        if self._by_number and any(choice.id == message.value for choice in self._choices):
            more = any(choice.id != message.value and choice.id.startswith(message.value) for choice in self._choices)
            if not more:
                self.dismiss(message.value)
                return
        words = message.value.casefold().removeprefix("/").split()
        self._shown = [
            choice
            for choice in self._choices
            if all(word in f"{choice.title} {choice.note} {choice.id}".casefold() for word in words)
        ]
        self._fill()

    def on_input_submitted(self) -> None:
        """Choose the row under the cursor."""
        row = self.query_one(OptionList).highlighted
        if row is not None and row < len(self._shown):
            self.dismiss(self._shown[row].id)

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Choose by mouse."""
        self.dismiss(self._shown[message.option_index].id)

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        rows = self.query_one(OptionList)
        if by > 0:
            rows.action_cursor_down()
        else:
            rows.action_cursor_up()

    def action_leave(self) -> None:
        """Choose nothing."""
        self.dismiss(None)

    def _fill(self) -> None:
        rows = self.query_one(OptionList)
        width = max(rows.content_size.width - 2, 20)
        rows.clear_options()
        for choice in self._shown:
            room = max(width - len(choice.note) - 1, 8)
            title = Content(choice.title).truncate(room, ellipsis=True)
            gap = " " * (room - title.cell_length + 1)
            rows.add_option(Option(Content.assemble(title, gap, (choice.note, "$quiet"))))
        rows.highlighted = 0 if self._shown else None
