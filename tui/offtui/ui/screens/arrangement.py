"""Which parts of the main screen are seen, by the width of the terminal and the pane that was opened. Pure."""

from collections.abc import Iterable
from typing import Literal

Pane = Literal["", "models", "monitor", "dial"]
"""What covers the chat; empty: nothing."""

NARROW, MEDIUM, WIDE = 60, 110, 160
"""Columns from which there is room for the keys below the chat, for monitor and dial beside it, for the models too."""
HIGH, TALL = 15, 34
"""Rows from which there is room for the keys, and for space between the panes."""


def size_classes(width: int, height: int, pane: Pane) -> dict[str, bool]:
    """The classes by which the style sheet knows size and cover, and whether each holds."""
    return {
        "-slim": width < NARROW,
        "-narrow": NARROW <= width < MEDIUM,
        "-wide": width >= WIDE,
        "-low": height < HIGH,
        "-short": height < TALL,
        "-covered": bool(pane),
    }


def beside(width: int) -> frozenset[str]:
    """The columns that have a place beside the chat: ``side`` holds monitor, dial and ledger."""
    if width >= WIDE:
        return frozenset(("models", "side"))
    return frozenset(("side",)) if width >= MEDIUM else frozenset()


def pane_of(ids: Iterable[str | None]) -> Pane:
    """The pane among the ids of a widget and of what is around it."""
    for id in ids:
        if id in ("models", "monitor", "dial"):
            return id
    return ""


def covering(pane: Pane, width: int) -> Pane:
    """``pane`` where it must cover the chat to be seen, nothing where it is seen anyway."""
    return "" if ("models" if pane == "models" else "side") in beside(width) else pane


def seen(width: int, pane: Pane) -> dict[str, bool]:
    """What is shown, by id; what goes stands first, so that nothing is ever laid out beside it."""
    columns = beside(width)
    parts = {
        "chat": not pane,
        "models": "models" in columns or pane == "models",
        "side": "side" in columns or pane in ("monitor", "dial"),
        "monitor": pane != "dial",
        "dial": pane != "monitor",
        "ledger": pane != "monitor",
    }
    return dict(sorted(parts.items(), key=lambda entry: entry[1]))
