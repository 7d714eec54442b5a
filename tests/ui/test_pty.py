"""The screen in a real terminal: what is written to it, and in which state it is left."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.ui.terminal import Terminal, alive

LAUNCH = str(Path(__file__).with_name("launch.py"))
CTRL_Q = "\x11"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def opened(
    tmp_path: Path, *arguments: str, model: str = "/m/model.gguf", columns: int = 120, rows: int = 36
) -> Terminal:
    return Terminal([LAUNCH, str(tmp_path / "modules"), model, *arguments], columns, rows)


def is_restored(terminal: Terminal) -> bool:
    import termios

    raw = bytes(terminal.raw)
    leaves = raw.rfind(b"\x1b[?1049l") > raw.rfind(b"\x1b[?1049h") >= 0
    shows_cursor = raw.rfind(b"\x1b[?25h") > raw.rfind(b"\x1b[?25l")
    ends_mouse = raw.rfind(b"\x1b[?1000l") > raw.rfind(b"\x1b[?1000h")
    return leaves and shows_cursor and ends_mouse and termios.tcgetattr(terminal.slave) == terminal.modes


def test_it_opens_answers_and_quits_leaving_the_terminal_as_it_was(tmp_path: Path) -> None:
    with opened(tmp_path) as terminal:
        terminal.shows("13/13 layers")
        workers = terminal.children()
        assert workers
        terminal.type("hello\r")
        terminal.shows("word4")
        terminal.key(CTRL_Q)
        assert terminal.ended() == 0
        assert is_restored(terminal)
        assert b"offtui: 1 answer, 5 tokens" in bytes(terminal.raw)
        assert not any(alive(pid) for pid in workers)
    modules = set((tmp_path / "modules").read_text().split())
    assert not {"llama_cpp", "numpy", "huggingface_hub", "torch"} & modules


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with opened(tmp_path, "--pieces", "100000", "--pause", "0.01") as terminal:
        terminal.shows("13/13 layers")
        workers = terminal.children()
        terminal.type("hello\r")
        terminal.shows("word9")
        os.kill(terminal.pid, number)
        assert terminal.ended() == 128 + number
        assert not any(alive(pid) for pid in workers)
        if number is not signal.SIGHUP:
            assert is_restored(terminal)


def test_ctrl_c_while_it_ends_shows_no_traceback(tmp_path: Path) -> None:
    with opened(tmp_path, "--deaf", "--stubborn") as terminal:
        terminal.shows("13/13 layers")
        terminal.key(CTRL_Q)
        deadline = time.monotonic() + 15
        while not is_restored(terminal):
            assert time.monotonic() < deadline, "the terminal is not given back"
            terminal.read()
        os.kill(terminal.pid, signal.SIGINT)
        assert terminal.ended() in (0, 128 + signal.SIGINT)
        assert b"Traceback" not in bytes(terminal.raw)


def test_a_terminal_that_goes_away_takes_everything_with_it(tmp_path: Path) -> None:
    with opened(tmp_path, "--pieces", "100000", "--pause", "0.01") as terminal:
        terminal.shows("13/13 layers")
        workers = terminal.children()
        terminal.type("hello\r")
        terminal.shows("word9")
        os.close(terminal.slave)
        os.close(terminal.master)
        deadline = time.monotonic() + 15
        while alive(terminal.pid) or any(alive(pid) for pid in workers):
            assert time.monotonic() < deadline, "something lives on without a terminal"
            os.sched_yield()


def test_a_terminal_that_does_not_read_cannot_keep_it_alive(tmp_path: Path) -> None:
    with opened(tmp_path, "--pieces", "100000", "--pause", "0.001") as terminal:
        terminal.shows("13/13 layers")
        workers = terminal.children()
        terminal.type("hello\r")
        terminal.shows("word9")
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:  # nobody reads: the pty fills, and the writer with it
            os.sched_yield()
        os.kill(terminal.pid, signal.SIGTERM)
        while alive(terminal.pid):
            assert time.monotonic() < deadline + 15, "stuck in a write"
            os.sched_yield()
        assert not any(alive(pid) for pid in workers)


def test_it_can_be_suspended_and_comes_back_whole(tmp_path: Path) -> None:
    with opened(tmp_path) as terminal:
        terminal.shows("13/13 layers")
        terminal.key("\x1a")
        state = Path(f"/proc/{terminal.pid}/stat")
        terminal.until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", "stopped")
        while terminal.read(0.2):
            pass
        assert is_restored(terminal)
        terminal.emulator.reset()  # what a shell would leave of the screen
        os.kill(terminal.pid, signal.SIGCONT)
        terminal.shows("What is GPU offloading?")
        terminal.shows("13/13 layers")
        terminal.type("hello\r")
        terminal.shows("word4")
        terminal.key(CTRL_Q)
        assert terminal.ended() == 0


def test_a_storm_of_resizes_while_an_answer_is_written(tmp_path: Path) -> None:
    with opened(tmp_path, "--pieces", "3000", "--pause", "0.005") as terminal:
        terminal.shows("13/13 layers")
        terminal.type("hello\r")
        terminal.shows("word9")
        for n in range(60):
            terminal.resize(20 + (n * 37) % 190, 5 + (n * 11) % 50)
            terminal.read(0.005)
        for columns, rows in ((80, 24), (200, 50), (120, 36)):
            terminal.resize(columns, rows)
            terminal.shows("13/13 layers")
            terminal.until(lambda: "layers" in terminal.emulator.display[-2], "the line of status above the keys")
        terminal.key("\x1b")
        terminal.shows("stopped")
        terminal.key(CTRL_Q)
        assert terminal.ended() == 0


@pytest.mark.parametrize(
    "name", ["[b]x[/b]", "a'b\"c", "new\nline", "\x1b]52;c;QQ==\x07evil", "\x9b2Jx", "[@click=app.quit]"]
)
def test_a_hostile_name_neither_acts_nor_crashes(tmp_path: Path, name: str) -> None:
    with opened(tmp_path, model=f"/m/{name}.gguf") as terminal:
        terminal.shows("13/13 layers")
        terminal.type("dirty\r")
        terminal.shows("word4")
        terminal.key("\x1bOQ")
        terminal.shows("model file")
        terminal.key(CTRL_Q)
        assert terminal.ended() == 0
        raw = re.sub(rb"\x1b\]22;[a-z-]*\x07", b"", terminal.raw)  # Textual's own: the shape of the mouse pointer
        assert b"\x1b]" not in raw
        assert b"\x07" not in raw
        assert "\u202e".encode() not in raw
        assert b"\xc2\x9b" not in raw


def test_nothing_is_drawn_when_nothing_changes(tmp_path: Path) -> None:
    with opened(tmp_path) as terminal:
        terminal.shows("13/13 layers")
        settled = time.monotonic() + 1.5
        while time.monotonic() < settled:
            terminal.read()
        written, until = 0, time.monotonic() + 3
        while time.monotonic() < until:
            written += terminal.read()
        assert written < 3 * 1500
