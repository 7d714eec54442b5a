"""The state of a session and how it changes: frozen values and one pure function."""

import enum

import msgspec

from offtui.protocol.events import Event, Loaded, LoadStep
from offtui.protocol.facts import DeviceFacts, Failure, Timings
from offtui.protocol.spec import LoadSpec


class Phase(enum.StrEnum):
    """What the session is doing."""

    EMPTY = "empty"
    LOADING = "loading"
    READY = "ready"
    GENERATING = "generating"
    STOPPING = "stopping"
    """Esc was pressed, or the worker is being ended for another load."""
    CRASHED = "crashed"
    """The worker died or the load failed; ``failure`` says why. Nothing of the conversation is lost."""
    CLOSED = "closed"


class Progress(msgspec.Struct, frozen=True):
    """Of a load that is running."""

    step: LoadStep
    fraction: float


class TurnState(msgspec.Struct, frozen=True):
    """The turn being answered: how far it is, by the worker's clock."""

    turn: int
    prompt_tokens: int | None = None
    """``None`` until the prompt is tokenized."""
    reused_tokens: int = 0
    prompt_done: int = 0
    tokens: int = 0
    first_token: float | None = None
    """``time.monotonic()`` of the first and the newest token."""
    last_token: float | None = None

    @property
    def tps(self) -> float | None:
        """Generation speed so far."""
        if self.tokens < 2 or self.first_token is None or self.last_token is None:
            return None
        span = self.last_token - self.first_token
        return (self.tokens - 1) / span if span > 0 else None


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a screen needs to know of the session."""

    phase: Phase = Phase.EMPTY
    epoch: int = 0
    """Lives of a worker so far; facts of an older one are dropped."""
    wanted: LoadSpec | None = None
    loaded: Loaded | None = None
    """The truth about the load that is up now; ``None`` while nothing is."""
    last_good: LoadSpec | None = None
    """The newest spec that loaded, to go back to."""
    progress: Progress | None = None
    turn: TurnState | None = None
    last_timings: Timings | None = None
    n_past: int = 0
    """Tokens in the KV cache."""
    memory: tuple[DeviceFacts, ...] = ()
    failure: Failure | None = None
    """Of the last load, turn or worker; cleared when the next one begins."""


class LoadWanted(msgspec.Struct, frozen=True):
    """Intent: have this loaded."""

    spec: LoadSpec


class TurnWanted(msgspec.Struct, frozen=True):
    """Intent: answer a conversation."""

    turn: int


class StopWanted(msgspec.Struct, frozen=True):
    """Intent: stop the turn or the load that is running."""


class CloseWanted(msgspec.Struct, frozen=True):
    """Intent: end everything."""


class WorkerSpawned(msgspec.Struct, frozen=True):
    """A process was started for ``wanted``; it has shaken hands, or not yet."""

    epoch: int


class WorkerEnded(msgspec.Struct, frozen=True):
    """The worker of that epoch is reaped. ``failure`` is ``None`` where the end was wanted."""

    epoch: int
    failure: Failure | None


Intent = LoadWanted | TurnWanted | StopWanted | CloseWanted
Occurrence = Intent | WorkerSpawned | WorkerEnded | Event
