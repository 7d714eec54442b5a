"""How fast bytes come and how long the rest takes, from a few progress reports."""

import time
from collections import deque
from collections.abc import Callable

WINDOW = 8.0
"""Seconds over which the speed is taken."""


class Meter:
    """Of one download."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, done: int) -> None:
        """So many bytes are here now."""
        now = self._clock()
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] > WINDOW:
            self._seen.popleft()

    def restart(self) -> None:
        """What came until now was not from the network, or there was a pause."""
        self._seen.clear()

    @property
    def speed(self) -> float | None:
        """Bytes per second; ``None``: not known yet."""
        if len(self._seen) < 2:
            return None
        (begun, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - begun) if now > begun else None

    def left(self, missing: int) -> float | None:
        """Seconds until so many more bytes are here; ``None``: nobody knows."""
        speed = self.speed
        return missing / speed if speed else None
