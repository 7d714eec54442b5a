"""Ctrl+C on whichever screen is in front: what is selected there, its text field, and a word in its last row."""

from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, TextArea

from offtui.ui.widgets.line import Line
from offtui.ui.widgets.prompt import Prompt

SECONDS = 4.0
"""That a word stays."""


class Word(Line):
    """A word over the last row of a screen that covers the main one."""

    DEFAULT_CSS = """
    Word {
        dock: bottom;
        layer: _toastrack;
        padding: 0 1;
        background: $panel;
        color: $accent;
    }
    """
    _timer: Timer | None = None

    def say(self, text: str) -> None:
        """Show it for some seconds."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(SECONDS, self.remove)
        self.show(text)


async def say_on(screen: Screen[object], text: str) -> None:
    """A word in the last row of a screen, whatever stands there."""
    words = screen.query(Word)
    word = words.first() if words else Word()
    if not words:
        await screen.mount(word)
    word.say(text)


def selected_on(screen: Screen[object]) -> str:
    """What Ctrl+C copies: of the text field that has the focus, else what the mouse has marked."""
    field = screen.focused
    of_field = field.selected_text if isinstance(field, Input | TextArea) else ""
    return of_field or screen.get_selected_text() or ""


def clear(screen: Screen[object], prompt: Prompt) -> bool:
    """Empty the text field that a person looks at; whether there was anything in it.

    A prompt that cannot be seen is not cleared, nor a text of a form, which nothing would bring back.
    """
    field: Widget | None = screen.focused
    if isinstance(field, Input):
        filled = bool(field.value)
        field.value = ""
        return filled
    if prompt.screen is not screen or not prompt.is_on_screen or not prompt.text:
        return False
    prompt.take()
    return True
