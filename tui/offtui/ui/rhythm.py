"""How often the machine is looked at."""

from offtui.engine.state import Phase, SessionState

BUSY_SECONDS, IDLE_SECONDS, BLURRED_SECONDS = 0.5, 1.0, 5.0
"""Between two samples: while loading or generating, otherwise, and while nobody looks."""


def interval(state: SessionState | None, *, looked_at: bool) -> float:
    """Seconds to the next sample; ``looked_at``: the terminal has the focus."""
    if not looked_at:
        return BLURRED_SECONDS
    busy = state is not None and (state.phase in (Phase.LOADING, Phase.GENERATING) or state.move is not None)
    return BUSY_SECONDS if busy else IDLE_SECONDS
