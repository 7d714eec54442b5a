"""The main screen: it routes. Intents come up from the panes and go on to the session; facts are bound down."""

import time
from collections.abc import Callable
from typing import ClassVar, cast

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from offtui.engine.state import Phase, SessionState
from offtui.errors import OfftuiError
from offtui.options import Options
from offtui.protocol.events import Piece, TurnEnded
from offtui.recorder.devices import has_device
from offtui.recorder.tape import Tape
from offtui.store.manners import Manners
from offtui.ui import messages, slash
from offtui.ui.arming import Arming
from offtui.ui.bridge import Mail
from offtui.ui.commands import BY_ID, Situation, Where, bindings
from offtui.ui.interrupting import Word, clear, say_on, selected_on
from offtui.ui.keys import keys_of
from offtui.ui.moving import is_stoppable
from offtui.ui.panes.chat import ChatPane
from offtui.ui.panes.column import Column
from offtui.ui.panes.dial import DialPane
from offtui.ui.panes.footer import KeyFooter
from offtui.ui.panes.ledger import LedgerPane
from offtui.ui.panes.models import ModelList, ModelsPane
from offtui.ui.panes.monitor import MonitorPane
from offtui.ui.panes.status import StatusLine
from offtui.ui.ports import Desk, Memory, Shelving
from offtui.ui.screens.arrangement import Pane, beside, covering, pane_of, seen, size_classes
from offtui.ui.screens.comparing import ComparingScreen
from offtui.ui.screens.places import place_of
from offtui.ui.themes import theme_files
from offtui.ui.transcript import Transcript
from offtui.ui.widgets.prompt import Prompt

FLUSH = 1 / 10
"""Seconds between two looks into the mailbox while an answer is written."""
FIGURES = 0.4
"""Seconds that figures about a running answer stay: each time, every pane is told."""


class MainScreen(ComparingScreen):
    """Models, chat, monitor, dial and ledger, arranged by the width of the terminal."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.ANYWHERE), *bindings(Where.OUTSIDE_TEXT)]
    AUTO_FOCUS = "#prompt"

    def __init__(
        self,
        options: Options,
        desk: Desk,
        take_mail: Callable[[], Mail | None],
        tape: Tape,
        memory: Memory | None = None,
        manners: Manners | None = None,
    ) -> None:
        super().__init__(options, tape, memory, desk, manners or Manners(None))
        self._take_mail = take_mail
        self._quitting = Arming()
        self._figures_due = 0.0
        self.answers: list[TurnEnded] = []
        """Every turn that ended, for the line at the exit."""

    def compose(self) -> ComposeResult:
        """Three columns over two rows; the style sheet says which are seen."""
        # Before the first layout, so that nothing is ever laid out or styled for a size it does not get.
        self._arrange()
        columns = beside(self._app.size.width)
        with Horizontal(id="body"):
            models = ModelsPane(self._options.model, id="models").data_bind(MainScreen.session)
            models.display = "models" in columns
            yield models
            yield ChatPane(self._keys, self._options.config.system_prompt, id="chat").data_bind(MainScreen.session)
            with Column(id="side") as side:
                side.display = "side" in columns
                yield MonitorPane(self.tape, graph=self._options.config.graph, id="monitor").data_bind(
                    MainScreen.session,
                    MainScreen.sample,
                    MainScreen.draft,
                    MainScreen.placement,
                    MainScreen.plan,
                    MainScreen.answer,
                )
                yield DialPane(graph=self._options.config.graph, price=self.steering.price, id="dial").data_bind(
                    MainScreen.session, MainScreen.plan, MainScreen.study, MainScreen.trouble
                )
                yield LedgerPane(id="ledger").data_bind(MainScreen.session, MainScreen.plan)
        yield StatusLine(id="status").data_bind(
            MainScreen.session,
            MainScreen.sample,
            MainScreen.draft,
            MainScreen.placement,
            MainScreen.hint,
            MainScreen.study,
        )
        yield KeyFooter(dict(self._keys), id="footer")

    def on_mount(self) -> None:
        """The pump runs only while an answer is written."""
        self._pump = self.set_interval(FLUSH, self.collect_mail, pause=True)
        self._arrange()
        self._look_around()

    # Facts

    def on_mail_arrived(self) -> None:
        """The session has something to tell."""
        self.collect_mail()

    def collect_mail(self) -> None:
        """Take all mail: what happened in order, then the newest state."""
        mail = self._take_mail()
        if mail is None:
            self.chat.transcript.flush()  # what came a moment after the last time
            return
        self.steering.note(mail.state, mail.occurrences)
        if self.is_covered_news(mail):
            return
        self.chat.as_before = self.steering.as_before
        self.chat.way_on = self.steering.way_on()
        self.query_one(KeyFooter).hear(mail.occurrences)
        self.answers += [fact for fact in mail.occurrences if isinstance(fact, TurnEnded)]
        if self._is_only_progress(mail):
            self.chat.hear(mail.occurrences, "", "")
            return
        is_answer = all(isinstance(fact, Piece) for fact in mail.occurrences)
        self.chat.hear(mail.occurrences, *(("", "") if is_answer else (self.way_back(), self.way_to_fit())))
        self.session = mail.state
        self.follow(mail.state)
        self.heed(mail.state, mail.occurrences)

    def _is_only_progress(self, mail: Mail) -> bool:
        """Nothing but more of the answer, and the figures about it were shown a moment ago."""
        state, now = mail.state, time.monotonic()
        same = state.phase is self.session.phase is Phase.GENERATING and state.move is self.session.move
        if same and now < self._figures_due and all(isinstance(fact, Piece) for fact in mail.occurrences):
            return True
        self._figures_due = now + FIGURES
        return False

    def on_library_read(self, message: messages.LibraryRead) -> None:
        """The library has changed."""
        self.query_one(ModelsPane).on_library_read(message)

    def watch_session(self, before: SessionState, after: SessionState) -> None:
        """Pump while an answer is written; other keys may matter now."""
        if self.is_mounted and before.phase is not after.phase:
            if after.phase in (Phase.GENERATING, Phase.STOPPING):
                self._pump.resume()
            else:
                self._pump.pause()
        if _keys_of_state(before) != _keys_of_state(after):
            self._look_around()

    def watch_open_pane(self) -> None:
        """Cover the chat, or uncover it."""
        self._arrange()
        self._look_around()

    def on_descendant_focus(self) -> None:
        """Other keys matter where the focus is now."""
        self._look_around()

    # Intents from the panes

    def on_model_chosen(self, message: messages.ModelChosen) -> None:
        """Another model; the chat goes on with it."""
        self.leave_study()
        self.steering.model(message.path)
        self.action_leave_pane()

    def on_model_needed(self) -> None:
        """Nobody is there to answer: the text stays, the list opens."""
        self.flash("No model is loaded: choose one. Your question stays in the prompt.")
        self.action_models()

    def on_pane_left(self) -> None:
        """Back to the prompt."""
        self.action_leave_pane()

    def on_slash_typed(self, message: messages.SlashTyped) -> None:
        """Run a command from the prompt; a mistake is said and the text stays."""
        self.query_one(KeyFooter).calm()
        try:
            call = slash.parse(message.text)
            self._run_call(call)
        except OfftuiError as error:
            self._complain(error)
            return
        prompt = self.chat.prompt
        if prompt.text == message.text:
            prompt.take()

    def _run_call(self, call: slash.Call) -> None:
        argument = call.argument
        match call.command.id:
            case "dial.open" if argument:
                if word := self.steering.layers_text(argument, self.session):
                    self.flash(word, "$primary")
            case "models.open" if argument:
                self.steering.model_text(argument)
            case "hub.open" if argument:
                self.action_hub(argument)
            case "monitor.export":
                self.action_export_history(argument)
            case "message.find" if argument:
                self.find(argument)
            case "message.compare" if argument:
                self.compare_at(argument)
            case "chats.title" if argument:
                self.name_chat(argument)
            case "chats.export" if argument:
                self.export_chat(argument)
            case "app.theme" if argument:
                self._desk.wear(argument)
            case id if self.set_value(id, argument):
                pass
            case id if id.startswith("set."):
                self.flash(self.steering.set(id, argument), "$primary")
            case _:
                if call.command.applies(self._situation()):
                    self.call_next(self.run_action, call.command.action)
                else:
                    self.flash(f"/{call.command.slash} has nothing to do now.")

    # Actions

    def action_stop(self) -> None:
        """Stop the load or the turn; questions that wait go back to the prompt."""
        self.chat.take_back_waiting()
        self.steering.stop()

    def action_back(self) -> None:
        """Out of a pane; in the chat, stop what is running. Never quits, never clears text."""
        if self.open_pane or not self._in_chat():
            self.action_leave_pane()
        elif self.chat.stop_editing():
            pass
        elif is_stoppable(self.session):
            self.action_stop()
        else:
            self.chat.transcript.choose(None)
            self.chat.prompt.focus()

    async def action_interrupt(self) -> None:
        """Copy a selection, else stop what runs, else clear the text field, else quit the second time."""
        screen, armed = self._app.screen, self._quitting.disarm()
        if selected := selected_on(screen):
            await self._say(self._desk.copy(selected))
        elif is_stoppable(self.session):
            self.action_stop()
        elif self.session.phase is Phase.STOPPING:
            await self._say("Stopping…")
        elif clear(screen, self.chat.prompt):
            pass
        elif armed:
            self._app.exit()
        else:
            self._quitting.arm()
            quit_key = " or ".join(["Ctrl+C again", *keys_of(BY_ID["app.quit"], self._keys)[:1]])
            await self._say(f"{quit_key} quits")

    async def _say(self, text: str) -> None:
        """Where it is seen."""
        if self._app.screen is self:
            self.flash(text)
        else:
            await say_on(self._app.screen, text)

    def disarm(self) -> None:
        """Something else than another Ctrl+C came: the next one quits nothing, and is not said to."""
        if self._quitting.disarm():
            self.query_one(KeyFooter).calm()
            self._app.screen.query(Word).remove()

    def action_dial(self) -> None:
        """To the dial."""
        self._open("dial", self.query_one(DialPane))

    def action_models(self) -> None:
        """To the models."""
        self._open("models", self.query_one(ModelList))

    def action_monitor(self) -> None:
        """To the monitor, and back."""
        if self.open_pane == "monitor":
            self.action_leave_pane()
            return
        self._open("monitor", self.query_one(MonitorPane))

    def action_theme(self) -> None:
        """Choose colours from a list."""
        from offtui.ui.screens.choice import Choice, ChoiceScreen

        names = sorted(theme_files())
        self._app.push_screen(ChoiceScreen("Colours", [Choice(name, name) for name in names]), self._theme_chosen)

    def action_palette(self) -> None:
        """Choose a command from a list."""
        from offtui.ui.screens.choice import ChoiceScreen, command_choices

        choices = command_choices(self._situation(), self._keys)
        self._app.push_screen(ChoiceScreen("Commands", choices), self._command_chosen)

    def action_help(self) -> None:
        """Every command and its keys."""
        from offtui.ui.screens.help import HelpScreen

        self._app.push_screen(HelpScreen(self._keys))

    def _theme_chosen(self, name: str | None) -> None:
        if name is not None:
            try:
                self._desk.wear(name)
            except OfftuiError as error:
                self._complain(error)

    async def _command_chosen(self, id: str | None) -> None:
        if id is None:
            return
        command = BY_ID[id]
        if id.startswith("set."):
            self.chat.prompt.restore(f"/{command.slash} ")
            self.action_leave_pane()
        else:
            await self.run_action(command.action)

    # Where things are

    def attach_shelf(self, shelf: Shelving) -> None:
        """Take the library over."""
        self.query_one(ModelsPane).attach(shelf)

    @property
    def _app(self) -> App[None]:
        return cast("App[None]", self.app)  # pyright: ignore[reportUnknownMemberType] -- Textual leaves App[Unknown]

    def _complain(self, error: OfftuiError) -> None:
        """In the last row, or in the chat where that is too short."""
        if not self.query_one(KeyFooter).complain(str(error)):
            self.chat.error(str(error))

    def _open(self, pane: Pane, focused: Widget) -> None:
        self.open_pane = covering(pane, self._app.size.width)
        self.set_focus(focused)

    def on_resize(self) -> None:
        """A pane that now has a place of its own no longer covers the chat, and the other way round."""
        focused = self.focused
        self.open_pane = ""
        if focused is not None and not self._in_chat():
            self._open(pane_of(node.id for node in focused.ancestors_with_self), focused)
        self._arrange()

    def _arrange(self) -> None:
        size = self._app.size
        for name, belongs in size_classes(size.width, size.height, self.open_pane).items():
            self.set_class(belongs, name)
        for id, shown in seen(size.width, self.open_pane).items() if self.is_mounted else ():
            widget = self.query_one(f"#{id}")
            if widget.display != shown:
                widget.display = shown

    def _in_chat(self) -> bool:
        return self.focused is None or isinstance(self.focused, Prompt | Transcript)

    def _place(self) -> Where:
        return place_of(self.focused.ancestors_with_self if self.focused is not None else ())

    def _situation(self) -> Situation:
        return Situation(
            self.session.phase,
            self._place(),
            pane_open=not self._in_chat(),
            has_device=has_device(self.session),
            way_back=self.steering.way_back_name(),
            has_turns=bool(self.chat.conversation.branch),
            can_fit=self.steering.can_fit,
            can_go_on=self.session.broken is not None,
            moving=self.session.move is not None,
        )

    def _look_around(self) -> None:
        if self.is_mounted:
            self.query_one(KeyFooter).situation = self._situation()


def _keys_of_state(state: SessionState) -> tuple[object, ...]:
    """What decides which keys matter."""
    return state.phase, id(state.loaded), state.move is not None, state.failure, state.broken
