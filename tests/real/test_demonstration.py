"""The whole of it in a real terminal: an answer moved four times while it is written, a load that cannot succeed."""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.device import RunningDevice
from tests.ui.terminal import ROOT, Terminal

MANY = 7000
"""Tokens; the answer is stopped before."""
QUESTION = "What is GPU offloading?"
CTRL_Q, ESC, F4 = "\x11", "\x1b", "\x1bOS"

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.timeout(900),
]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    folders = {f"XDG_{name}_HOME": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA", "STATE")}
    return {**folders, "PYTHONPATH": f"{ROOT / 'tui'}:{ROOT}"}


def options(model: Path, device: RunningDevice, tokens: int = MANY) -> list[str]:
    return [
        *("--model", str(model), "--rpc", device.endpoint, "-ngl", "0", "--ctx", "8192"),
        *("--temp", "0", "--max-tokens", str(tokens)),
    ]


def unmoved(model: Path, device: RunningDevice, env: dict[str, str], tokens: int) -> str:
    command = [sys.executable, "-m", "offtui", "ask", "--json", *options(model, device, tokens), QUESTION]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, check=True)
    text: str = json.loads(done.stdout)["text"]
    return text


def kept(env: dict[str, str]) -> list[str]:
    """The answers in the store."""
    (file,) = Path(env["XDG_DATA_HOME"]).rglob("chats.db")
    with contextlib.closing(sqlite3.connect(file)) as store:
        rows = store.execute("SELECT content FROM messages WHERE role = 'assistant' ORDER BY id").fetchall()
    return [row[0] for row in rows]


def count(terminal: Terminal) -> int:
    """Tokens in the context, by the line of status; 0 while that says something else."""
    found = re.findall(r"ctx ([\d.]+)(k?)/", terminal.text())
    number, kilo = found[-1] if found else ("0", "")
    return round(float(number) * (1000 if kilo else 1))


def further(terminal: Terminal) -> Callable[[], bool]:
    """Whether more of the answer has been written since now."""
    terminal.until(lambda: count(terminal) > 0, "the tokens in the context", 60)
    before = count(terminal)
    return lambda: count(terminal) >= before + 30


def shows_moves(terminal: Terminal) -> bool:
    """Whether the monitor has letters for reloads, and says of one from which split to which."""
    rows = {line.split()[0]: line for line in terminal.text().splitlines() if line.split()[1:]}
    return "R" in rows.get("Marks", "") and "→" in rows.get("layers", "")


def test_an_answer_is_moved_four_times_while_it_is_written(
    varied_model: Path, device: RunningDevice, env: dict[str, str], tmp_path: Path
) -> None:
    with Terminal(["-m", "offtui", *options(varied_model, device)], 120, 36, env) as terminal:
        terminal.shows("0/13 layers", 60)
        terminal.type(QUESTION + "\r")
        terminal.until(lambda: count(terminal) > 30, "the answer begins", 60)
        for layers in (13, 0, 13, 0):
            terminal.type(f"/ngl {layers}\r")
            terminal.shows(f"{layers} of 13 layers in", 60)
            terminal.until(lambda layers=layers: f"· {layers}/13 layers" in terminal.text(), "the new split", 60)
            terminal.until(further(terminal), "the answer goes on", 60)
        history = tmp_path / "history.json"
        terminal.type(f"/history {history}\r")
        terminal.until(history.exists, "the history is written", 60)
        terminal.key(F4)
        terminal.until(lambda: shows_moves(terminal), "the marks of the moves", 60)
        terminal.key(ESC)
        terminal.until(lambda: "Marks" not in terminal.text(), "back at the chat", 60)
        # a load that cannot succeed leaves this one answering
        terminal.type("/ctx 16000000\r")
        terminal.shows("What was up before is", 60)
        terminal.until(further(terminal), "the old one answers on", 60)
        terminal.key(ESC)
        terminal.until(lambda: "first token" in terminal.text(), "the end of the answer", 60)
        terminal.until(lambda: count(terminal) > 0, "the tokens in the context", 60)
        tokens = count(terminal) + 100  # in thousands it is rounded
        workers = terminal.children()
        terminal.key(CTRL_Q)
        assert terminal.ended() == 0
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    marks = [mark["note"] for mark in json.loads(history.read_text())["marks"] if mark["event"] == "reload"]
    assert marks == ["0→13", "13→0", "0→13", "13→0"]
    (moved,) = kept(env)
    # the last character may be half of one that another token would have completed
    assert len(moved) > 200
    assert unmoved(varied_model, device, env, tokens).startswith(moved[:-1])
