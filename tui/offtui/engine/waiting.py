"""What a session waits for, what it says when that does not come, and what it is asked."""

import enum
from typing import NamedTuple

import msgspec

from offtui.engine.child import Deadlines
from offtui.engine.state import CloseWanted, LoadWanted, Phase, StopWanted
from offtui.protocol.events import LoadStep
from offtui.protocol.facts import Failure
from offtui.protocol.spec import Message, Sampling
from offtui.text import clean_line

NO_PATH = Failure("not_found", "The model's path is not text that can be sent to a worker.")


class TurnAsked(msgspec.Struct, frozen=True):
    """A turn with all that the worker needs for it."""

    turn: int
    messages: tuple[Message, ...]
    sampling: Sampling
    go_on: bool = False


class CountAsked(msgspec.Struct, frozen=True):
    """The tokens of a text; not answered while no model is up."""

    number: int
    text: str


class GoOnAsked(msgspec.Struct, frozen=True):
    """The turn that broke off shall go on, under the load that is up or the one it had."""

    broken: int
    turn: int
    """Its number from now on."""


Order = LoadWanted | TurnAsked | GoOnAsked | CountAsked | StopWanted | CloseWanted
"""What a session is asked."""


class Wait(enum.Enum):
    """An answer that is due from the worker."""

    HELLO = enum.auto()
    LOAD = enum.auto()
    TURN_START = enum.auto()
    STOP = enum.auto()


class Due(NamedTuple):
    """What is waited for, and until when."""

    wait: Wait
    time: float


def stall(step: LoadStep | None, deadlines: Deadlines) -> float:
    """Seconds that a load may be silent in a step."""
    return deadlines.weights_stall if step in ("weights", "warmup") else deadlines.load_stall


def not_started(error: OSError) -> Failure:
    """What is said where the system refuses a process."""
    return Failure("internal", f"No worker process can be started: {clean_line(error.strerror or str(error))}.")


def not_sent(error: Exception) -> Failure:
    """What is said of a conversation that cannot be encoded."""
    return Failure("internal", f"The conversation cannot be sent to the worker: {clean_line(str(error))}")


def garbled(error: Exception) -> Failure:
    """What is said of a worker that talks nonsense."""
    message = "The worker sent something that cannot be understood and was ended."
    return Failure("internal", message, clean_line(str(error)), "Load again, and report it.")


def overdue(wait: Wait, deadlines: Deadlines, evidence: str) -> Failure:
    """What is said of a worker that did not answer in time, and was ended."""
    match wait:
        case Wait.HELLO:
            message = f"The worker did not start within {deadlines.hello:g} s and was ended."
            return Failure("timeout", message, evidence, "Try again; `offtui doctor` says what may be wrong.")
        case Wait.LOAD:
            message = "The load made no progress any more and was ended."
            return Failure("timeout", message, evidence, "Try again; look whether the file's disk answers.")
        case Wait.TURN_START:
            message = f"The worker did not take up the turn within {deadlines.turn_start:g} s and was ended."
        case Wait.STOP:
            message = f"The worker did not stop within {deadlines.stop:g} s and was ended."
    return Failure("timeout", message, evidence, "Load again.")


def not_ready(phase: Phase) -> str:
    """Why a turn cannot be taken up now."""
    match phase:
        case Phase.LOADING:
            return "The model is still loading."
        case Phase.GENERATING | Phase.STOPPING:
            return "The last answer has not ended yet."
        case _:
            return "No model is loaded."


def last_line(log_tail: str) -> str:
    """The last line that says something."""
    return next((line for raw in reversed(log_tail.splitlines()) if (line := clean_line(raw))), "")
