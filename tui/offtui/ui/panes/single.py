"""What is done with single messages of the chat: asked anew, changed, gone on with, turned, deleted."""

from textual.containers import Vertical
from textual.reactive import var

from offtui.engine.state import Broken, Phase, SessionState
from offtui.ui.conversation import Conversation, Said
from offtui.ui.messages import TurnAsked
from offtui.ui.talking import Talk
from offtui.ui.transcript import Messages
from offtui.ui.widgets.prompt import Prompt


class SingleMessages(Vertical):
    """Owns the conversation, the transcript and the prompt."""

    session: var[SessionState] = var(SessionState())

    def __init__(self, system_prompt: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.transcript = Messages(id="transcript")
        self.transcript.paced = False  # the screen that takes the mail has it drawn
        self.prompt = Prompt(id="prompt", placeholder="Ask something, or / for a command")
        self.prompt.cursor_blink = False  # a blink is 160 bytes, twice a second, for ever
        self.talk = Talk(self.transcript, system_prompt)
        self._editing: Said | None = None
        """The question that is being changed."""
        self._put_aside = ""
        """What was typed before."""

    @property
    def conversation(self) -> Conversation:
        """What was said."""
        return self.talk.conversation

    def paint_above(self) -> None:
        """The row above the prompt."""
        raise NotImplementedError

    def _asked(self, turn: int) -> None:
        self.paint_above()
        self.post_message(TurnAsked(turn))

    def regenerate(self) -> None:
        """Answer the chosen question, or the last one, again; the answer that is there stays as another version."""
        said = self._chosen()
        if said is not None and self._is_idle() and (said.role == "user" or said.parent is not None):
            self._asked(self.talk.again(said))

    def answer_again(self, said: Said) -> int | None:
        """Have this answer written once more; its turn, or ``None`` where that cannot be now."""
        if said not in self.conversation.branch or not self._is_idle():
            return None
        turn = self.talk.again(said)
        self._asked(turn)
        return turn

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
        self.paint_above()

    def stop_editing(self) -> bool:
        """Leave the question as it was; whether one was being changed."""
        if self._editing is None:
            return False
        self._editing = None
        self.prompt.replace_text(self._put_aside)
        self.paint_above()
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
