"""The chat: what was said, what waits to be said, and the prompt. It owns the conversation."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import var
from textual.timer import Timer
from textual.widgets import TextArea

from offtui.engine.moves import Moving
from offtui.engine.state import Broken, Occurrence, Phase, SessionState, TurnBroken, WorkerEnded
from offtui.errors import UsageError
from offtui.protocol.events import Loaded, LoadFailed, Piece, Tokenized, TurnEnded, TurnFailed
from offtui.protocol.facts import Failure
from offtui.store.chats.values import Chat
from offtui.text import clean_line
from offtui.ui import wording
from offtui.ui.attachments import expanded
from offtui.ui.commands import BY_ID, Where, bindings
from offtui.ui.conversation import Conversation, Said
from offtui.ui.drafting import Drafting
from offtui.ui.keys import keys_of
from offtui.ui.messages import CountWanted, Flashed, ModelNeeded, SlashTyped, TurnAsked
from offtui.ui.moving import MoveTale, broken_text
from offtui.ui.panes.above import above, weight
from offtui.ui.panes.welcome import welcome
from offtui.ui.slash import is_slash
from offtui.ui.talking import Talk
from offtui.ui.transcript import Messages
from offtui.ui.widgets.line import Line
from offtui.ui.widgets.prompt import Prompt
from offtui.units import seconds_text

DRAFT_SECONDS = 0.7
"""How long what is typed waits to be kept."""


class ChatPane(Vertical):
    """Transcript, a row for what waits and for hints, prompt."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.CHAT)]

    session: var[SessionState] = var(SessionState())

    def __init__(self, keys: Mapping[str, str], system_prompt: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._keys = keys
        self.as_before = ""
        """Which settings are those that the model had the last time; empty: none."""
        self.transcript = Messages(id="transcript")
        self.prompt = Prompt(id="prompt", placeholder="Ask something, or / for a command")
        self.prompt.cursor_blink = False  # a blink is 160 bytes, twice a second, for ever
        self.talk = Talk(self.transcript, system_prompt)
        self._told: Failure | None = None
        self._tale = MoveTale()
        self._noticed: tuple[str, ...] = ()
        """Of the last load."""
        self._editing: Said | None = None
        """The question that is being changed."""
        self._put_aside = ""
        """What was typed before."""
        self._draft_timer: Timer | None = None
        self.drafting = Drafting(self.set_timer, self._count, self._paint_above)
        self._weight = ""

    def compose(self) -> ComposeResult:
        """From the top down."""
        self.transcript.empty = welcome(self.session, self._keys, self.as_before)
        yield self.transcript
        yield Line(id="above")
        yield self.prompt

    def on_mount(self) -> None:
        """Nothing has been said yet."""
        self._paint_above()

    def on_unmount(self) -> None:
        """Nothing that is typed is lost."""
        self.save_draft()

    @property
    def conversation(self) -> Conversation:
        """What was said."""
        return self.talk.conversation

    def watch_session(self, state: SessionState) -> None:
        """Ask what waits as soon as there is somebody to answer."""
        if not self.is_mounted:
            return
        if self.talk.is_empty and (text := welcome(state, self._keys, self.as_before)) != self.transcript.empty:
            self.transcript.empty = text
        if state.phase is Phase.READY:
            self._next()

    def on_resize(self) -> None:
        """Centre the invitation anew, at the width that has come about."""
        self.call_after_refresh(self._centre)

    def _centre(self) -> None:
        self.transcript.empty = self.transcript.empty

    # The prompt

    def _count(self, number: int, text: str) -> None:
        self.post_message(CountWanted(number, text))

    def on_text_area_changed(self, message: TextArea.Changed) -> None:
        """While a command is typed, say which there are; keep what is typed."""
        message.stop()
        self.drafting.changed(self.prompt.text)
        self._paint_above()
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
        self._paint_above()

    def take_back_waiting(self) -> None:
        """Put the waiting questions back into the prompt: whoever stops an answer does not want the next one."""
        if self.conversation.waiting:
            self.prompt.restore("\n".join(self.conversation.waiting))
            self.conversation.waiting.clear()
            self._paint_above()

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

    def restore_draft(self, text: str) -> None:
        """What was typed when the last run ended, unless something is typed already."""
        if text and not self.prompt.text:
            self.prompt.replace_text(text)

    def _changed(self) -> None:
        self.transcript.empty = welcome(self.session, self._keys, self.as_before)
        self.keep_draft()
        self._paint_above()

    # Single messages

    def regenerate(self) -> None:
        """Answer the chosen question, or the last one, again; the answer that is there stays as another version."""
        said = self._chosen()
        if said is not None and self._is_idle() and (said.role == "user" or said.parent is not None):
            self._asked(self.talk.again(said))

    def go_on(self, *, after_end: bool = False) -> bool:
        """Have the last answer, which broke off, written on; whether it can be. ``after_end``: even if it did not."""
        branch = self.conversation.branch
        said = branch[-1] if branch else None
        broken = self.session.broken
        if broken is not None and said is not None and self._is_of(broken, said):
            self.post_message(TurnAsked(self.talk.go_on(said), go_on=True, broken=broken.turn))
            return True
        if not self._is_idle() or said is None or said.role != "assistant" or not said.text:
            return False
        if said.state == "done" and not after_end:
            return False
        self.post_message(TurnAsked(self.talk.go_on(said), go_on=True))
        return True

    def _is_of(self, broken: Broken, said: Said) -> bool:
        """Whether this is the answer that broke off, and nothing but its own model stands in its way."""
        loaded = self.session.loaded
        is_last = said.role == "assistant" and broken.turn == self.conversation.turn and self.conversation.open is None
        return is_last and (loaded is None or loaded.spec.model == broken.model)

    def edit(self) -> None:
        """Put the chosen question, or the last one, into the prompt, to ask something else in its place."""
        said = self._chosen()
        if said is not None and said.role == "assistant":
            said = said.parent
        if said is None or said.role != "user" or not self._is_idle():
            return
        if self._editing is None:
            self._put_aside = self.prompt.text
        self._editing = said
        self.prompt.replace_text(said.text)
        self.prompt.focus()
        self._paint_above()

    def stop_editing(self) -> bool:
        """Leave the question as it was; whether one was being changed."""
        if self._editing is None:
            return False
        self._editing = None
        self.prompt.replace_text(self._put_aside)
        self._paint_above()
        return True

    def turn_version(self, by: int) -> bool:
        """Show another version of the chosen message, or of the last one that has several; whether there is one."""
        said = self.talk.chosen()
        if said is None:
            several = (said for said in reversed(self.conversation.branch) if len(said.siblings) > 1)
            said = next(several, None)
        return said is not None and self.talk.turn_version(said, by)

    def remove_chosen(self) -> int:
        """Take the chosen message and what follows it out; how many messages that are."""
        said = self.talk.chosen()
        if said is None or self.conversation.open is not None:
            return 0
        self.stop_editing()
        return self.talk.remove(said)

    def chosen_text(self) -> str:
        """The source of the chosen message, else of the last answer; ``""``: there is none."""
        said = self.talk.chosen()
        if said is None:
            said = self.talk.last_answer()
        return said.text if said is not None else ""

    def _chosen(self) -> Said | None:
        branch = self.conversation.branch
        return self.talk.chosen() or (branch[-1] if branch else None)

    def _is_idle(self) -> bool:
        return self.session.phase is Phase.READY and self.conversation.open is None

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
                    self._gone(failure, way_back)
                case TurnBroken(broken=broken) if self.conversation.open is None:
                    self.notice(broken_text(broken, keys_of(BY_ID["session.go_on"], self._keys)))
                case _ if isinstance(occurrence, Moving):
                    self._moved(occurrence, way_to_fit)
                case _:
                    pass

    def _next(self) -> None:
        conversation = self.conversation
        if conversation.waiting and conversation.open is None:
            self._asked(self.talk.ask(conversation.waiting.popleft()))

    def _asked(self, turn: int) -> None:
        self._paint_above()
        self.post_message(TurnAsked(turn))

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
        self._paint_above()

    def _paint_above(self) -> None:
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
