"""A reader of a driver in a thread of its own: a call into a driver may hang, and nobody else shall wait for it."""

import threading
import time
from collections.abc import Callable

import msgspec

from offtui.monitor.sample import GpuSample
from offtui.text import clean_line

SLOW = 2.0
"""Seconds without an answer after which it is said; values as old as that are no longer shown."""


class Reading(msgspec.Struct, frozen=True):
    """What a driver said, or whatever else may hang."""

    gpus: tuple[GpuSample, ...] = ()
    problems: tuple[str, ...] = ()
    cached: int | None = None
    """Bytes of the model's file that are in RAM."""


class Probe:
    """Calls ``read`` in a daemon thread whenever it is asked and not busy, and keeps the newest answer.

    Args:
        name: who answers, for a person: "NVML".
        read: called only in this probe's thread; what it raises becomes a problem with its name.
        due: whether reading again could say anything new; called by who asks, must not block.
        close: called in this probe's thread at the end.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[], Reading],
        *,
        due: Callable[[], bool] = lambda: True,
        close: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._read = read
        self._due = due
        self.answered: Callable[[str], None] = lambda name: None
        """Called with this probe's name, in its thread, after each answer."""
        self._close = close
        self._clock = clock
        self._lock = threading.Condition()
        self._asked: float | None = None
        """When the call that is running was asked for; ``None`` while idle."""
        self._reading: Reading | None = None
        self._stopping = False
        self._thread: threading.Thread | None = None

    def ask(self) -> bool:
        """Have the driver read. Returns at once; ``False`` where it still does, or would have nothing new to say."""
        with self._lock:
            if self._stopping or self._asked is not None or (self._reading is not None and not self._due()):
                return False
            self._asked = self._clock()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"offtui {self.name}", daemon=True)
                self._thread.start()
            self._lock.notify_all()
            return True

    def wait(self, seconds: float) -> bool:
        """Whether the call that is running, if any, ended within ``seconds``."""
        with self._lock:
            return self._lock.wait_for(lambda: self._asked is None or self._stopping, seconds)

    def latest(self) -> Reading:
        """The newest answer. A driver that is silent for long is told of, and its old figures are left out."""
        with self._lock:
            reading, asked = self._reading or Reading(), self._asked
        silent = 0.0 if asked is None else self._clock() - asked
        if silent < SLOW:
            return reading
        return Reading(
            tuple(GpuSample(index=gpu.index, name=gpu.name, uuid=gpu.uuid, total=gpu.total) for gpu in reading.gpus),
            (f"{self.name} has not answered for {silent:.0f} s.",),
        )

    @property
    def answers(self) -> bool:
        """Whether there has been an answer at all."""
        with self._lock:
            return self._reading is not None

    def stop(self, seconds: float) -> bool:
        """End the thread; ``False`` where the driver hangs and the thread is left behind (it keeps nothing alive)."""
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
            thread = self._thread
        if thread is None:
            return True
        thread.join(seconds)
        return not thread.is_alive()

    def _run(self) -> None:
        try:
            while True:
                with self._lock:
                    self._lock.wait_for(lambda: self._asked is not None or self._stopping)
                    if self._stopping:
                        return
                try:
                    reading = self._read()
                except Exception as error:  # noqa: BLE001 -- whatever a driver's binding raises is told, not fatal
                    reading = Reading((), (f"{self.name} failed: {clean_line(f'{type(error).__name__}: {error}')}",))
                with self._lock:
                    self._reading, self._asked = reading, None
                    self._lock.notify_all()
                self.answered(self.name)
        finally:
            self._close()
