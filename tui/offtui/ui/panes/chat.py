"""The chat: what was said, what waits to be said, and the prompt. It owns the conversation."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import var
from textual.widgets import TextArea

from offtui.engine.moves import Moving
from offtui.engine.state import Occurrence, Phase, SessionState, WorkerEnded
from offtui.protocol.events import Loaded, LoadFailed, Piece, TurnEnded, TurnFailed
from offtui.protocol.facts import Failure, LayerCount
from offtui.text import clean_line
from offtui.ui import wording
from offtui.ui.commands import Where, bindings
from offtui.ui.conversation import Conversation, Outcome, Turn
from offtui.ui.messages import ModelNeeded, SlashTyped, TurnAsked
from offtui.ui.moving import MoveTale
from offtui.ui.panes.welcome import welcome
from offtui.ui.slash import hints, is_slash
from offtui.ui.transcript import Entry, Transcript
from offtui.ui.widgets.line import Line
from offtui.ui.widgets.prompt import Prompt
from offtui.units import seconds_text

_STOPS = {
    "max_tokens": "ended by the limit of tokens",
    "context_full": "the context is full: /new begins a new chat, /ctx makes it longer",
}


class ChatPane(Vertical):
    """Transcript, a row for what waits and for hints, prompt."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.CHAT)]

    session: var[SessionState] = var(SessionState())

    def __init__(self, keys: Mapping[str, str], system_prompt: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.conversation = Conversation(system_prompt)
        self._keys = keys
        self.as_before = ""
        """Which settings are those that the model had the last time; empty: none."""
        self._next_entry = 1
        self._said = False
        """Something stands in the transcript."""
        self._layers = LayerCount(0, 0, 0)
        self._told: Failure | None = None
        self._tale = MoveTale()
        self._noticed: tuple[str, ...] = ()
        """Of the last load."""

    def compose(self) -> ComposeResult:
        """From the top down."""
        yield Transcript(id="transcript", empty=welcome(self.session, self._keys, self.as_before))
        yield Line(id="above")
        prompt = Prompt(id="prompt", placeholder="Ask something, or / for a command")
        prompt.cursor_blink = False  # a blink is 160 bytes, twice a second, for ever
        yield prompt

    def on_mount(self) -> None:
        """Nothing has been said yet."""
        self._paint_above()

    @property
    def prompt(self) -> Prompt:
        """Where questions are typed."""
        return self.query_one(Prompt)

    @property
    def transcript(self) -> Transcript:
        """What was said."""
        return self.query_one(Transcript)

    def watch_session(self, state: SessionState) -> None:
        """Ask what waits as soon as there is somebody to answer."""
        if not self.is_mounted:
            return
        if not self._said and (text := welcome(state, self._keys, self.as_before)) != self.transcript.empty:
            self.transcript.empty = text
        if state.phase is Phase.READY:
            self._next()

    def on_resize(self) -> None:
        """Centre the invitation anew, at the width that has come about."""
        self.call_after_refresh(self._centre)

    def _centre(self) -> None:
        self.transcript.empty = self.transcript.empty

    def on_text_area_changed(self, message: TextArea.Changed) -> None:
        """While a command is typed, say which there are."""
        message.stop()
        self._paint_above()

    def on_prompt_submitted(self, message: Prompt.Submitted) -> None:
        """A question, or a command."""
        message.stop()
        text = message.text
        if is_slash(text):
            self.post_message(SlashTyped(text))
        elif text.strip():
            self.ask(text.removeprefix("/") if text.startswith("//") else text)

    def ask(self, question: str) -> None:
        """Ask now, later, or not yet: with no model up and none coming the text stays in the prompt."""
        if self.session.phase in (Phase.EMPTY, Phase.CRASHED, Phase.CLOSED):
            self.post_message(ModelNeeded())
            return
        self.prompt.take()
        self.conversation.waiting.append(question)
        if self.session.phase is Phase.READY:
            self._next()
        self._paint_above()

    def take_back_waiting(self) -> None:
        """Put the waiting questions back into the prompt: whoever stops an answer does not want the next one."""
        if self.conversation.waiting:
            self.prompt.restore("\n".join(self.conversation.waiting))
            self.conversation.waiting.clear()
            self._paint_above()

    def begin_anew(self) -> None:
        """A new chat; the one before is gone from the screen."""
        self.conversation.clear()
        self.transcript.clear()
        self._said = False
        self.transcript.empty = welcome(self.session, self._keys, self.as_before)
        self._paint_above()

    def regenerate(self) -> None:
        """Answer the last question again."""
        question = self.conversation.take_back()
        if question is not None:
            self.conversation.waiting.appendleft(question)
            self._next()

    def scroll_transcript(self, rows: str) -> None:
        """Scroll by ``page_up``, ``page_down``, ``up``, ``down``, or to the ``home`` or ``end``."""
        transcript = self.transcript
        {
            "page_up": transcript.action_page_up,
            "page_down": transcript.action_page_down,
            "up": transcript.action_scroll_up,
            "down": transcript.action_scroll_down,
            "home": transcript.action_scroll_home,
            "end": transcript.action_scroll_end,
        }[rows]()

    def notice(self, text: str) -> None:
        """Say something in the app's own voice."""
        self._add(Entry(self._new_id(), "notice", text))

    def fail(self, failure: Failure, way_back: str = "") -> None:
        """Say what failed, what proves it, what to do."""
        lines = wording.failure_lines(failure)
        self._add(Entry(self._new_id(), "error", "\n".join([*lines, way_back] if way_back else lines)))

    def error(self, text: str) -> None:
        """Say that a command could not be meant."""
        self._add(Entry(self._new_id(), "error", text))

    def hear(self, occurrences: Sequence[Occurrence], way_back: str, way_to_fit: str = "") -> None:
        """Take in what happened, in order.

        Args:
            occurrences: all since the last time.
            way_back: a sentence about the key that loads the last good model.
            way_to_fit: one about the key that loads what fits, where memory was short.
        """
        way_back = " ".join(part for part in (way_to_fit, way_back) if part)
        for occurrence in occurrences:
            match occurrence:
                case Piece():
                    self._piece(occurrence)
                case TurnEnded():
                    self._ended(occurrence)
                case TurnFailed():
                    self._failed(occurrence)
                case Loaded():
                    self._loaded(occurrence)
                case LoadFailed(failure=failure):
                    self._broken(failure, way_back)
                case WorkerEnded(failure=failure):
                    self._gone(failure, way_back)
                case _ if isinstance(occurrence, Moving):
                    self._moved(occurrence, way_to_fit)
                case _:
                    pass

    def _next(self) -> None:
        conversation = self.conversation
        if not conversation.waiting or conversation.open_turn is not None:
            return
        turn = conversation.ask(conversation.waiting.popleft())
        self._add(Entry(self._new_id(), "user", turn.question))
        self.transcript.begin(self._new_id(), name=wording.model_name(self.session))
        self._paint_above()
        self.post_message(TurnAsked(turn.id))

    def _piece(self, piece: Piece) -> None:
        turn = self.conversation.turn(piece.turn)
        if turn is None or turn.outcome is not Outcome.OPEN:
            return
        turn.add(piece.channel, piece.text)
        if piece.channel == "answer":
            self.transcript.feed(piece.text)
        else:
            self.transcript.feed(reasoning=piece.text)

    def _ended(self, event: TurnEnded) -> None:
        turn = self.conversation.turn(event.turn)
        if turn is None or turn.outcome is not Outcome.OPEN:
            return
        self.conversation.end(turn, event.stop, event.timings, got=self._layers.got, max=self._layers.max)
        self._close(turn, _STOPS.get(event.stop, ""))

    def _failed(self, event: TurnFailed) -> None:
        turn = self.conversation.turn(event.turn)
        if turn is None or turn.outcome is not Outcome.OPEN:
            return
        self.conversation.fail(turn, event.failure)
        self._close(turn, "")
        self.fail(event.failure)

    def _loaded(self, event: Loaded) -> None:
        self._layers = event.layers
        self._told = None
        is_part_of_move = self._tale.loaded(event)
        if self.conversation.turns and not is_part_of_move:
            name = clean_line(event.model.name) or wording.file_name(event.model.path)
            count = f"{event.layers.got} of {event.layers.max} layers on the device"
            before = f" · as last time: {self.as_before}" if self.as_before else ""
            self.notice(f"{name} loaded in {seconds_text(event.load_seconds)} · {count}{before}")
        for text in event.notices if self.conversation.turns else ():
            if not is_part_of_move or text not in self._noticed:
                self.notice(clean_line(text))
        self._noticed = event.notices

    def _moved(self, occurrence: Moving, way_to_fit: str) -> None:
        said = self._tale.hear(occurrence, way_to_fit)
        if said is not None and (said.role == "error" or self.conversation.turns):
            self._add(Entry(self._new_id(), said.role, said.text))

    def _broken(self, failure: Failure, way_back: str) -> None:
        self._interrupt(None if failure.kind == "cancelled" else failure)
        self._told = failure
        if failure.kind == "cancelled":
            self.notice(f"The load was cancelled. {way_back}".strip())
        else:
            self.fail(failure, way_back)

    def _gone(self, failure: Failure | None, way_back: str) -> None:
        self._interrupt(failure)
        if failure is not None and failure != self._told:
            self._told = failure
            self.fail(failure, way_back)

    def _interrupt(self, failure: Failure | None) -> None:
        turn = self.conversation.interrupt(failure)
        if turn is not None:
            self._close(turn, "")

    def _close(self, turn: Turn, note: str) -> None:
        stamp = " · ".join(part for part in (turn.stamp.text() if turn.stamp else "", note) if part)
        match turn.outcome:
            case Outcome.FAILED:
                self.transcript.end("failed", stamp)
            case Outcome.INTERRUPTED:
                self.transcript.end("stopped", stamp)
            case _:
                self.transcript.end("done", stamp)

    def _new_id(self) -> int:
        self._next_entry += 1
        return self._next_entry

    def _add(self, entry: Entry) -> None:
        self.transcript.append(entry)
        self._said = True

    def _paint_above(self) -> None:
        """The row above the prompt: the commands that what is typed may become, else what waits."""
        line = self.query_one("#above", Line)
        waiting, commands = self.conversation.waiting, hints(self.prompt.text)
        if commands:
            names = [
                Content.assemble((f"/{command.slash}", "$primary"), (f" {command.argument}".rstrip(), "$quiet"))
                for command in commands
            ]
            line.show_lines([Content("  ").join(names)])
        elif waiting:
            count = (f"{len(waiting)} waiting", "$accent")
            line.show_lines([Content.assemble(count, (f" · next: {clean_line(waiting[0], 200)}", "$quiet"))])
        else:
            line.show_lines([])
