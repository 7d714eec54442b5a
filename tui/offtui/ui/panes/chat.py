"""The chat: what was said, what waits to be said, and the prompt. It owns the conversation."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.timer import Timer
from textual.widgets import TextArea

from offtui.engine.moves import Moving
from offtui.engine.state import Occurrence, Phase, SessionState, TurnBroken, WorkerEnded
from offtui.errors import UsageError
from offtui.protocol.events import Loaded, LoadFailed, Piece, Tokenized, TurnEnded, TurnFailed
from offtui.protocol.facts import Failure
from offtui.store.chats.values import Chat, Stamp
from offtui.text import clean_line
from offtui.ui import wording
from offtui.ui.attachments import expanded
from offtui.ui.commands import BY_ID, Where, bindings
from offtui.ui.drafting import Drafting
from offtui.ui.keys import keys_of
from offtui.ui.messages import CountWanted, Flashed, ModelNeeded, SlashTyped
from offtui.ui.moving import MoveTale, broken_text
from offtui.ui.panes.above import above, weight
from offtui.ui.panes.single import SingleMessages
from offtui.ui.panes.welcome import welcome
from offtui.ui.slash import is_slash
from offtui.ui.widgets.line import Line
from offtui.ui.widgets.prompt import Prompt
from offtui.units import seconds_text

DRAFT_SECONDS = 0.7
"""How long what is typed waits to be kept."""


class ChatPane(SingleMessages):
    """Transcript, a row for what waits and for hints, prompt."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.CHAT)]

    def __init__(self, keys: Mapping[str, str], system_prompt: str, *, id: str | None = None) -> None:
        super().__init__(system_prompt, id=id)
        self._keys = keys
        self.as_before = ""
        """Which settings are those that the model had the last time; empty: none."""
        self.way_on = ""
        """With what else than before a broken answer would go on."""
        self._told: Failure | None = None
        self._just_opened = False
        """A chat that was kept, and nothing is known yet of the model that will go on with it."""
        self._tale = MoveTale()
        self._noticed: tuple[str, ...] = ()
        """Of the last load."""
        self._draft_timer: Timer | None = None
        self.drafting = Drafting(self.set_timer, self._count, self.paint_above)
        self._weight = ""

    def compose(self) -> ComposeResult:
        """From the top down."""
        yield self.transcript
        yield Line(id="above")
        yield self.prompt

    def on_mount(self) -> None:
        """Nothing has been said yet."""
        self.paint_above()

    def on_unmount(self) -> None:
        """Nothing that is typed is lost."""
        self.save_draft()

    def watch_session(self, state: SessionState) -> None:
        """Ask what waits as soon as there is somebody to answer."""
        if not self.is_mounted:
            return
        self._compare_models()
        if self.talk.is_empty and (text := welcome(state, self._keys, self.as_before)) != self.transcript.empty:
            self.transcript.empty = text
        if state.phase is Phase.READY:
            self._next()

    def on_resize(self) -> None:
        """Centre the invitation, at the width that has come about; the first one after the first picture."""
        self.call_after_refresh(self._invite)

    def _invite(self) -> None:
        self.transcript.empty = welcome(self.session, self._keys, self.as_before)

    # The prompt

    def _count(self, number: int, text: str) -> None:
        self.post_message(CountWanted(number, text))

    def on_text_area_changed(self, message: TextArea.Changed) -> None:
        """While a command is typed, say which there are; keep what is typed."""
        message.stop()
        self.drafting.changed(self.prompt.text)
        self.paint_above()
        if self._draft_timer is None:
            self._draft_timer = self.set_timer(DRAFT_SECONDS, self.keep_draft)

    def keep_draft(self) -> None:
        """Keep what is typed now."""
        if self._draft_timer is not None:
            self._draft_timer.stop()
            self._draft_timer = None
        self.save_draft()

    def save_draft(self) -> None:
        """The same from within a signal's handler."""
        if not is_slash(self.prompt.text):
            self.talk.keeping.draft(self._put_aside if self._editing is not None else self.prompt.text)

    def on_prompt_submitted(self, message: Prompt.Submitted) -> None:
        """A question, or a command."""
        message.stop()
        text = message.text
        if is_slash(text):
            self.post_message(SlashTyped(text))
        elif text.strip():
            if self.drafting.holds(text):
                self.paint_above()
                return
            try:
                self.ask(expanded(text.removeprefix("/") if text.startswith("//") else text))
            except UsageError as error:
                self.post_message(Flashed(str(error), "$error"))

    def ask(self, question: str) -> None:
        """Ask now, later, or not yet: with no model up and none coming the text stays in the prompt."""
        if self.session.phase in (Phase.EMPTY, Phase.CRASHED, Phase.CLOSED):
            self.post_message(ModelNeeded())
            return
        if self._editing is not None:
            if self._is_idle():
                said, self._editing = self._editing, None
                self.prompt.take()
                self.prompt.replace_text(self._put_aside)
                self._asked(self.talk.fork(said, question))
            else:
                self.notice("A question can be changed when nothing is being answered or loaded.")
            return
        self.prompt.take()
        self.transcript.choose(None)
        self.conversation.waiting.append(question)
        if self.session.phase is Phase.READY:
            self._next()
        self.paint_above()

    def take_back_waiting(self) -> None:
        """Put the waiting questions back into the prompt: whoever stops an answer does not want the next one."""
        if self.conversation.waiting:
            self.prompt.restore("\n".join(self.conversation.waiting))
            self.conversation.waiting.clear()
            self.paint_above()

    # Whole chats

    def begin_anew(self) -> None:
        """A new chat; the one before is kept. What is typed goes along."""
        self.take_back_waiting()
        if self._editing is not None:
            self.stop_editing()
        else:
            self.talk.keeping.draft("")
        self.talk.begin_anew()
        self._changed()

    def open_chat(self, chat: Chat, hit: int | None = None) -> None:
        """A chat that was kept, with its draft; ``hit``: a message of it to show."""
        self.stop_editing()
        self.take_back_waiting()
        self.keep_draft()
        self.talk.open(chat, hit)
        self.prompt.replace_text(chat.draft)
        self._changed()
        self._just_opened = True
        self._compare_models()

    def _compare_models(self) -> None:
        """Say, once, that another model goes on with the chat than the one that wrote it."""
        if self._just_opened and self.session.loaded is not None:
            self._just_opened = False
            before = self.talk.written_by_another(Stamp.of(self.session.loaded))
            if before:
                keys = " or ".join(keys_of(BY_ID["models.open"], self._keys)[:1])
                name = Stamp.of(self.session.loaded).name()
                self.notice(f"{before} wrote this chat's last answer; {name} goes on with it. {keys} chooses another.")

    def restore_draft(self, text: str) -> None:
        """What was typed when the last run ended, unless something is typed already."""
        if text and not self.prompt.text:
            self.prompt.replace_text(text)

    def _changed(self) -> None:
        self._invite()
        self.keep_draft()
        self.paint_above()

    def scroll_transcript(self, rows: str) -> None:
        """Scroll by ``page_up``, ``page_down``, ``up``, ``down``, or to the ``home`` or ``end``."""
        getattr(self.transcript, f"action_{rows}" if rows.startswith("page") else f"action_scroll_{rows}")()

    # The app's own voice

    def notice(self, text: str) -> None:
        """Say something in the app's own voice."""
        self.talk.say("notice", text)

    def fail(self, failure: Failure, way_back: str = "") -> None:
        """Say what failed, what proves it, what to do."""
        lines = wording.failure_lines(failure)
        self.talk.say("error", "\n".join([*lines, way_back] if way_back else lines))

    def error(self, text: str) -> None:
        """Say that a command could not be meant."""
        self.talk.say("error", text)

    # What happens

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
                    self.talk.piece(occurrence)
                case TurnEnded():
                    self.talk.ended(occurrence)
                case TurnFailed(turn=turn, failure=failure):
                    if self.talk.failed(turn, failure):
                        self.fail(failure)
                case Loaded():
                    self._loaded(occurrence)
                    self.drafting.again()
                case Tokenized():
                    self.drafting.hear(occurrence)
                case LoadFailed(failure=failure):
                    self._broken(failure, way_back)
                case WorkerEnded(failure=failure):
                    self._tale.gone()
                    self._gone(failure, way_back)
                case TurnBroken(broken=broken) if self.conversation.open is None:
                    self.notice(broken_text(broken, keys_of(BY_ID["session.go_on"], self._keys), self.way_on))
                case _ if isinstance(occurrence, Moving):
                    self._moved(occurrence, way_to_fit)
                case _:
                    pass
        # With whatever else changes now: each picture costs more than what is in it.
        self.transcript.flush()

    def _next(self) -> None:
        conversation = self.conversation
        if conversation.waiting and conversation.open is None:
            self._asked(self.talk.ask(conversation.waiting.popleft()))

    def _loaded(self, event: Loaded) -> None:
        self.talk.loaded(event)
        self._told = None
        is_part_of_move = self._tale.loaded(event)
        has_said = bool(self.conversation.branch)
        if has_said and not is_part_of_move:
            name = clean_line(event.model.name) or wording.file_name(event.model.path)
            count = f"{event.layers.got} of {event.layers.max} layers on the device"
            before = f" · as last time: {self.as_before}" if self.as_before else ""
            self.notice(f"{name} loaded in {seconds_text(event.load_seconds)} · {count}{before}")
        for text in event.notices if has_said else ():
            if not is_part_of_move or text not in self._noticed:
                self.notice(clean_line(text))
        self._noticed = event.notices

    def _moved(self, occurrence: Moving, way_to_fit: str) -> None:
        said = self._tale.hear(occurrence, way_to_fit)
        if said is not None and (said.role == "error" or self.conversation.branch):
            self.talk.say(said.role, said.text)

    def _broken(self, failure: Failure, way_back: str) -> None:
        self.talk.interrupt(None if failure.kind == "cancelled" else failure)
        self._told = failure
        if failure.kind == "cancelled":
            self.notice(f"The load was cancelled. {way_back}".strip())
        else:
            self.fail(failure, way_back)

    def _gone(self, failure: Failure | None, way_back: str) -> None:
        if failure is None:
            return  # its turn had ended before; one that is open waits for the next worker
        self.talk.interrupt(failure)
        if failure != self._told:
            self._told = failure
            self.fail(failure, way_back)

    def on_markable_transcript_marking_changed(self) -> None:
        """Say which keys there are."""
        self.paint_above()

    def paint_above(self) -> None:
        """The row above the prompt, and the weight of the draft in its border."""
        editing, marking = self._editing is not None, self.transcript.marking
        waiting = self.conversation.waiting
        self.query_one("#above", Line).show_lines(
            above(self.prompt, self.drafting, waiting, editing=editing, marking=marking)
        )
        loaded = self.session.loaded
        left = None if loaded is None else loaded.n_ctx - self.session.n_past
        text = weight(self.drafting.tokens, left)
        if text.plain != self._weight:
            self._weight = text.plain
            self.prompt.border_subtitle = Content.assemble(text)  # pyright: ignore[reportAttributeAccessIssue] -- Textual takes one
