"""How a headless command ends: one line on stderr, and a code that says what kind of failure it was."""

import sys
from typing import Final

from offtui.protocol.facts import Failure, FailureKind
from offtui.text import clean_line

INTERRUPTED: Final = 130
"""Ctrl+C, as shells count: 128 + SIGINT."""
BROKEN_PIPE: Final = 141
"""Nobody reads on: 128 + SIGPIPE."""

EXIT_CODES: Final[dict[FailureKind, int]] = {
    "out_of_range": 2,
    "not_found": 3,
    "permission": 3,
    "not_gguf": 3,
    "truncated": 3,
    "unsupported": 3,
    "no_tokenizer": 3,
    "out_of_memory": 4,
}
"""2 for bad usage, 3 for a file that cannot be loaded, 4 for out of memory; every other kind is 1."""


def complain(message: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(f"offtui: {clean_line(message)}\n")
    sys.stderr.flush()


def report(failure: Failure) -> int:
    """Write the failure to stderr and give its exit code."""
    complain(f"{failure.message} {failure.advice}")
    return EXIT_CODES.get(failure.kind, 1)
