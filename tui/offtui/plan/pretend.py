"""A budget of device memory: what is planned and loaded as if each device had only so much."""

from collections.abc import Mapping, Sequence

import msgspec

from offtui.protocol.facts import DeviceFacts


def within(
    facts: Sequence[DeviceFacts], budget: int | None, ours: Mapping[str, int] | None = None
) -> tuple[DeviceFacts, ...]:
    """The devices as if each but the processor had ``budget`` bytes; unchanged where that is ``None``.

    Args:
        facts: every device with its memory now.
        budget: bytes of each; a device that has less keeps what it has.
        ours: bytes of the budget that are in use already, by the device's name.
    """
    if budget is None:
        return tuple(facts)
    used = ours or {}
    found: list[DeviceFacts] = []
    for fact in facts:
        if fact.kind in ("cpu", "accel"):
            found.append(fact)
            continue
        left = max(budget - used.get(fact.name, 0), 0)
        total = budget if fact.total is None else min(fact.total, budget)
        free = left if fact.free is None else min(fact.free, left)
        found.append(msgspec.structs.replace(fact, free=free, total=total))
    return tuple(found)
