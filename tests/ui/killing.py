"""Kills the app in the middle of an answer, and looks how much of what was on the screen is not in the store."""

import os
import re
import signal
import sqlite3
import time
from pathlib import Path

from tests.ui.terminal import Terminal

LAUNCH = str(Path(__file__).with_name("launch.py"))
WORDS = re.compile(r"\bword(\d+)\b")
STREAM = ("--pieces", "100000", "--pause", "0.005")


def launched(folder: Path, *options: str) -> Terminal:
    """The app over a worker that goes on talking, with its store in ``folder``."""
    folders = {name: str(folder / name) for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")}
    return Terminal([LAUNCH, str(folder / "modules"), "/m/model.gguf", *(options or STREAM)], env=folders)


def store_of(folder: Path) -> Path:
    return folder / "XDG_DATA_HOME" / "offtui" / "chats.db"


def newest_word(text: str) -> int:
    """The greatest number of the words that the fake worker says; -1: there is none."""
    return max((int(number) for number in WORDS.findall(text)), default=-1)


def kept_answers(folder: Path) -> list[tuple[str, str]]:
    """Text and state of the answers in the store."""
    connection = sqlite3.connect(store_of(folder))
    try:
        return connection.execute("SELECT content, state FROM messages WHERE role = 'assistant' ORDER BY id").fetchall()
    finally:
        connection.close()


def seconds_lost(folder: Path, after: float) -> float:
    """Kill the app so many seconds into an answer.

    Returns:
        How long the first word that is lost had been on the screen; 0 where none is.
    """
    seen: list[tuple[float, int]] = []
    with launched(folder) as terminal:
        terminal.shows("13/13 layers", 60)
        terminal.type("hello\r")
        terminal.shows("word9", 60)
        deadline = time.monotonic() + after
        while time.monotonic() < deadline:
            terminal.read(0.01)
            seen.append((time.monotonic(), newest_word(terminal.text())))
        killed = time.monotonic()
        os.kill(terminal.pid, signal.SIGKILL)
        terminal.ended()
    kept = newest_word(kept_answers(folder)[-1][0])
    return max((killed - when for when, word in seen if word > kept), default=0.0)
