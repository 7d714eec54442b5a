"""Copying over SSH: through tmux where we are in one, else by OSC 52; always into a file too. Says which."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from offtui import paths

TMUX_SECONDS = 2.0


def copy(text: str, osc52: Callable[[str], None]) -> str:
    """Put ``text`` wherever it can be fetched from; one sentence that says where."""
    places: list[str] = []
    if _tmux(text):
        places.append("tmux and its clipboard")
    else:
        osc52(text)
        places.append("the terminal's clipboard (OSC 52)")
    if (file := _file(text)) is not None:
        places.append(str(file))
    return f"copied to {' and '.join(places)}"


def _tmux(text: str) -> bool:
    program = shutil.which("tmux")
    if not os.environ.get("TMUX") or program is None:
        return False
    try:
        done = subprocess.run(
            [program, "load-buffer", "-w", "-"],
            input=text.encode(),
            capture_output=True,
            timeout=TMUX_SECONDS,
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
