"""The last row: the keys that matter now, or a short word about what just happened."""

from collections.abc import Sequence

from textual.content import Content
from textual.reactive import var
from textual.timer import Timer

from offtui.engine.moves import MoveFailed
from offtui.engine.state import Occurrence, TurnWanted, WorkerEnded
from offtui.protocol.events import LoadFailed, TurnFailed
from offtui.ui.commands import FOOTER_KEYS, Situation, footer
from offtui.ui.key_line import key_line
from offtui.ui.keys import keys_of
from offtui.ui.widgets.line import Line

FLASH = 4.0
"""Seconds a word stays."""
_BREAKS = TurnWanted | TurnFailed | LoadFailed | MoveFailed | WorkerEnded
"""What makes it old before."""
WIDE = 98
"""Cells from which on there are as many keys as there is room for."""


class KeyFooter(Line):
    """Keys of the commands that apply, by the table of commands."""

    situation: var[Situation | None] = var[Situation | None](None)

    def __init__(self, keys: dict[str, str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._keys = keys
        self._flash: tuple[str, str] | None = None
        self._timer: Timer | None = None

    def watch_situation(self) -> None:
        """Other keys may apply."""
        self._paint()

    def on_resize(self) -> None:
        """Leave out what no longer fits."""
        self._paint()

    def flash(self, text: str, style: str = "$accent") -> None:
        """Show a word for a few seconds in place of the keys."""
        self._flash = (text, style)
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(FLASH, self.calm)
        self._paint()

    def complain(self, text: str) -> bool:
        """Say what is wrong, where there is room for it; whether there was."""
        return self.say(text, "$error")

    def say(self, text: str, style: str = "$primary") -> bool:
        """Show a word for a few seconds, where there is room for it; whether there was."""
        fits = self.display and len(text) <= self.size.width - 2
        if fits:
            self.flash(text, style)
        return fits

    def hear(self, occurrences: Sequence[Occurrence]) -> None:
        """What happened may make the word old."""
        if any(isinstance(occurrence, _BREAKS) for occurrence in occurrences):
            self.calm()

    def calm(self) -> None:
        """Back to the keys."""
        if self._flash is not None:
            self._flash = None
            self._paint()

    def _paint(self) -> None:
        if self._flash is not None:
            self.show(Content.styled(*self._flash))
        elif self.situation is not None:
            self.show(keys_line(self.situation, self._keys, self.size.width - 2))


def keys_line(situation: Situation, keys: dict[str, str], width: int) -> Content:
    """``Enter send   ^R layers   F2 models``; what does not fit is left out from the right, but for the way back."""
    shown, way_back = footer(situation, None if width >= WIDE else FOOTER_KEYS)
    pairs = [(names[0], word) for command, word in shown if (names := keys_of(command, keys))]
    names = keys_of(way_back, keys) if way_back is not None else []
    return key_line(pairs, width, leave=(names[0], "back") if names else None)
