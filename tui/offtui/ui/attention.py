"""Calling for attention when nobody looks: by what the terminal understands."""

import os

from offtui.text import clean_line

LONGEST = 200
"""Characters of a text; some terminals show all of it."""
_OSC9 = ("iTerm.app", "WezTerm", "ghostty", "WarpTerminal")
_OSC777 = ("foot", "rxvt-unicode", "urxvt", "contour")


def sequence(how: str, text: str) -> str:
    """What to write to the terminal.

    Args:
        how: ``osc777``, ``osc9``, ``bel`` or ``none``; ``auto`` goes by the terminal, as far as it says what it is.
        text: one line; it is cleaned here, as it must not end the sequence.
    """
    text = clean_line(text, LONGEST).replace(";", ",")
    match _chosen(how):
        case "osc777":
            return f"\x1b]777;notify;offtui;{text}\x1b\\"
        case "osc9":
            return f"\x1b]9;offtui: {text}\x1b\\"
        case "bel":
            return "\x07"
        case _:
            return ""


def _chosen(how: str) -> str:
    """A multiplexer passes on the bell alone, and everything knows it."""
    if how != "auto":
        return how
    term, program = os.environ.get("TERM", ""), os.environ.get("TERM_PROGRAM", "")
    if os.environ.get("TMUX") or term.startswith(("screen", "tmux")):
        return "bel"
    if program in _OSC9 or "kitty" in term or "ghostty" in term:
        return "osc9"
    return "osc777" if term.startswith(_OSC777) else "bel"
