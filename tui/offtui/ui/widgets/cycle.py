"""A choice among a few words, on one row: the arrows turn it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from offtui.ui.widgets.line import Line


class Cycle(Line, can_focus=True):
    """Shows ``‹ word ›``."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "turn(1)", show=False),
        Binding("left", "turn(-1)", show=False),
    ]

    DEFAULT_CSS = """
    Cycle { width: 1fr; height: 1; color: $foreground; }
    Cycle:focus { background: $panel; text-style: bold; }
    """

    @dataclass
    class Turned(Message):
        """Another word was chosen by a key or a click."""

        cycle: "Cycle"

        @property
        def control(self) -> "Cycle":
            """The choice."""
            return self.cycle

    def __init__(self, words: Sequence[str], value: str, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._words = list(words)
        self._place = 0
        self.choose(value)

    @property
    def value(self) -> str:
        """The word chosen."""
        return self._words[self._place]

    def choose(self, value: str) -> None:
        """Choose a word; the first where there is no such."""
        self._place = self._words.index(value) if value in self._words else 0
        self._paint()

    def offer(self, words: Sequence[str], value: str) -> None:
        """Other words to choose from."""
        self._words = list(words)
        self.choose(value)

    def action_turn(self, by: int) -> None:
        """The next word, or the one before."""
        self._place = (self._place + by) % len(self._words)
        self._paint()
        self.post_message(self.Turned(self))

    def on_click(self) -> None:
        """The next word."""
        self.action_turn(1)

    def _paint(self) -> None:
        self.show(Content.assemble(("‹ ", "$quiet"), self.value, (" ›", "$quiet")))
