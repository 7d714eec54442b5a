"""Two answers to one question: side by side, or one above the other where the terminal is narrow."""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content

from offtui.text import clean_line
from offtui.ui.comparing import head_lines, verdict, versions_of
from offtui.ui.conversation import Said
from offtui.ui.key_line import key_line
from offtui.ui.narrow import OpaqueScreen
from offtui.ui.talking import entry_of, name_of
from offtui.ui.transcript import Transcript
from offtui.ui.widgets.line import Line

BESIDE = 100
"""Columns from which on there is room for two texts beside one another."""
_KEYS = (("1 2", "go on with that one"), ("< >", "other versions"), ("j k", "scroll"))
_SHORT = (("1 2", "take"), ("< >", "versions"), ("j k", "scroll"))


class CompareScreen(OpaqueScreen):
    """Two versions of an answer, scrolled together; one of them is gone on with, or none of them."""

    AUTO_FOCUS = "#compare-one"
    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q", "leave", "Back"),
        ("less_than_sign,left", "turn(-1)", "The version before"),
        ("greater_than_sign,right", "turn(1)", "The version after"),
        ("1", "take(0)", "Go on with the first"),
        ("2", "take(1)", "Go on with the second"),
        ("j,down", "roll('scroll_down')", "Row down"),
        ("k,up", "roll('scroll_up')", "Row up"),
        ("pagedown,space", "roll('page_down')", "Page down"),
        ("pageup", "roll('page_up')", "Page up"),
        ("g,home", "roll('scroll_home')", "First row"),
        ("G,end", "roll('scroll_end')", "Last row"),
        ("ctrl+t", "reasoning", "Show or hide reasoning"),
    ]

    def __init__(self, one: Said, other: Said, take: Callable[[Said], None]) -> None:
        """Show them.

        Args:
            one: the first.
            other: the second, in whose place other versions can be looked at.
            take: called with the version to go on with.
        """
        super().__init__()
        self.pair = [one, other]
        self._chosen = take

    def compose(self) -> ComposeResult:
        """The question, two stamps over two texts, what came of it, the keys."""
        yield Line(id="compare-question")
        with Horizontal(id="compare-body"):
            for id in ("one", "other"):
                with Vertical(classes="compare-side"):
                    yield Line(id=f"compare-{id}-head")
                    yield Transcript(id=f"compare-{id}")
        yield Line(id="compare-verdict")
        yield Line(id="compare-keys")

    def on_mount(self) -> None:
        """Both from their first rows on."""
        self._fill(0)
        self._fill(1)
        self._say()
        self.on_resize()

    def on_resize(self) -> None:
        """Beside one another, or one above the other."""
        wide = self.size.width >= BESIDE
        self.query_one("#compare-body").set_class(not wide, "-above")
        keys = _KEYS if wide else _SHORT
        self.query_one("#compare-keys", Line).show(key_line(keys, self.size.width - 2, leave=("Esc", "back")))

    def action_roll(self, how: str) -> None:
        """Scroll both, so that the same place of both is seen."""
        for transcript in self.query(Transcript):
            getattr(transcript, f"action_{how}")()

    def action_reasoning(self) -> None:
        """Of both."""
        for transcript in self.query(Transcript):
            transcript.toggle_reasoning()

    def action_turn(self, by: int) -> None:
        """Another version in the second place; the one in the first stays."""
        versions = [version for version in versions_of(self.pair[1]) if version is not self.pair[0]]
        place = versions.index(self.pair[1]) + by
        if 0 <= place < len(versions):
            self.pair[1] = versions[place]
            self._fill(1)
            self._say()

    def action_take(self, place: int) -> None:
        """Go on with this one."""
        self.dismiss(None)
        self._chosen(self.pair[place])

    def action_leave(self) -> None:
        """As it was."""
        self.dismiss(None)

    def _fill(self, place: int) -> None:
        said, id = self.pair[place], ("one", "other")[place]
        versions = versions_of(said)
        version = f"version {versions.index(said) + 1} of {len(versions)}"
        name = clean_line(name_of(said).partition("  ‹")[0], 60)
        heads = head_lines(said, place + 1, " · ".join(part for part in (name, version) if part))
        self.query_one(f"#compare-{id}-head", Line).show_lines(heads)
        transcript = self.query_one(f"#compare-{id}", Transcript)
        transcript.clear()
        # Its stamp stands above it, where it is seen whatever is scrolled.
        transcript.append(dataclasses.replace(entry_of(said), stamp="", name=""))
        self.call_after_refresh(transcript.action_scroll_home)

    def _say(self) -> None:
        one, other = self.pair
        question = one.parent.text if one.parent is not None else ""
        self.query_one("#compare-question", Line).show(Content.styled(clean_line(question, 400), "bold $accent"))
        self.query_one("#compare-verdict", Line).show(Content.styled(verdict(one, other), "$foreground"))
