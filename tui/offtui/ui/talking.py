"""The conversation on the screen: what is done to it goes to the tree, to the transcript and to the keeper alike."""

import contextlib
import gc
from collections.abc import Generator, Sequence
from functools import partial

import msgspec

from offtui.protocol.events import Loaded, Piece, TurnEnded
from offtui.protocol.facts import Failure
from offtui.store.chats.values import Chat, Stamp
from offtui.ui.conversation import Conversation, Said
from offtui.ui.keeping import Keeping
from offtui.ui.transcript import Entry, EntryState, Messages, Role, Sketch

_NOTES = {
    "max_tokens": "ended by the limit of tokens",
    "context_full": "the context is full: /new begins a new chat, /ctx makes it longer",
}
_CAUSES = {
    "crashed": "the worker died",
    "internal": "the worker died",
    "device_lost": "a device was lost",
    "out_of_memory": "memory ran out",
    "timeout": "the worker hung",
}
"""Why an answer broke off, as short as it can be told, by the kind of failure."""
_STATES: dict[str, EntryState] = {"open": "streaming", "done": "done", "stopped": "stopped", "failed": "failed"}


class Talk:
    """One conversation at a time, and what else is said beside it."""

    def __init__(self, transcript: Messages, system_prompt: str) -> None:
        self.conversation = Conversation(system_prompt)
        self.keeping = Keeping()
        self._transcript = transcript
        self._system_prompt = system_prompt
        self._loaded: Loaded | None = None
        self._next_note = -1
        self._removed: list[Said] = []
        """For undo, the newest last."""
        self._turns: dict[int, list[int]] = {}
        """Turns that wrote an answer, by its id; more than one where it went on after breaking off."""
        self._paid: dict[int, float] = {}
        """Joules by turn."""

    @property
    def is_empty(self) -> bool:
        """Nothing has been said, by nobody."""
        return self._transcript.is_empty

    # Asking

    def ask(self, question: str) -> int:
        """The next question; its turn."""
        answer = self.conversation.ask(question)
        said = self.conversation.branch[-2]
        self._transcript.append(entry_of(said))
        return self._begin(answer, begun=[said])

    def again(self, said: Said) -> int:
        """Another answer to a question; its turn."""
        place = self.conversation.branch.index(said)
        answer = self.conversation.again(said)
        says_nothing = not said.text and not said.reasoning and not said.versions
        if said.role == "assistant" and says_nothing and said.parent is not None:
            said.parent.versions.remove(said)  # nothing was said: that is no version worth keeping
            self.keeping.removed(said)
        self._cut(place if said.role == "assistant" else place + 1)
        return self._begin(answer)

    def fork(self, said: Said, question: str) -> int:
        """Another question in the place of one; its turn."""
        if said not in self.conversation.branch:  # another version was shown while this one was changed
            self._redraw(self.conversation.show(said))
            self.keeping.shown(said)
        place = self.conversation.branch.index(said)
        answer = self.conversation.fork(said, question)
        question_said = self.conversation.branch[-2]
        self._cut(place)
        self._transcript.append(entry_of(question_said))
        return self._begin(answer, begun=[question_said])

    def go_on(self, said: Said) -> int:
        """An answer that broke off is written on; its turn."""
        self.conversation.go_on(said)
        said.stamp = Stamp.of(self._loaded) if self._loaded is not None else None
        turn = self.conversation.turn
        self._transcript.begin(said.id)
        self._turns.setdefault(said.id, []).append(turn)
        self.keeping.asked(said, turn)
        return turn

    def _begin(self, answer: Said, *, begun: Sequence[Said] = ()) -> int:
        answer.stamp = Stamp.of(self._loaded) if self._loaded is not None else None
        self._removed.clear()
        turn = self.conversation.turn
        self._turns[answer.id] = [turn]
        self.keeping.asked(answer, turn, begun=begun)
        self._transcript.begin(answer.id, name=name_of(answer))
        return turn

    # Answers

    def loaded(self, event: Loaded) -> None:
        """This model writes from now on."""
        self._loaded = event

    def piece(self, piece: Piece) -> None:
        """Some more of an answer."""
        said = self.conversation.answering(piece.turn)
        if said is None:
            return
        said.add(piece.channel, piece.text)
        if piece.channel == "answer":
            self._transcript.feed(piece.text)
        else:
            self._transcript.feed(reasoning=piece.text)

    def ended(self, event: TurnEnded) -> None:
        """The end of an answer."""
        said = self.conversation.answering(event.turn)
        if said is not None:
            stamp = Stamp.of(self._loaded) if self._loaded is not None else said.stamp
            self.conversation.end(said, event.stop, event.timings, stamp)
            self._stamp_energy(said)
            self._close(said)

    def paid(self, turn: int, joules: float) -> None:
        """What the answer of a turn took; it may be told before its end is heard."""
        self._paid[turn] = joules
        said = next((each for each in reversed(self.conversation.branch) if turn in self._turns.get(each.id, ())), None)
        if said is not None and said.state != "open" and self._stamp_energy(said):
            self._transcript.replace(entry_of(said))
            self.keeping.changed(said)

    def _stamp_energy(self, said: Said) -> bool:
        """Put what it took on its stamp, where all of that is known; whether it is."""
        turns = self._turns.get(said.id, ())
        if said.stamp is None or said.stamp.tokens is None or len(turns) != 1 or turns[0] not in self._paid:
            return False
        said.stamp = msgspec.structs.replace(said.stamp, energy_j=self._paid[turns[0]])
        return True

    def turn_of(self, said: Said) -> int | None:
        """The newest turn of this run that wrote it; ``None``: an earlier run did."""
        return self._turns.get(said.id, [None])[-1]

    def failed(self, turn: int, failure: Failure) -> bool:
        """A question could not be answered, or not to the end; whether that is news."""
        said = self.conversation.answering(turn)
        if said is None:
            return False
        self.conversation.fail(said, failure)
        self._close(said)
        return True

    def interrupt(self, failure: Failure | None) -> None:
        """The worker that was writing is gone."""
        said = self.conversation.interrupt(failure)
        if said is not None:
            self._close(said)

    def _close(self, said: Said) -> None:
        entry = entry_of(said)
        self._transcript.end(entry.state, entry.stamp)
        self.keeping.ended(said, self.conversation.turn)

    # What is shown

    def begin_anew(self) -> None:
        """A new conversation; what is being written of this one is kept as far as it came."""
        self._leave(Conversation(self._system_prompt, self.conversation.turn + 1))
        self.keeping.begin_anew()

    def open(self, chat: Chat, hit: int | None = None) -> None:
        """A conversation that was kept; ``hit``: a message to show and choose, whatever version it is of."""
        with _no_collection():
            self._open(chat, hit)

    def _open(self, chat: Chat, hit: int | None) -> None:
        self._leave(Conversation.of(chat, self._system_prompt, self.conversation.turn + 1))
        self.keeping.take_over(chat)
        conversation = self.conversation
        found = next((said for said in conversation.root.all_after() if said.id == hit), None) if hit else None
        if found is not None:
            conversation.show(found)
        self._transcript.extend(map(sketch_of, conversation.branch))
        if found is not None:
            self._transcript.choose(found.id)
        else:
            self._transcript.action_scroll_end()

    def _leave(self, conversation: Conversation) -> None:
        self.interrupt(None)
        self.conversation = conversation
        self._removed.clear()
        self._transcript.clear()

    def chosen(self) -> Said | None:
        """The message that is chosen."""
        id = self._transcript.chosen
        return next((said for said in reversed(self.conversation.branch) if said.id == id), None) if id else None

    def last_answer(self) -> Said | None:
        """The newest answer that is shown."""
        return next((said for said in reversed(self.conversation.branch) if said.role == "assistant"), None)

    def written_by_another(self, stamp: Stamp) -> str:
        """Which model wrote the newest answer, where it is another one than this; ``""``: the same, or not known."""
        said = self.last_answer()
        before = said.stamp.name() if said is not None and said.stamp is not None else ""
        return "" if before == stamp.name() else before

    def find(self, words: Sequence[str], by: int) -> bool:
        """Choose the next message before (-1) or after (1) the chosen one with all of these; whether there is one."""
        branch, chosen = self.conversation.branch, self.chosen()
        place = branch.index(chosen) if chosen is not None else len(branch) if by < 0 else -1
        for said in branch[place + 1 :] if by > 0 else branch[:place][::-1]:
            text = said.text.casefold()
            if all(word in text for word in words):
                self._transcript.choose(said.id)
                return True
        return False

    def turn_version(self, said: Said, by: int) -> bool:
        """Show the version after (1) or before (-1) this one; whether there is one."""
        versions = said.siblings
        place = versions.index(said) + by
        if self.conversation.open is not None or not 0 <= place < len(versions):
            return False
        was_chosen = self._transcript.chosen == said.id
        self._redraw(self.conversation.show(versions[place]))
        self.keeping.shown(versions[place])
        if was_chosen:
            self._transcript.choose(versions[place].id)
        return True

    def remove(self, said: Said) -> int:
        """Take a message and all that follows it out; how many that are."""
        self._redraw(self.conversation.remove(said))
        self._removed.append(said)
        self.keeping.removed(said)
        parent = said.parent
        if parent is not None and parent.chosen is not None:
            self.keeping.shown(parent.chosen)
        return sum(1 for _ in said.all_after())

    def undo(self) -> bool:
        """Put back what was removed last; whether there was something."""
        if not self._removed or self.conversation.open is not None:
            return False
        said = self._removed.pop()
        self._redraw(self.conversation.put_back(said))
        self.keeping.put_back(said)
        self._transcript.choose(said.id)
        return True

    def say(self, role: Role, text: str) -> None:
        """Something in the app's own voice."""
        self._transcript.append(Entry(self._next_note, role, text))
        self._next_note -= 1

    def _redraw(self, same: int) -> None:
        """Draw the branch anew behind its first ``same`` messages."""
        self._cut(same)
        self._transcript.extend(map(sketch_of, self.conversation.branch[same:]))

    def _cut(self, place: int) -> None:
        self._transcript.cut(self.conversation.branch[place - 1].id if place else None)


@contextlib.contextmanager
def _no_collection() -> Generator[None]:
    """Ten thousand messages that all stay: looking among them for garbage would take longer than making them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def entry_of(said: Said) -> Entry:
    """A message as the transcript shows it."""
    stamp = said.stamp
    note = [stamp.text(), _NOTES.get(stamp.stop, "")] if stamp is not None and said.state != "open" else []
    state = _STATES[said.state]
    if state == "stopped" and (stamp is None or not stamp.stop):
        # Nobody stopped it: it never came to an end.
        state = "broken"
        note.insert(0, _CAUSES.get(said.failure.kind, "the worker failed") if said.failure is not None else "")
    return Entry(
        id=said.id,
        role="user" if said.role == "user" else "assistant",
        text=said.text,
        reasoning=said.reasoning,
        stamp=" · ".join(part for part in note if part),
        state=state,
        name=name_of(said),
    )


def sketch_of(said: Said) -> Sketch:
    """The same, of a message that is finished, made when it is looked at."""
    return Sketch(said.id, said.text, bool(said.reasoning) + (said.stamp is not None), partial(entry_of, said))


def name_of(said: Said) -> str:
    """Who says it, and which version it is where there are several; ``""``: nothing beside the role."""
    stamp = said.stamp
    name = stamp.name() if stamp is not None else ""
    versions = said.siblings
    if len(versions) < 2:
        return name
    who = name or ("you" if said.role == "user" else "assistant")
    return f"{who}  ‹ {versions.index(said) + 1}/{len(versions)} ›"
