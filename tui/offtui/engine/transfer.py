"""One move's records, what it needs of the supervisor, and the arithmetic around it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from offtui.engine.child import Child
from offtui.engine.crew import Crew
from offtui.engine.ending import Stage
from offtui.engine.moves import Moved, MoveStep
from offtui.engine.parcel import Parcel
from offtui.engine.state import Occurrence, SessionState
from offtui.engine.waiting import Due
from offtui.protocol.carry import Manifest
from offtui.protocol.events import Loaded, StateRestored, StateSaved, TurnPaused
from offtui.protocol.facts import Failure
from offtui.protocol.requests import Cancel, CancelLoad, Request
from offtui.protocol.spec import LoadSpec
from offtui.units import MIB

Overlap = Callable[[SessionState, LoadSpec, Sequence[str]], LoadSpec | None]
"""How a spec can be loaded beside what is up, whose RPC slots are given; ``None``: not before that is gone."""

CANCELLED = Failure("cancelled", "The load was cancelled.")
_SHARE_BACK = 0.75
"""Of the memory that an old worker held on a device, what must be back before the next one loads."""
_WORTH_AWAITING = 512 * MIB


class Host(Protocol):
    """What a mover needs of the supervisor."""

    state: SessionState
    crew: Crew
    worker: Child | None
    due: Due | None
    """The one answer that is waited for from the worker."""

    def tell(self, occurrence: Occurrence) -> None:
        """Advance the state, and tell the listener."""
        ...

    def send(self, child: Child, request: Request, descriptor: int | None = None) -> None:
        """Send a request to a worker."""
        ...

    def end_worker(self, stage: Stage, now: float, *, failure: Failure | None = None, explain: bool = False) -> None:
        """Put the session's worker on its way out."""
        ...

    def load_next(self, spec: LoadSpec | None) -> None:
        """Have this loaded as soon as there is place."""
        ...

    def take_over(self, child: Child) -> Child | None:
        """Make this the session's worker; the one it was until now."""
        ...

    def resume(self, state: bytes, now: float) -> None:
        """Have the worker take up the turn that was halted, where one is."""
        ...

    def order_stop(self, order: Cancel | CancelLoad, now: float) -> None:
        """Have the worker stop what it does, and wait for that."""
        ...

    def again(self, spec: LoadSpec | None, stop: bool, now: float) -> None:
        """Carry out what was wanted while a hand-over could not be interrupted."""
        ...


@dataclass(slots=True)
class Transfer:
    """A move under way."""

    origin: Loaded
    before: LoadSpec | None
    """What was wanted when it was loaded."""
    target: LoadSpec
    step: MoveStep
    due: float | None = None
    beside: LoadSpec | None = None
    """How the target is loaded beside the old worker."""
    child: Child | None = None
    """The worker that does."""
    loaded: Loaded | None = None
    dying: Child | None = None
    lost: Failure | None = None
    """Of what that worker died while the old one was saving."""
    paused: TurnPaused | None = None
    parcel: Parcel | None = None
    reserved: int = 0
    """Bytes of it that are made ready before it is used."""
    saved: StateSaved | None = None
    why: str = ""
    failure: Failure | None = None
    later: LoadSpec | None = None
    stop_later: bool = False

    @property
    def manifest(self) -> Manifest | None:
        """Of the cache that is saved; ``None``: none is."""
        return None if self.parcel is None else self.parcel.manifest

    def is_back(self, spec: LoadSpec | None) -> bool:
        """Whether this is what is up, before anything has moved."""
        return spec is not None and spec in (self.origin.spec, self.before)

    def close(self) -> None:
        """Give the saved cache's memory back."""
        if self.parcel is not None:
            if self.reserved:
                self.parcel.cut()  # a worker that is not asked to use it keeps it mapped
            self.parcel.close()
            self.parcel, self.reserved = None, 0


def cache_size(loaded: Loaded, n_past: int) -> int:
    """Bytes that the tokens of a cache take, about; a sliding window is full early."""
    whole = sum(row.kv for row in loaded.devices)
    return int(whole * max(0.25, min(1.0, n_past / loaded.n_ctx)))


def expected_size(loaded: Loaded, n_past: int) -> int:
    """Likewise, without what a sliding window may add, and with some tokens that are yet to come."""
    whole = sum(row.kv for row in loaded.devices)
    return int(whole * min(1.0, 1.05 * n_past / loaded.n_ctx))


def outcome(move: Transfer, restored: StateRestored | None = None) -> Moved:
    """How a move came out, for the state."""
    tokens, size, seconds, why = 0, 0, 0.0, move.why
    if restored is not None:
        tokens, size = restored.tokens, restored.size
        seconds = restored.seconds + (move.saved.seconds if move.saved is not None else 0.0)
        why = restored.why
    return Moved(
        origin=move.origin.spec,
        target=move.target,
        beside=move.beside is not None,
        tokens=tokens,
        size=size,
        seconds=seconds,
        why=why,
        failure=move.failure,
    )


def to_await(origin: Loaded, state: SessionState) -> dict[str, int]:
    """Bytes that must be free again, per device, before the next worker loads in the place of ``origin``."""
    free = {device.name: device.free for device in state.memory or origin.memory}
    wanted: dict[str, int] = {}
    for row in origin.devices:
        before = free.get(row.name)
        if row.kind != "cpu" and before is not None and row.total >= _WORTH_AWAITING:
            wanted[row.name] = before + int(row.total * _SHARE_BACK)
    return wanted
