"""Where the user writes: several lines, a history, and no way to lose what was typed."""

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.timer import Timer
from textual.widgets import TextArea

from offtui.text import clean
from offtui.ui.completion import Arguments, Completion, completion

BURST_SECONDS = 0.03
"""Keys that follow one another faster than this were pasted, or sent by a script, not typed."""
HISTORY_LIMIT = 500
"""Prompts kept for recall."""


class Prompt(TextArea, inherit_bindings=False):
    """A prompt of several lines that grows up to a third of the screen.

    Enter posts ``Submitted`` and leaves the text where it is: the owner takes it with ``take`` once it is accepted, so
    a prompt that cannot be sent now is never lost. Esc, PgUp, PgDn and Shift with an arrow are left to the owner.
    """

    @dataclass
    class Submitted(Message):
        """Enter was pressed on a prompt that is not blank."""

        prompt: "Prompt"
        text: str

        @property
        def control(self) -> "Prompt":
            """The prompt."""
            return self.prompt

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "cursor_up", show=False),
        Binding("down", "cursor_down", show=False),
        Binding("left", "cursor_left", show=False),
        Binding("right", "cursor_right", show=False),
        Binding("ctrl+left,alt+left", "cursor_word_left", show=False),
        Binding("ctrl+right,alt+right", "cursor_word_right", show=False),
        Binding("home", "cursor_line_start", show=False),
        Binding("end,ctrl+e", "cursor_line_end", show=False),
        Binding("shift+left", "cursor_left(True)", show=False),
        Binding("shift+right", "cursor_right(True)", show=False),
        Binding("ctrl+shift+left", "cursor_word_left(True)", show=False),
        Binding("ctrl+shift+right", "cursor_word_right(True)", show=False),
        Binding("shift+home", "cursor_line_start(True)", show=False),
        Binding("shift+end", "cursor_line_end(True)", show=False),
        Binding("backspace", "delete_left", show=False),
        Binding("delete,ctrl+d", "delete_right", show=False),
        Binding("ctrl+w", "delete_word_left", show=False),
        Binding("ctrl+u", "delete_to_start_of_line", show=False),
        Binding("ctrl+k", "delete_to_end_of_line_or_delete_line", show=False),
        Binding("ctrl+x", "cut", show=False),
        Binding("ctrl+v", "paste", show=False),
        Binding("ctrl+underscore", "undo", show=False),
        Binding("ctrl+y", "redo", show=False),
        Binding("ctrl+j,shift+enter", "newline", show=False, id="prompt.newline"),
    ]

    DEFAULT_CSS = """
    Prompt {
        height: auto;
        min-height: 3;
        max-height: 33vh;
        border: round $foreground 25%;
        padding: 0 1;
        background: $background;
        scrollbar-size-vertical: 1;
        &:focus { border: round $primary; }
        & .text-area--cursor-line { background: transparent; }
        & .text-area--placeholder { color: $foreground 40%; }
        &:ansi .text-area--placeholder { text-style: dim; }
    }
    """

    def __init__(
        self,
        *,
        placeholder: str = "",
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """Create an empty prompt.

        Args:
            placeholder: Shown while it is empty.
            name: The name of the widget.
            id: The id of the widget in the DOM.
            classes: The CSS classes of the widget.
        """
        super().__init__(
            placeholder=placeholder, name=name, id=id, classes=classes, highlight_cursor_line=False, soft_wrap=True
        )
        self.cursor_blink = False
        self._last_key = float("-inf")
        self._burst_lines = 0
        self._held: Timer | None = None
        self._past: list[str] = []
        self._place = 0
        self._draft = ""
        self.arguments: Arguments = {}
        """What may follow a command, for Tab."""
        self.completion: Completion | None = None
        """What Tab has made of the words before the cursor; ``None``: it was not the last key."""

    def take(self) -> str:
        """The text; it is remembered for recall and the prompt is empty again."""
        text = self.text
        self.remember(text)
        self.load_text("")
        return text

    def restore(self, text: str) -> None:
        """Put ``text`` back, before whatever was typed meanwhile, with the cursor at the end."""
        typed = self.text
        self._show(clean(text) if not typed.strip() else f"{clean(text)}\n{typed}")

    def replace_text(self, text: str) -> None:
        """Show ``text`` in the place of what is typed, with the cursor at the end."""
        self._show(clean(text))

    def remember(self, text: str) -> None:
        """Add a prompt to the history, unless it is blank or the newest one already."""
        text = clean(text)
        if text.strip() and self._past[-1:] != [text]:
            self._past.append(text)
            del self._past[:-HISTORY_LIMIT]
        self._place = len(self._past)

    @property
    def past(self) -> tuple[str, ...]:
        """Prompts taken, oldest first."""
        return tuple(self._past)

    def action_newline(self) -> None:
        """Begin another line."""
        self._type("\n")

    def action_submit(self) -> None:
        """Post the text, unless it is blank."""
        if self.text.strip():
            self.post_message(self.Submitted(self, self.text))

    def action_cursor_up(self, select: bool = False) -> None:
        """Move up; from the first row, recall the prompt before."""
        if not select and self.cursor_at_first_line and self.navigator.is_first_wrapped_line(self.cursor_location):
            self._recall(-1)
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """Move down; from the last row, recall the prompt after."""
        if not select and self.cursor_at_last_line and self.navigator.is_last_wrapped_line(self.cursor_location):
            self._recall(1)
        else:
            super().action_cursor_down(select)

    def _recall(self, step: int) -> None:
        place = self._place + step
        if not 0 <= place <= len(self._past):
            return
        if self._place == len(self._past):
            self._draft = self.text
        self._place = place
        self._show(self._draft if place == len(self._past) else self._past[place])

    def _show(self, text: str) -> None:
        self.load_text(text)
        self.move_cursor(self.document.end)

    def _type(self, text: str) -> None:
        if not self.read_only:
            self._replace_via_keyboard(text, *self.selection)

    async def _on_key(self, event: events.Key) -> None:
        """Act on a key at once, in the order of typing: bindings would let the characters behind them pass."""
        in_burst = event.time - self._last_key <= BURST_SECONDS
        self._last_key = event.time
        if not in_burst:
            self._burst_lines = 0
        self._let_go(newline=in_burst)
        if event.key in ("tab", "shift+tab") and self._complete(1 if event.key == "tab" else -1):
            event.stop()
            event.prevent_default()
            return
        self.completion = None
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self._enter(in_burst)
            return
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            event.stop()
            event.prevent_default()
            await self.run_action(binding.action)

    def _complete(self, by: int) -> bool:
        """Complete the word before the cursor, or turn to the next one it may become; whether there is any."""
        row, column = self.cursor_location
        before = self.get_text_range((0, 0), (row, column))
        known = self.completion
        if known is not None and before.endswith(known.text) and len(before) - len(known.text) == known.start:
            found = known.turned(by) if len(known.words) > 1 else None
        else:
            found = completion(before, self.arguments) if self.selection.is_empty else None
        self.completion = found
        if found is None:
            return known is not None
        head = before[: found.start]
        start = (head.count("\n"), len(head) - head.rfind("\n") - 1)
        self._replace_via_keyboard(found.text, start, (row, column))
        return True

    def _enter(self, in_burst: bool) -> None:
        """Send, but for a backslash before the cursor. Within a burst, wait for what follows before deciding."""
        row, column = self.cursor_location
        if self.selection.is_empty and self.document.get_line(row)[:column].endswith("\\"):
            self._replace_via_keyboard("\n", (row, column - 1), (row, column))
        elif in_burst:
            self._held = self.set_timer(BURST_SECONDS, self._decide)
        else:
            self.action_submit()

    def _decide(self) -> None:
        """Nothing followed a held Enter: it sends one line, and only ends a paste of several."""
        self._let_go(newline=self._burst_lines > 0)

    def _let_go(self, *, newline: bool) -> None:
        if self._held is None:
            return
        self._held.stop()
        self._held = None
        if newline:
            self._burst_lines += 1
            self._type("\n")
        else:
            self.action_submit()

    async def _on_paste(self, event: events.Paste) -> None:
        """Insert what was pasted, with line ends as newlines and without what acts on a terminal."""
        event.stop()
        event.prevent_default()
        self._let_go(newline=True)
        self._type(clean(event.text.replace("\r\n", "\n").replace("\r", "\n")))
