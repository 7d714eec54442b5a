"""What is kept of a turn whose worker dies: how it began, its tokens since, and a copy of its KV cache.

The worker copies its KV cache now and then into memory that the parent owns (``KeepCheckpoint``). Another worker takes
the newest copy over, evaluates the tokens behind it, and goes on with the next one: nothing is said twice.

Never blocks, and reads no clock; like the supervisor, whose part it is.
"""

import contextlib
import os
from dataclasses import dataclass, field

from offtui import paths
from offtui.engine.child import Child, Deadlines
from offtui.engine.parcel import Parcel, parcel
from offtui.engine.state import Broken, Phase, TurnBroken, TurnWanted
from offtui.engine.transfer import Host
from offtui.engine.waiting import Due, GoOnAsked, Wait
from offtui.errors import ProtocolError
from offtui.memory import ram_available
from offtui.protocol.events import (
    Checkpointed,
    Piece,
    PromptProgress,
    TurnEnded,
    TurnFailed,
    TurnPaused,
    TurnResumed,
    TurnStarted,
)
from offtui.protocol.facts import Failure
from offtui.protocol.requests import KeepCheckpoint, RestoreState, Resume
from offtui.protocol.spec import LoadSpec
from offtui.units import MIB

TurnEvent = TurnStarted | PromptProgress | Piece | TurnPaused | TurnResumed | TurnEnded | TurnFailed

MOST = 512 * MIB
"""Bytes of a KV cache that is copied while an answer is written; there are two copies of it."""
SHARE_OF_RAM = 1 / 8
"""Of the RAM that is available, for both."""


@dataclass(slots=True)
class _Record:
    """A turn as it can be taken up by another worker."""

    turn: int
    spec: LoadSpec
    """Under which it is answered."""
    state: bytes
    total: int
    """Tokens of the conversation and the answer."""
    ids: bytearray = field(default_factory=bytearray)
    """Of the tokens since ``state``."""


class Rescue:
    """Of one turn at a time."""

    def __init__(self, host: Host, deadlines: Deadlines) -> None:
        self._host = host
        self._deadlines = deadlines
        self._record: _Record | None = None
        self._copies: list[Parcel] = []
        """Where ``_of`` writes."""
        self._of: Child | None = None
        self._newest: Parcel | None = None
        """The one that is whole."""
        self._lost: _Record | None = None
        self._wanted = False
        """The lost turn goes on as soon as its model is up."""

    def hear(self, event: TurnEvent) -> None:
        """Keep what the worker says of the turn."""
        match event:
            case TurnStarted(turn=turn, state=state):
                loaded = self._host.state.loaded
                self._record = None
                if loaded is not None and state:
                    self._record = _Record(turn, loaded.spec, state, event.prompt_tokens)
                    self._keep_copies()
            case TurnResumed():
                loaded = self._host.state.loaded
                if self._record is not None and loaded is not None:
                    self._record.spec = loaded.spec  # it may have moved
                self._keep_copies()
            case Piece(ids=ids):
                if self._record is not None:
                    self._record.ids += ids
                    self._record.total = event.n_past + 1
            case TurnPaused(state=state):
                if self._record is not None:
                    self._record.state, self._record.total = state, event.n_past
                    self._record.ids.clear()
            case TurnEnded() | TurnFailed():
                self._record = None
            case PromptProgress():
                pass

    def copied(self, event: Checkpointed) -> None:
        """The session's worker has made a copy."""
        if self._host.worker is self._of and event.slot < len(self._copies):
            self._newest = self._copies[event.slot]
            self._newest.manifest = event.manifest

    def settle(self) -> None:
        """Where the turn is gone without having ended: it is broken, and can go on.

        Where the worker is gone that made the copies and no turn needs them: their memory is given back, as the next
        model may want it.
        """
        record = self._record
        if record is None and self._lost is None and self._host.worker is not self._of:
            self._drop_copies()
        if record is None or self._host.state.turn is not None or self._host.state.phase is Phase.CLOSED:
            return
        self._record = None
        for copy in self._copies:
            if copy is not self._newest:
                copy.close()
        self._copies, self._of = [], None
        self._lost = record
        self._tell(record)

    def go_on(self, asked: GoOnAsked, now: float) -> LoadSpec | None:
        """Go on with the broken turn, now or once its model is up again; the load that it needs first."""
        lost = self._lost
        running = self._host.state.turn
        if lost is None and running is not None and running.turn == asked.turn:
            return None  # it goes on already
        if lost is None or lost.turn != asked.broken:
            self._host.tell(TurnFailed(asked.turn, Failure("internal", "Nothing is kept of that answer any more.")))
            return None
        lost.turn, self._wanted = asked.turn, True
        if self._start(now):
            return None
        self._tell(lost)
        return lost.spec if self._host.state.phase in (Phase.CRASHED, Phase.EMPTY) else None

    def loaded(self, now: float) -> None:
        """A model is up."""
        if self._wanted:
            self._start(now)

    def call_off(self) -> None:
        """It shall not go on by itself."""
        self._wanted = False

    def forget(self) -> None:
        """The conversation goes on in another way."""
        self._lost, self._wanted = None, False
        if self._newest is not None and self._newest not in self._copies:
            self._newest.close()
            self._newest = None

    def close(self) -> None:
        """Give all memory back."""
        self.forget()
        self._drop_copies()
        self._record = None

    def _tell(self, record: _Record) -> None:
        manifest = None if self._newest is None else self._newest.manifest
        kept = 0 if manifest is None else min(manifest.n_tokens, record.total)
        self._host.tell(TurnBroken(Broken(record.turn, record.spec.model, kept, record.total)))

    def _start(self, now: float) -> bool:
        host, lost, worker = self._host, self._lost, self._host.worker
        loaded = host.state.loaded
        if lost is None or worker is None or loaded is None or host.state.phase is not Phase.READY:
            return False
        if loaded.spec.model != lost.spec.model:
            return False
        size = 0
        copy = self._newest
        host.tell(TurnWanted(lost.turn))
        with contextlib.suppress(OSError, ProtocolError):  # without a copy all of it is evaluated again
            if copy is not None and copy.manifest is not None:
                size = copy.manifest.size
                host.send(worker, RestoreState(copy.manifest), copy.descriptor)
        self._record = lost
        self.forget()
        host.send(worker, Resume(lost.turn, lost.state, bytes(lost.ids)))
        patience = self._deadlines.turn_start + self._deadlines.restore + size / self._deadlines.carry_rate
        host.due = Due(Wait.TURN_START, now + patience)
        return True

    def _drop_copies(self) -> None:
        for copy in self._copies:
            copy.close()
        if self._newest in self._copies:
            self._newest = None
        self._copies, self._of = [], None

    def _keep_copies(self) -> None:
        """Have the session's worker copy its cache; once in its life."""
        worker = self._host.worker
        if worker is None or worker is self._of or not hasattr(os, "memfd_create"):
            return
        self._drop_copies()
        self._of = worker
        most = min(MOST, round(ram_available() * SHARE_OF_RAM / 2))
        with contextlib.suppress(OSError):  # without memory for them there are none
            for _ in range(2):
                self._copies.append(parcel(0, paths.state_dir()))
                self._host.send(worker, KeepCheckpoint(most), self._copies[-1].descriptor)
