"""The session: one thread that owns the worker, carries out what is wanted of it, and tells what happens."""

import atexit
import collections
import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence

from offtui.engine.child import WORKER_COMMAND, Deadlines
from offtui.engine.overlap import beside
from offtui.engine.state import (
    CloseWanted,
    LoadWanted,
    Occurrence,
    SessionState,
    StopWanted,
)
from offtui.engine.supervisor import Supervisor
from offtui.engine.transfer import Overlap
from offtui.engine.waiting import CountAsked, GoOnAsked, Order, TurnAsked
from offtui.protocol.facts import Learned
from offtui.protocol.spec import LoadSpec, Message, Sampling

Listener = Callable[[SessionState, Occurrence], None]
"""Called on the session's thread with each occurrence and the state after it; must not block long."""


class Session:
    """Has at most one model loaded, in a worker process that it spawns, supervises, explains and reaps.

    All methods may be called from any thread and return at once, but ``close``.
    """

    def __init__(
        self,
        listener: Listener,
        *,
        command: Sequence[str] = WORKER_COMMAND,
        deadlines: Deadlines = Deadlines(),  # noqa: B008 -- frozen
        spare: bool = True,
        overlap: Overlap | None = beside,
        learned: Callable[[], Learned] = Learned,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the session's thread; no process yet.

        Args:
            listener: told everything that happens.
            command: of a worker; ``--fd N`` is added.
            deadlines: what is waited for, and how long.
            spare: keep a second worker with its imports done, for the next load.
            overlap: says whether, and how, another load can be loaded beside the one that is up; ``None``: never.
            learned: what earlier loads taught, asked for on the session's thread before a load that leaves the layers
                open.
            clock: seconds, monotonic.
        """
        self._listener = listener
        self._deadlines = deadlines
        self._clock = clock
        self._intents: collections.deque[Order] = collections.deque()
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._supervisor = Supervisor(self._selector, listener, command, deadlines, spare, overlap, learned)
        # A daemon, so that an interpreter that exits gets as far as atexit, which closes the session.
        self._thread = threading.Thread(target=self._run, name="offtui-session", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def state(self) -> SessionState:
        """The newest snapshot."""
        return self._supervisor.state

    def want(self, spec: LoadSpec) -> None:
        """Have ``spec`` loaded. The latest wish wins.

        Of the same model: the conversation goes on under the new load, its KV cache and a running answer too; where
        the load fails, what was up before stays up or comes back by itself. Of another model: a running turn is
        stopped first, and what it gave is kept.
        """
        self._intend(LoadWanted(spec))

    def submit(self, turn: int, messages: Sequence[Message], sampling: Sampling) -> None:
        """Have the last of ``messages`` answered. ``TurnFailed`` comes back where the state is not READY."""
        self._intend(TurnAsked(turn, tuple(messages), sampling))

    def resume(self, turn: int, messages: Sequence[Message], sampling: Sampling) -> None:
        """Have an answer that broke off go on: the last of ``messages`` is the assistant's, as far as it came.

        ``Piece`` then brings only what is new. For an answer whose worker died, or that was stopped.
        """
        self._intend(TurnAsked(turn, tuple(messages), sampling, go_on=True))

    def count(self, number: int, text: str) -> None:
        """Have the tokens of a text counted; ``Tokenized`` with that number comes back if a model is up."""
        self._intend(CountAsked(number, text))

    def go_on(self, broken: int, turn: int) -> None:
        """Have the turn that ``state.broken`` names go on as ``turn``, exactly where it broke off.

        Where nothing is loaded, what it was answered under is loaded first. ``Piece`` brings only what is new.
        """
        self._intend(GoOnAsked(broken, turn))

    def stop(self) -> None:
        """Stop the turn, or give up the load, that is running."""
        self._intend(StopWanted())

    def close(self) -> None:
        """End every process. Blocks until they are reaped, at most the sum of the deadlines; may be called again."""
        self._intend(CloseWanted())
        if threading.current_thread() is not self._thread:
            patience = self._deadlines
            self._thread.join(patience.quit + patience.term + patience.kill + 1.0)
            atexit.unregister(self.close)

    def _intend(self, intent: Order) -> None:
        self._intents.append(intent)
        # A full or closed pipe: the thread has been woken already, or has ended.
        with contextlib.suppress(OSError):
            self._wake.send(b"\0")

    def _run(self) -> None:
        supervisor = self._supervisor
        try:
            while not supervisor.finished:
                ready = self._selector.select(supervisor.patience(self._clock()))
                for key, mask in ready:
                    if key.fileobj is self._woken:
                        with contextlib.suppress(BlockingIOError):
                            self._woken.recv(4096)
                    else:
                        supervisor.on_ready(key.data, mask, self._clock())
                while self._intents:
                    supervisor.on_intent(self._intents.popleft(), self._clock())
                supervisor.on_time(self._clock())
        finally:
            # Also on an exception, a listener's for instance: no process survives the thread that owns it.
            expected = supervisor.finished
            supervisor.kill_everything()
            self._selector.close()
            self._wake.close()
            self._woken.close()
            if not expected:
                self._listener(supervisor.state, CloseWanted())
