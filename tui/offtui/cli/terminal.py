"""Whether there is a terminal that can show a screen."""

import os
import sys

from offtui.errors import UsageError


def need_terminal(instead: str) -> None:
    """See that there is one; ``instead`` is the command for who has none.

    Raises:
        UsageError: there is none, or one that can do too little.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"The screen needs a terminal; without one, use `{instead}`.")
    if os.environ.get("TERM", "dumb") == "dumb":
        raise UsageError(f"The screen needs a terminal that can do more than TERM=dumb says; here, use `{instead}`.")
