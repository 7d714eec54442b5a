"""The dial in a real terminal: a key that is held down turns it without lag, and loads once."""

import re
import statistics
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.ui.terminal import Terminal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

LAUNCH = str(Path(__file__).with_name("launch_plan.py"))
CTRL_Q, CTRL_R, RIGHT = "\x11", "\x12", "\x1b[C"
PERIOD = 1 / 30
"""Seconds between two repeats of a key, as keyboards send them."""
HANGS = 5.0
"""Seconds; a machine that has other work too may need some."""


def draft(terminal: Terminal) -> int | None:
    """Where the dial points on the screen, once speed and memory of that count are there too."""
    found = re.search(r"12 → (\d+) of 47", terminal.text())
    return int(found[1]) if found else None


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 36), (200, 50)])
def test_a_held_key_turns_without_lag_and_loads_once(tmp_path: Path, columns: int, rows: int) -> None:
    env = {"XDG_STATE_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    with Terminal([LAUNCH, str(tmp_path), "12", "12"], columns, rows, env) as terminal:
        terminal.shows("12/47 layers")
        terminal.key(CTRL_R)
        terminal.shows("12 of 47 on the device")
        terminal.shows("predicted")
        lags: list[float] = []
        process = psutil.Process(terminal.pid)
        before = process.cpu_times()
        for target in range(13, 43):
            pressed = time.monotonic()
            terminal.key(RIGHT)
            while (draft(terminal) or 0) < target:
                terminal.read(0.002)
                assert time.monotonic() - pressed < HANGS, terminal.text()
            lags.append(time.monotonic() - pressed)
            while time.monotonic() < pressed + PERIOD:
                terminal.read(0.002)
        after = process.cpu_times()
        cpu = (after.user + after.system - before.user - before.system) / len(lags)
        said = (
            f"median {statistics.median(lags) * 1000:.0f} ms, worst {max(lags) * 1000:.0f} ms, CPU {cpu * 1000:.0f} ms"
        )
        print(f"{columns}x{rows}: {said}")
        assert cpu < 0.1  # 9 to 23 ms where nothing else runs
        terminal.shows("12→42/47 layers")  # nothing was loaded meanwhile
        terminal.shows("42 of 47 on the device")
        terminal.key(CTRL_Q)
        assert terminal.ended() == 0


def test_a_burst_of_keys_ends_where_it_should(tmp_path: Path) -> None:
    env = {"XDG_STATE_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    with Terminal([LAUNCH, str(tmp_path), "12", "12"], 120, 36, env) as terminal:
        terminal.shows("12/47 layers")
        terminal.shows("predicted")
        terminal.key(CTRL_R)
        terminal.key(RIGHT * 20)
        started = time.monotonic()
        terminal.shows("12 → 32 of 47")
        assert time.monotonic() - started < HANGS
        terminal.key(CTRL_Q)
        assert terminal.ended() == 0
