"""The conversation as the screen keeps it: turns with their answers, and the questions still waiting. No widgets.

It belongs to the parent: whatever happens to a worker, what was asked and answered until then stays.
"""

import enum
from collections import deque
from dataclasses import dataclass, field

from offtui.protocol.events import Channel, Stop
from offtui.protocol.facts import Failure, Timings
from offtui.protocol.spec import Message
from offtui.units import rate_text, seconds_text


class Outcome(enum.Enum):
    """How a turn stands."""

    OPEN = "open"
    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    """Stopped by the user, by another load or by the end of the worker; what came is kept."""
    FAILED = "failed"


@dataclass(frozen=True)
class Stamp:
    """Under which split an answer was written, and how fast."""

    got: int
    max: int
    tps: float | None
    ttft_seconds: float | None

    def text(self) -> str:
        """``28/37 layers · 31.4 t/s · first token 210 ms``; what is unknown is left out."""
        parts = [f"{self.got}/{self.max} layers"]
        if self.tps is not None:
            parts.append(f"{rate_text(self.tps)} t/s")
        if self.ttft_seconds is not None:
            parts.append(f"first token {seconds_text(self.ttft_seconds)}")
        return " · ".join(parts)


@dataclass
class Turn:
    """A question and its answer."""

    id: int
    question: str
    outcome: Outcome = Outcome.OPEN
    stop: Stop | None = None
    stamp: Stamp | None = None
    failure: Failure | None = None
    _answer: list[str] = field(default_factory=list[str])
    _reasoning: list[str] = field(default_factory=list[str])

    @property
    def answer(self) -> str:
        """The answer so far, without the reasoning."""
        return "".join(self._answer)

    @property
    def reasoning(self) -> str:
        """What the model thought so far before it answered."""
        return "".join(self._reasoning)

    def add(self, channel: Channel, text: str) -> None:
        """Append a piece."""
        (self._answer if channel == "answer" else self._reasoning).append(text)


class Conversation:
    """Turns in order, at most the last of them open."""

    def __init__(self, system_prompt: str = "") -> None:
        self.system_prompt = system_prompt
        self.turns: list[Turn] = []
        self.waiting: deque[str] = deque()
        """Questions typed ahead, oldest first."""
        self._next_id = 1

    @property
    def open_turn(self) -> Turn | None:
        """The turn that is being answered."""
        return self.turns[-1] if self.turns and self.turns[-1].outcome is Outcome.OPEN else None

    def ask(self, question: str) -> Turn:
        """Begin a turn. The one before must have ended."""
        if self.open_turn is not None:
            raise ValueError("a turn is still open")
        turn = Turn(self._next_id, question)
        self._next_id += 1
        self.turns.append(turn)
        return turn

    def turn(self, id: int) -> Turn | None:
        """The turn of that number; ``None`` where the conversation was cleared since."""
        return next((turn for turn in reversed(self.turns) if turn.id == id), None)

    def end(self, turn: Turn, stop: Stop, timings: Timings, *, got: int, max: int) -> None:
        """The answer came to its end, or was stopped."""
        turn.stop = stop
        turn.outcome = Outcome.INTERRUPTED if stop == "cancelled" else Outcome.COMPLETE
        turn.stamp = Stamp(got, max, timings.tps, timings.ttft_seconds if timings.tokens else None)

    def fail(self, turn: Turn, failure: Failure) -> None:
        """The turn could not be answered, or not to its end."""
        turn.failure = failure
        turn.outcome = Outcome.INTERRUPTED if turn.answer else Outcome.FAILED

    def interrupt(self, failure: Failure | None = None) -> Turn | None:
        """Close the open turn where it stands, because its worker is gone; that turn.

        Args:
            failure: Why it is gone, where that was not wanted.
        """
        turn = self.open_turn
        if turn is not None:
            turn.failure = failure
            turn.outcome = Outcome.FAILED if failure is not None and not turn.answer else Outcome.INTERRUPTED
        return turn

    def take_back(self) -> str | None:
        """Remove the last turn; its question. ``None`` where there is none or it is still open."""
        if not self.turns or self.open_turn is not None:
            return None
        return self.turns.pop().question

    def clear(self) -> None:
        """Begin anew. Turn numbers go on, so that late pieces of an old turn find nothing."""
        self.turns.clear()
        self.waiting.clear()

    def messages(self) -> tuple[Message, ...]:
        """What the chat template gets. A question that got no answer at all is left out, unless it is the open one.

        Many templates insist on strict alternation, and a question nobody answered says nothing to the model.
        """
        said: list[Message] = []
        if self.system_prompt:
            said.append(Message("system", self.system_prompt))
        for turn in self.turns:
            if turn.outcome is Outcome.OPEN:
                said.append(Message("user", turn.question))
            elif answer := turn.answer:
                said.append(Message("user", turn.question))
                said.append(Message("assistant", answer, turn.reasoning))
        return tuple(said)
