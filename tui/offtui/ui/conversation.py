"""The conversation as the screen keeps it: a tree of messages, of which one branch is shown. No widgets.

It belongs to the parent: whatever happens to a worker, what was asked and answered until then stays. Messages with the
same parent are versions of one another: answers of one question, or a question and what it was changed to.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator

from offtui.protocol.events import Channel, Stop
from offtui.protocol.facts import Failure, Timings
from offtui.protocol.spec import Message, Role
from offtui.store.chats.values import Chat, ChatRow, Stamp, State, StoredMessage, known_message_id, new_message_id


class Said:
    """One message."""

    __slots__ = (
        "_answer", "_reasoning", "chosen", "created", "failure", "id", "parent", "role", "stamp", "state", "versions",
    )  # fmt: skip

    def __init__(
        self, role: Role, parent: "Said | None", *, text: str = "", id: int | None = None, created: float | None = None
    ) -> None:
        self.id = new_message_id() if id is None else id
        self.role: Role = role
        self.parent = parent
        """``None`` only of the root, which says nothing itself."""
        self.versions: list[Said] = []
        """What was said next, oldest first."""
        self.chosen: Said | None = None
        """Which of them is shown."""
        self.state: State = "done"
        self.stamp: Stamp | None = None
        self.failure: Failure | None = None
        self.created = time.time() if created is None else created
        self._answer = [text]
        self._reasoning: list[str] = []

    @property
    def text(self) -> str:
        """What is said, without the reasoning; of an answer that is being written what has come."""
        if len(self._answer) > 1:
            self._answer[:] = ["".join(self._answer)]
        return self._answer[0]

    @property
    def reasoning(self) -> str:
        """What the model thought before it answered."""
        return "".join(self._reasoning)

    def add(self, channel: Channel, text: str) -> None:
        """Append a piece."""
        (self._answer if channel == "answer" else self._reasoning).append(text)

    @property
    def siblings(self) -> "list[Said]":
        """All versions of it, itself among them, oldest first."""
        return self.parent.versions if self.parent is not None else [self]

    def next(self) -> "Said | None":
        """The version shown of what was said next."""
        return self.chosen or (self.versions[-1] if self.versions else None)

    def all_after(self) -> "Iterator[Said]":
        """This message and everything said after it, in all versions; each before what follows it."""
        stack: list[Said] = [self]
        while stack:
            said = stack.pop()
            yield said
            stack.extend(reversed(said.versions))

    def stored(self, chat: str) -> StoredMessage:
        """As it is kept."""
        parent = self.parent
        return StoredMessage(
            id=self.id,
            chat=chat,
            parent=parent.id if parent is not None and parent.parent is not None else None,
            shown=self.chosen.id if self.chosen else None,
            role=self.role,
            content=self.text,
            reasoning=self.reasoning,
            state=self.state,
            created=self.created,
            stamp=self.stamp,
        )


class Conversation:
    """A tree of messages, and the branch of it that is shown; at most its last message, an answer, is being written."""

    def __init__(self, system_prompt: str = "", first_turn: int = 1) -> None:
        self.system_prompt = system_prompt
        self.waiting: deque[str] = deque()
        """Questions typed ahead, oldest first."""
        self.branch: list[Said] = []
        """What is shown, in order."""
        self.root = Said("system", None, id=0)
        self._turn = first_turn - 1

    @classmethod
    def of(cls, chat: Chat, system_prompt: str = "", first_turn: int = 1) -> "Conversation":
        """A chat that was kept; ``system_prompt`` where it has none of its own."""
        conversation = cls(chat.system_prompt if chat.system_prompt is not None else system_prompt, first_turn)
        known: dict[int | None, Said] = {None: conversation.root}
        for message in chat.messages:
            said = Said(message.role, None, text=message.content, id=message.id, created=message.created)
            if message.reasoning:
                said.add("reasoning", message.reasoning)
            # Whoever wrote it is gone, or writes it somewhere else.
            broken = message.state == "open"
            said.state = ("stopped" if message.content else "failed") if broken else message.state
            said.stamp = message.stamp
            known[message.id] = said
            known_message_id(message.id)
        for message in chat.messages:  # once all are known: a clock that was set back gave an answer the smaller id
            said, parent = known[message.id], known.get(message.parent)
            if parent is not None:  # else its question was deleted by another offtui
                said.parent = parent
                parent.versions.append(said)
        for place, shown in ((None, chat.shown), *((message.id, message.shown) for message in chat.messages)):
            if shown is not None and (said := known.get(shown)) is not None and place in known:
                known[place].chosen = said if said.parent is known[place] else None
        conversation._walk()
        return conversation

    @property
    def open(self) -> Said | None:
        """The answer that is being written."""
        return self.branch[-1] if self.branch and self.branch[-1].state == "open" else None

    @property
    def turn(self) -> int:
        """The number of the newest turn."""
        return self._turn

    def answering(self, turn: int) -> Said | None:
        """The answer that a turn writes; ``None`` where it has ended, or belongs to another conversation."""
        return self.open if turn == self._turn else None

    def ask(self, question: str) -> Said:
        """Say the next thing; its answer, which is open. The one before must have ended."""
        return self._answer(self._add("user", self._last(), question))

    def again(self, said: Said) -> Said:
        """Another answer to a question, or to the question of an answer; that answer, which is open."""
        question = said.parent if said.role == "assistant" else said
        if question is None or question.role != "user":
            raise ValueError("nothing was asked there")
        return self._answer(question)

    def fork(self, said: Said, question: str) -> Said:
        """Ask something else in a question's place; its answer, which is open."""
        if said.role != "user" or said.parent is None:
            raise ValueError("no question")
        return self._answer(self._add("user", said.parent, question))

    def go_on(self, said: Said) -> Said:
        """Have an answer that broke off, the last message shown, written on."""
        if self.open is not None or not self.branch or self.branch[-1] is not said or said.role != "assistant":
            raise ValueError("that cannot go on")
        said.state, said.failure = "open", None
        self._turn += 1
        return said

    def show(self, said: Said) -> int:
        """Show this version and what followed it; the place in the branch from which on it is another one."""
        node = said
        while node.parent is not None:
            node.parent.chosen = node
            node = node.parent
        return self._walk()

    def remove(self, said: Said) -> int:
        """Take a message and everything after it out; the place in the branch from which on it is another one."""
        parent = said.parent
        if parent is None or self.open is not None:
            raise ValueError("that cannot be removed now")
        place = parent.versions.index(said)
        parent.versions.remove(said)
        if parent.chosen is said:
            parent.chosen = parent.versions[max(0, place - 1)] if parent.versions else None
        return self._walk()

    def put_back(self, said: Said) -> int:
        """Undo a removal; the place in the branch from which on it is another one."""
        parent = said.parent
        if parent is None or said in parent.versions:
            raise ValueError("that is there")
        parent.versions.append(said)
        parent.versions.sort(key=lambda version: version.id)
        return self.show(said)

    def end(self, said: Said, stop: Stop, timings: Timings, stamp: Stamp | None) -> None:
        """The answer came to its end, or was stopped. ``stamp``: what it was written with at the end."""
        said.state = "stopped" if stop == "cancelled" else "done"
        said.stamp = stamp.ended(stop, timings) if stamp is not None else None

    def fail(self, said: Said, failure: Failure) -> None:
        """The question could not be answered, or not to the end."""
        said.failure = failure
        said.state = "stopped" if said.text else "failed"

    def interrupt(self, failure: Failure | None = None) -> Said | None:
        """Close the open answer where it stands, because its worker is gone; that answer.

        Args:
            failure: Why it is gone, where that was not wanted.
        """
        said = self.open
        if said is not None:
            said.failure = failure
            said.state = "failed" if failure is not None and not said.text else "stopped"
        return said

    def messages(self) -> tuple[Message, ...]:
        """What the chat template gets. A question that got no answer at all is left out, unless it is the last.

        Many templates insist on strict alternation, and a question nobody answered says nothing to the model.
        """
        found = [Message("system", self.system_prompt)] if self.system_prompt else []
        asked: list[str] = []
        last = self.branch[-1] if self.branch else None
        for said in self.branch:
            if said.role == "user":
                asked.append(said.text)
                continue
            text = said.text
            if asked and (text or said is last):
                found.append(Message("user", "\n\n".join(asked)))
            if text:
                found.append(Message("assistant", text, said.reasoning))
            asked.clear()
        return (*found, Message("user", "\n\n".join(asked))) if asked else tuple(found)

    def whole(self, row: ChatRow, draft: str, system_prompt: str | None) -> Chat:
        """As it is kept, with all versions."""
        return Chat(
            row=row,
            system_prompt=system_prompt,
            draft=draft,
            shown=self.root.chosen.id if self.root.chosen else None,
            messages=tuple(said.stored(row.id) for said in self.root.all_after() if said is not self.root),
        )

    def _last(self) -> Said:
        return self.branch[-1] if self.branch else self.root

    def _answer(self, question: Said) -> Said:
        if self.open is not None:
            raise ValueError("an answer is still open")
        self._turn += 1
        said = self._add("assistant", question, "")
        said.state = "open"
        self.show(said)
        return said

    def _add(self, role: Role, parent: Said, text: str) -> Said:
        if self.open is not None:
            raise ValueError("an answer is still open")
        said = Said(role, parent, text=text)
        parent.versions.append(said)
        parent.chosen = said
        return said

    def _walk(self) -> int:
        """Follow the versions that are chosen; how many messages at the beginning are the same as before."""
        same = 0
        before, self.branch = self.branch, []
        said = self.root.next()
        while said is not None:
            self.branch.append(said)
            said = said.next()
        pairs: Iterable[tuple[Said, Said]] = zip(before, self.branch, strict=False)
        for old, new in pairs:
            if old is not new:
                break
            same += 1
        return same
