"""A session over fake workers, its occurrences recorded; waits poll a predicate with a deadline."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from offtui.engine.child import Deadlines
from offtui.engine.moves import MoveBegan, MoveFailed
from offtui.engine.overlap import beside
from offtui.engine.session import Session
from offtui.engine.state import LoadWanted, Occurrence, Phase, SessionState
from offtui.engine.transfer import Overlap
from offtui.protocol.events import Piece
from offtui.protocol.facts import Failure
from offtui.protocol.spec import LoadSpec, Message, Sampling

FAKE = Path(__file__).parents[1] / "fakes" / "worker.py"
PATIENCE = 20.0
"""Seconds a wait may take at most, on a busy machine."""

PATIENT = Deadlines()
QUICK = Deadlines(
    hello=20.0, load_stall=0.8, weights_stall=0.8, turn_start=0.8, stop=0.8, check=0.8, quit=0.3, term=0.3, kill=5.0
)
"""Short for what is provoked to stall; a handshake takes as long as an interpreter takes to start."""

COUNT = 200
"""Pieces of a slow answer of the fake worker's: what is to happen in its middle has two seconds."""
WHOLE = "".join(f"word{i} " for i in range(COUNT))
SLOW = ("--pause", "0.01", "--pieces", str(COUNT))

T = TypeVar("T")


class Harness:
    """One session with its recorded life."""

    def __init__(
        self,
        *args: str,
        deadlines: Deadlines = PATIENT,
        spare: bool = False,
        python: str = sys.executable,
        overlap: Overlap | None = beside,
        patience: float = PATIENCE,
    ):
        self.patience = patience
        self.failure: Failure | None = None
        self.seen: list[tuple[SessionState, Occurrence]] = []
        self._changed = threading.Condition()
        self.session = Session(
            self._listen, command=(python, str(FAKE), *args), deadlines=deadlines, spare=spare, overlap=overlap
        )

    def _listen(self, state: SessionState, occurrence: Occurrence) -> None:
        with self._changed:
            self.seen.append((state, occurrence))
            self._changed.notify_all()

    @property
    def state(self) -> SessionState:
        return self.session.state

    def wait(self, predicate: Callable[[SessionState], object]) -> SessionState:
        """Until the session's newest state satisfies ``predicate``."""
        with self._changed:
            assert self._changed.wait_for(lambda: predicate(self.state), self.patience), self.story()
        return self.state

    def glance(self, predicate: Callable[[SessionState], object]) -> None:
        """Wait a moment for what may never come: a frozen worker says nothing."""
        with self._changed:
            self._changed.wait_for(lambda: predicate(self.state), 0.3)

    def wait_for(self, kind: type, count: int = 1) -> None:
        """Until ``count`` occurrences of ``kind`` were seen."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.of(kind)) >= count, PATIENCE), self.story()

    def wait_phase(self, phase: Phase) -> SessionState:
        return self.wait(lambda state: state.phase is phase)

    def of(self, kind: type[T]) -> list[T]:
        return [occurrence for _, occurrence in self.seen if isinstance(occurrence, kind)]

    def load(self, model: str = "good.gguf", **options: object) -> SessionState:
        """Want a load and wait for its outcome; what was told and what was up before is none."""
        before = len(self.seen)
        self.session.want(LoadSpec(model=model, **options))

        def settled(state: SessionState) -> bool:
            told = [occurrence for _, occurrence in self.seen[before:]]
            if state.phase not in (Phase.READY, Phase.CRASHED) or state.move is not None:
                return False
            if any(isinstance(occurrence, MoveFailed) for occurrence in told):
                return True
            taken_up = any(isinstance(occurrence, LoadWanted | MoveBegan) for occurrence in told)
            return taken_up and state.wanted is not None and state.wanted.model == model

        return self.wait(settled)

    def ask(self, turn: int = 1, text: str = "Hello", **options: object) -> None:
        self.session.submit(turn, (Message("user", text),), Sampling(**options))

    def text(self) -> str:
        return "".join(piece.text for piece in self.of(Piece))

    def story(self) -> str:
        return "\n".join(f"{state.phase:>10}  {occurrence}" for state, occurrence in self.seen[-30:])


def children() -> list[psutil.Process]:
    """Live processes of this test run, zombies among them; but for those of the device that all tests share."""
    return [process for process in psutil.Process().children(recursive=True) if not _of_a_device(process)]


def _of_a_device(process: psutil.Process) -> bool:
    try:
        words = process.cmdline()
    except psutil.Error:  # it has just ended, or is a zombie
        return False
    return "device" in words or "--serve" in words


def caches() -> int:
    """Descriptors of memory for KV caches that this process holds."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing's own is gone by now
            found += "offtui-kv" in os.readlink(f"/proc/self/fd/{name}")
    return found


def until(predicate: Callable[[], object], patience: float = PATIENCE) -> None:
    """Poll for what no occurrence tells of."""
    deadline = time.monotonic() + patience
    tick = threading.Event()
    while not predicate():
        assert time.monotonic() < deadline, "waited in vain"
        tick.wait(0.01)


Start = Callable[..., Harness]
