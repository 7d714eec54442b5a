"""Which changes of the devices' memory are worth a message: at rest each of them wakes the app up. Pure."""

from collections.abc import Sequence

from offtui.protocol.facts import DeviceFacts
from offtui.units import MIB

STALE = 5.0
"""Seconds after which it is told though nothing has changed."""
STEP, CPU_STEP = MIB, 16 * MIB
"""Bytes of a device's free memory, and of the RAM, which is never still and which others look at too."""


def is_news(before: Sequence[DeviceFacts], after: Sequence[DeviceFacts]) -> bool:
    """Whether anything is another than it was told to be, but for a little more or less that is free."""
    return len(before) != len(after) or any(map(_differ, before, after))


def _differ(before: DeviceFacts, after: DeviceFacts) -> bool:
    if (before.name, before.total) != (after.name, after.total):
        return True
    if before.free is None or after.free is None:
        return before.free != after.free
    return abs(before.free - after.free) >= (CPU_STEP if after.kind == "cpu" else STEP)
