"""Moves from one load of a model to another: how one stands, how it came out, and what is told of it."""

import enum

import msgspec

from offtui.protocol.events import LoadStep
from offtui.protocol.facts import Failure
from offtui.protocol.spec import LoadSpec


class Progress(msgspec.Struct, frozen=True):
    """Of a load that is running."""

    step: LoadStep
    fraction: float


class MoveStep(enum.StrEnum):
    """Where a move to another load of the same model stands."""

    PREPARING = "preparing"
    """Memory for the KV cache is made ready while the old worker, whose place is to be taken, goes on answering."""
    BESIDE = "beside"
    """The next worker loads while the old one goes on answering."""
    SAVING = "saving"
    """The old worker halts its answer and hands its KV cache over."""
    LOADING = "loading"
    """The old worker is gone, or going; the next one loads in its place."""
    RESTORING = "restoring"
    """The next worker takes the KV cache over."""

    @property
    def goes_on(self) -> bool:
        """Whether the old worker goes on answering."""
        return self in (MoveStep.PREPARING, MoveStep.BESIDE)


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation on its way from one load of a model to another one."""

    origin: LoadSpec
    target: LoadSpec
    beside: bool
    """Both are loaded for a while (make before break)."""
    step: MoveStep
    progress: Progress | None = None
    """Of the load beside; of one in the old one's place it is the session's."""
    failure: Failure | None = None
    """Why ``target`` was not to be had: ``origin`` is being loaded again."""


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """How the last move came out."""

    origin: LoadSpec
    target: LoadSpec
    beside: bool
    tokens: int = 0
    """Of the conversation taken over with the KV cache."""
    size: int = 0
    """Bytes of it."""
    seconds: float = 0.0
    """For saving and restoring it."""
    why: str = ""
    """Why tokens are evaluated again instead; empty where they need not be."""
    failure: Failure | None = None
    """Why ``target`` was not to be had: ``origin`` is up as before, or again."""


class MoveBegan(msgspec.Struct, frozen=True):
    """The conversation is to go on under another load; or the one wanted is yet another."""

    target: LoadSpec
    beside: bool


class MoveStepped(msgspec.Struct, frozen=True):
    """A move has come so far."""

    step: MoveStep
    progress: Progress | None = None


class HandedOver(msgspec.Struct, frozen=True):
    """The worker that loaded beside the old one is the session's now; its ``Hello`` and ``Loaded`` follow."""

    epoch: int


class WorkerRetired(msgspec.Struct, frozen=True):
    """The worker of that epoch is reaped in the course of a move; its conversation and its turn are kept."""

    epoch: int


class MoveFailed(msgspec.Struct, frozen=True):
    """What was wanted is not to be had, in a move or of another model. What was up is so still, or is loaded again."""

    failure: Failure


class MoveEnded(msgspec.Struct, frozen=True):
    """The move is over; ``state.moved`` says how it came out."""

    moved: Moved


Moving = MoveBegan | MoveStepped | HandedOver | WorkerRetired | MoveFailed | MoveEnded
