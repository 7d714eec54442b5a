"""Copying, over SSH too, by a ladder: tmux where we are in one, a tool of this machine's desktop, else OSC 52; and
always into a file. Says which rung it was.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from offtui import paths

SECONDS = 1.5
"""How long a program is waited for."""
OSC52_BYTES = 74_994
"""What xterm, tmux and hterm take of an OSC 52 at most, before base64."""

_TMUX = ("tmux", "load-buffer", "-w", "-")
_DESKTOP: Sequence[tuple[str, tuple[str, ...]]] = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
)
"""Variables that say there is a desktop, and its programs."""


def copy(text: str, osc52: Callable[[str], None]) -> str:
    """Put ``text`` wherever it can be fetched from; one sentence that says where."""
    places: list[str] = []
    if os.environ.get("TMUX") and _piped(_TMUX, text):
        places.append("tmux's buffer and clipboard")
    elif (program := _desktop(text)) is not None:
        places.append(f"the clipboard ({program})")
    elif len(text.encode()) <= OSC52_BYTES:
        osc52(text)
        places.append("the terminal's clipboard (OSC 52)")
    if (file := _file(text)) is not None:
        places.append(str(file))
    return f"copied to {' and '.join(places)}" if places else "nothing could be copied: no clipboard, no place to write"


def _desktop(text: str) -> str | None:
    """The program of the desktop that took the text. Over SSH it would be another machine's clipboard."""
    if any(name in os.environ for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")):
        return None
    tools = [command for variable, command in _DESKTOP if os.environ.get(variable)]
    if sys.platform == "darwin":
        tools.append(("pbcopy",))
    return next((command[0] for command in tools if _piped(command, text)), None)


def _piped(command: Sequence[str], text: str) -> bool:
    """Whether a program took the text. What it writes goes nowhere: xclip keeps its output open while it lives."""
    program = shutil.which(command[0])
    if program is None:
        return False
    try:
        done = subprocess.run(
            [program, *command[1:]],
            input=text.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _file(text: str) -> Path | None:
    file = paths.state_dir() / "copied.txt"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError:  # no place to write: the clipboard has it
        return None
    return file
