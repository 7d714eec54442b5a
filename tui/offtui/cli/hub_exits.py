"""Exit codes of what the hub refuses: as in ``offtui ask``."""

from typing import Final

from offtui.cli.exits import complain
from offtui.hub.wire import HubFailure, HubFailureKind

HUB_EXIT_CODES: Final[dict[HubFailureKind, int]] = {
    "bad_name": 2,
    "not_found": 3,
    "no_gguf": 3,
    "gated": 3,
    "no_token": 3,
}
"""2 for bad usage, 3 for what cannot be had; every other kind is 1."""


def report(failure: HubFailure) -> int:
    """Write the failure to stderr and give its exit code."""
    complain(f"{failure.message} {failure.advice}")
    return HUB_EXIT_CODES.get(failure.kind, 1)
