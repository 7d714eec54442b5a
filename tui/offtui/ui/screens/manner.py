"""The panel of how answers are written: system prompt, sampling, grammar, thinking, what to do with a full context."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Grid, Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, TextArea

from offtui.errors import UsageError
from offtui.protocol.spec import Sampling
from offtui.store.manners import Manner, Manners
from offtui.text import clean, clean_line
from offtui.ui.key_line import border_keys
from offtui.ui.manner import VALUES, summary, value_text, with_value
from offtui.ui.widgets.cycle import Cycle
from offtui.ui.widgets.line import Line

NO_PRESET = "none"
_LONG = ("stop", "grammar", "json_schema")
_KEPT = ("grammar", "json_schema")
"""Too long for a row: an empty field leaves them as they are."""
_UNSET = {"seed": "another each time", "max_tokens": "no limit", "stop": "nothing but the end"}


@dataclass(frozen=True)
class Scope:
    """Something that the values can hold for."""

    title: str
    manner: Manner
    """What is chosen for it now."""
    below: Manner
    """What holds where nothing is chosen."""


class MannerScreen(ModalScreen[tuple[Manner, ...] | None]):
    """Dismisses with what is chosen for each scope; with ``None`` where nothing is to change."""

    AUTO_FOCUS = "#manner-temperature"

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "leave", "Back"),
        ("f8", "apply", "Apply"),
        ("ctrl+s", "name_preset", "Keep"),
        ("down", "app.focus_next", "Down"),
        ("up", "app.focus_previous", "Up"),
    ]

    def __init__(self, scopes: Sequence[Scope], manners: Manners, defaults: Sampling, *, can_think: bool) -> None:
        """A panel over some scopes; the first is shown.

        Args:
            scopes: what the values can hold for.
            manners: where presets are kept.
            defaults: the model's own values.
            can_think: whether its template knows the switch.
        """
        super().__init__()
        self._scopes = list(scopes)
        self._manners = manners
        self._defaults = Manner(sampling=defaults)
        self._can_think = can_think
        self._shown = 0

    def compose(self) -> ComposeResult:
        """The fields, which the first scope fills."""
        presets = [NO_PRESET, *self._manners.presets()]
        with VerticalScroll(id="manner-box") as box:
            box.border_title = "How answers are written"
            box.border_subtitle = border_keys(self, ("Enter", "apply"), ("^S", "keep a preset"))
            box.can_focus = False
            with Horizontal(classes="manner-row"):
                yield _label("for")
                yield Cycle([scope.title for scope in self._scopes], "", id="manner-scope")
                yield _label("preset")
                yield Cycle(presets, NO_PRESET, id="manner-preset")
            yield _label("system prompt")
            yield TextArea(id="manner-system", tab_behavior="focus", soft_wrap=True)
            with Grid(id="manner-values"):
                for name in [name for name in VALUES if name not in _LONG]:
                    yield _label(name)
                    yield self._field(name)
            for name in _LONG:
                with Horizontal(classes="manner-row"):
                    yield _label(name)
                    yield self._field(name)
            with Vertical(id="manner-foot"):
                yield Line(id="manner-about")
                yield Input(placeholder="a name for the preset, then Enter", id="manner-name")

    def _field(self, name: str) -> Input | Cycle:
        words = VALUES[name].words
        if words:
            return Cycle(words, "", id=f"manner-{name}")
        return Input(id=f"manner-{name}", select_on_focus=False)

    def on_mount(self) -> None:
        """Fill the fields."""
        self.query_one("#manner-name", Input).display = False
        self._fill(self._scopes[0].manner)

    # Keys

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Apply; of the preset's name, keep it."""
        message.stop()
        if message.input.id == "manner-name":
            self._keep_preset(clean_line(message.value, 60))
        else:
            self.action_apply()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Say what the field does."""
        name = (event.widget.id or "").removeprefix("manner-")
        if name in VALUES:
            self._say(self._about(name))
        elif name == "preset":
            self._say("←→ choose one; Del forgets it")
        elif name == "system":
            self._say("What the model is told before the conversation")
        elif name == "scope":
            self._say("←→ this chat alone, or every chat with this model")

    def on_key(self, event: events.Key) -> None:
        """Del on the preset forgets it."""
        cycle = self.query_one("#manner-preset", Cycle)
        if event.key == "delete" and cycle.has_focus and cycle.value != NO_PRESET:
            event.stop()
            self._manners.keep_preset(cycle.value, None)
            cycle.offer([NO_PRESET, *self._manners.presets()], NO_PRESET)
            self._say("The preset is forgotten; the values stay.")

    def on_cycle_turned(self, message: Cycle.Turned) -> None:
        """Another scope, or a preset's values."""
        message.stop()
        match message.cycle.id:
            case "manner-scope":
                titles = [scope.title for scope in self._scopes]
                if self._collect():
                    self._shown = titles.index(message.cycle.value)
                    self._fill(self._scopes[self._shown].manner)
                else:
                    message.cycle.choose(titles[self._shown])
            case "manner-preset" if message.cycle.value != NO_PRESET:
                preset = self._manners.presets().get(message.cycle.value)
                if preset is not None:
                    self._put(preset)
                    self._fill(preset)
                    self._say(f"{message.cycle.value}: {summary(preset)}")
            case _:
                pass

    def action_leave(self) -> None:
        """Nothing changes."""
        name = self.query_one("#manner-name", Input)
        if name.display:
            name.display = False
            self.query_one("#manner-preset", Cycle).focus()
        else:
            self.dismiss(None)

    def action_apply(self) -> None:
        """Take over what is there."""
        if self._collect():
            self.dismiss(tuple(scope.manner for scope in self._scopes))

    def action_name_preset(self) -> None:
        """Ask for the name of a preset of these values."""
        if self._collect():
            name = self.query_one("#manner-name", Input)
            chosen = self.query_one("#manner-preset", Cycle).value
            name.value = "" if chosen == NO_PRESET else chosen
            name.display = True
            name.focus()

    def _keep_preset(self, name: str) -> None:
        if not name or name == NO_PRESET:
            self._say("A preset needs a name.", "$error")
            return
        self._manners.keep_preset(name, self._scopes[self._shown].manner)
        self.query_one("#manner-name", Input).display = False
        preset = self.query_one("#manner-preset", Cycle)
        preset.offer([NO_PRESET, *self._manners.presets()], name)
        preset.focus()
        self._say(self._manners.notice or f"Kept as {name}; /preset {name} takes it.")

    # Fields

    def _fill(self, manner: Manner) -> None:
        """Show the values of a manner; what it leaves open is shown faintly."""
        below = self._scopes[self._shown].below.over(self._defaults)
        system = self.query_one("#manner-system", TextArea)
        system.load_text(manner.system_prompt or "")
        system.placeholder = Content(clean_line(below.system_prompt or "none", 60))
        for name, field in self._fields():
            text = value_text(manner, name)
            if isinstance(field, Cycle):
                field.choose(text)
            elif name in _KEPT:
                field.value = ""
                field.placeholder = _size(text) if text else "none"
            else:
                field.value = text
                field.placeholder = value_text(below, name) or _UNSET.get(name, "")

    def _collect(self) -> bool:
        """Take what is typed over into the scope that is shown; whether it can be meant."""
        manner = self._scopes[self._shown].manner
        system = clean(self.query_one("#manner-system", TextArea).text).strip()
        manner = msgspec.structs.replace(manner, system_prompt=system or None)
        for name, field in self._fields():
            if name in _KEPT and not field.value.strip():
                continue
            try:
                manner = with_value(manner, name, clean(field.value))
            except UsageError as error:
                field.focus()
                self._say(str(error), "$error")
                return False
        if manner.when_full == "stop" and self._scopes[self._shown].below.when_full in (None, "stop"):
            manner = msgspec.structs.replace(manner, when_full=None)
        self._put(manner)
        return True

    def _put(self, manner: Manner) -> None:
        self._scopes[self._shown] = Scope(self._scopes[self._shown].title, manner, self._scopes[self._shown].below)

    def _fields(self) -> Iterator[tuple[str, Input | Cycle]]:
        for name in VALUES:
            field = self.query_one(f"#manner-{name}")
            if isinstance(field, Input | Cycle):
                yield name, field

    def _about(self, name: str) -> str:
        if name == "think":
            return "whether it thinks first" if self._can_think else "this model's template has no switch for it"
        if name == "when_full":
            return "stop and say so · drop the oldest turns · larger: load a longer context where it fits"
        return VALUES[name].about + ("; auto takes it away" if name in _KEPT else "")

    def _say(self, text: str, style: str = "$quiet") -> None:
        self.query_one("#manner-about", Line).show(Content.styled(clean_line(text, 200), style))


def _label(text: str) -> Line:
    line = Line(classes="manner-label")
    line.show(Content.styled(text, "$secondary"))
    return line


def _size(text: str) -> str:
    lines = text.count("\n") + 1
    return f"set, {lines} lines; auto takes it away" if lines > 1 else f"{clean_line(text, 40)}  (set)"
