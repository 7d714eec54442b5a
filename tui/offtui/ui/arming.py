"""The second Ctrl+C quits, where it follows the first at once and nothing came between."""

import time

TWICE = 2.0
"""Seconds within which the second one quits."""


class Arming:
    """Whether the next Ctrl+C quits."""

    def __init__(self) -> None:
        self._until = float("-inf")

    def arm(self) -> None:
        """The next one within ``TWICE`` seconds quits."""
        self._until = time.monotonic() + TWICE

    def disarm(self) -> bool:
        """The next one does not quit; whether it would have."""
        was_armed = time.monotonic() < self._until
        self._until = float("-inf")
        return was_armed
