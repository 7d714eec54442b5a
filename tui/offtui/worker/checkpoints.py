"""Copies of the KV cache made while an answer is written, so that a crash costs little of it.

Two pieces of memory by turns, so that one is whole whenever the process dies. How often follows from what a copy costs:
at most a sixtieth of the time goes into them.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Final

from offtui.protocol.events import Checkpointed
from offtui.worker import carry
from offtui.worker.sequence import Sequence as TokenSequence
from offtui.worker.shared import Shared

SHARE: Final = 60.0
"""Seconds of work for each second of copying."""
LEAST_SECONDS: Final = 2.0
LEAST_TOKENS: Final = 32
"""Between two copies."""
SPARE: Final = 0.25
"""Of a copy's size that its memory is longer, for the tokens to come: it keeps its pages from copy to copy."""
GUESS: Final = 1e9
"""Bytes per second of the first copy, until it has been measured."""


class Checkpoints:
    """Told by the control thread where to write; writes on the thread that decodes, between two decodes."""

    def __init__(self, send: Callable[[Checkpointed], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock = clock
        self._slots: list[Shared] = []
        self._most = 0
        self._next = 0
        self._newest: int | None = None
        """The slot with the newest copy that is whole."""
        self._tokens = 0
        """In the newest copy."""
        self._ended = clock()
        self._seconds: float | None = None
        """That the newest copy took."""

    def keep(self, descriptor: int, most: int) -> None:
        """Write to this file too, caches of at most ``most`` bytes."""
        self._most = most
        self._slots.append(Shared(descriptor))

    def begin(self) -> None:
        """A turn begins: the cache may hold something else from here on."""
        self._tokens = 0
        self._ended = self._clock()

    def look(self, sequence: TokenSequence) -> None:
        """Make a copy, if there is enough new in it for what it costs."""
        if len(self._slots) < 2 or sequence.n_past - self._tokens < LEAST_TOKENS:
            return
        waited = self._clock() - self._ended
        if waited < LEAST_SECONDS or (self._seconds is not None and waited < self._seconds * SHARE):
            return
        size = carry.size_of(sequence)
        if size > self._most:
            self._drop()
            return
        if self._seconds is None and waited < size / GUESS * SHARE:
            return
        saved = carry.save(sequence, self._slots[self._next], SPARE)
        self._ended, self._seconds = self._clock(), saved.seconds
        self._tokens = sequence.n_past
        if saved.manifest is None:
            self._drop()
            return
        self._send(Checkpointed(self._next, saved.manifest, saved.seconds))
        self._newest, self._next = self._next, 1 - self._next

    def _drop(self) -> None:
        """Make no more copies: this cache is too large, or cannot be copied.

        The memory is given back, but for the newest copy: the parent may still restore it, and most of the cache with
        it.
        """
        for slot, memory in enumerate(self._slots):
            if slot != self._newest:
                with contextlib.suppress(OSError):  # the parent gives it back when this process ends
                    memory.cut()
            memory.close()
        self._slots.clear()
