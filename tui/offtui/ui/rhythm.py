"""How often the machine is looked at."""

import msgspec

from offtui.engine.state import Phase, SessionState

BUSY_SECONDS, IDLE_SECONDS, BLURRED_SECONDS = 0.5, 1.0, 5.0
"""Between two samples: while loading or generating, otherwise, and while nobody looks."""


def is_only_memory(before: SessionState, after: SessionState) -> bool:
    """Whether nothing but what devices have free is another, which is shown with the next look at the machine."""
    if before.memory is after.memory or not before.memory:
        return False
    return msgspec.structs.replace(before, memory=after.memory) == after


def interval(state: SessionState | None, *, looked_at: bool) -> float:
    """Seconds to the next sample; ``looked_at``: the terminal has the focus."""
    if not looked_at:
        return BLURRED_SECONDS
    busy = state is not None and (state.phase in (Phase.LOADING, Phase.GENERATING) or state.move is not None)
    return BUSY_SECONDS if busy else IDLE_SECONDS
