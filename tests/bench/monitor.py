"""What watching costs and whether it is true: CPU and bytes at rest, a tick of the screen, first values, figures."""

import asyncio
import contextlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from offtui.config import Config
from offtui.engine.state import Phase, SessionState
from offtui.monitor.history import CAPACITY, Event
from offtui.monitor.host import HostReader
from offtui.monitor.nvml import Nvml
from offtui.options import Options
from offtui.recorder.tape import Tape
from offtui.ui.application import OfftuiApp
from offtui.ui.ports import Ports
from offtui.ui.screens.monitor import MonitorScreen
from tests.bench.report import Figure
from tests.bench.terminal import Terminal, offtui
from tests.recorder.scenes import SPEC, card, sample
from tests.ui.harness import Recorder, StillShelf, StillWatch, loaded

FULL = "\x1bOS"
"""F4."""
QUIET = 60.0
"""Seconds at rest that are measured."""


@contextlib.contextmanager
def _own_folders() -> Generator[None]:
    """Settings, chats and sockets of the benchmark's own."""
    names = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")
    before = {name: os.environ.get(name) for name in names}
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update({name: f"{folder}/{name}" for name in names})
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _at_rest(command: list[str], ready: str, keys: str = "") -> tuple[float, float, float, float]:
    """Seconds until ``ready`` is on the screen, and CPU seconds; then per cent of a core and bytes/s at rest."""
    terminal = Terminal(command)
    try:
        shown = terminal.until(lambda text: re.search(ready, text) is not None) - terminal.started
        to_show = _cpu_seconds(terminal.process.pid)
        terminal.type(keys)
        settle = time.perf_counter() + 8.0  # the planner, the spare worker, the first look at the RAM
        while time.perf_counter() < settle:
            terminal.pump(0.2)
        began, cpu, written = time.perf_counter(), _cpu_seconds(terminal.process.pid), terminal.written
        while (seconds := time.perf_counter() - began) < QUIET:
            terminal.pump(0.2)
        used = _cpu_seconds(terminal.process.pid) - cpu
        return shown, to_show, used / seconds * 100, (terminal.written - written) / seconds
    finally:
        terminal.close()


def _ticks(runs: int) -> tuple[Figure, Figure]:
    """Milliseconds of the event loop's thread for one look: a full tape, eight cards, one hour in view."""
    column = Figure("tick of the column, 120x36, eight GPUs", "ms", [], "≤ 5")
    full = Figure("tick of the full monitor, 200x50, eight GPUs, 1 h", "ms", [], "≤ 5")

    async def measure() -> None:
        ports = Ports(Recorder, lambda listener, *_: StillWatch(listener), lambda listener: StillShelf((), listener))
        app = OfftuiApp(Options(model="/m", config=Config()), ports)
        state = SessionState(phase=Phase.READY, wanted=SPEC, loaded=loaded(SPEC, 9, 13, device=True))
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.pause()
            tape = app.main.tape
            fill(tape, state)
            app.main.session = state
            for number in range(20 * runs):
                at = CAPACITY / 2 + 1.0 + number
                look = sample(at, *_cards(number))
                began = time.thread_time()
                tape.observe(look, state)
                app.main.sample = look
                column.values.append((time.thread_time() - began) * 1000)
                await pilot.pause()
            await pilot.resize_terminal(200, 50)
            app.main.action_full_monitor()
            await pilot.pause()
            screen = app.screen
            assert isinstance(screen, MonitorScreen)
            for _ in range(4):
                screen.action_zoom(1)
            for number in range(20 * runs):
                at = CAPACITY / 2 + 1000.0 + number
                look = sample(at, *_cards(number))
                began = time.thread_time()
                tape.observe(look, state)
                screen.sample = look
                full.values.append((time.thread_time() - began) * 1000)
                await pilot.pause()

    asyncio.run(measure())
    return column, full


def fill(tape: Tape, state: SessionState) -> None:
    """A tape of two looks a second, as full as it gets."""
    for number in range(CAPACITY):
        at = number / 2
        tape.observe(sample(at, *_cards(number)), state)
        if number % 40 == 0:
            tape.history.mark(at, Event.PROMPT)
        tape.history.add("tps", at, 30 + 5 * math.sin(number / 10))


def _cards(number: int) -> list:
    wave = (math.sin(number / 7) + 1) / 2
    return [
        card(
            index,
            name="A Card" if not index else f"Card {index}",
            util=wave,
            mem_util=wave / 2,
            power_w=100 + 90 * wave,
        )
        for index in range(8)
    ]


def _truth() -> list[Figure]:
    """How far figures are from what the system says at the same time."""
    free = Figure("RAM used, against free", "MiB", [], "≤ 64")
    busy = Figure("CPU over 1 s, against /proc/stat", "%", [], "≤ 3")
    reader = HostReader()
    reader.read()
    for _ in range(3):
        before = _proc_stat()
        reader.read()
        time.sleep(1.0)
        host, after = reader.read(), _proc_stat()
        said = subprocess.run(["free", "-b"], capture_output=True, text=True, check=True).stdout.splitlines()[1].split()
        total, available = int(said[1]), int(said[6])
        if host.ram_used is not None and not host.ram_limited:
            free.values.append(abs(host.ram_used - (total - available)) / 2**20)
        idle, all_of_it = after[0] - before[0], after[1] - before[1]
        busy.values.append(abs((host.cpu or 0.0) - (1 - idle / all_of_it)) * 100)
    return [figure for figure in (free, busy, *_truth_of_cards()) if figure.values]


def _truth_of_cards() -> list[Figure]:
    """The same of NVIDIA's cards, where nvidia-smi is there to say it."""
    fields = {"used": "memory.used", "power_w": "power.draw", "temp_c": "temperature.gpu", "util": "utilization.gpu"}
    reach = {"used": "≤ 1", "power_w": "≤ 10", "temp_c": "≤ 1", "util": "≤ 10"}
    units = {"used": "MiB", "power_w": "W", "temp_c": "°C", "util": "%"}
    figures = {
        field: Figure(f"{word}, against nvidia-smi", units[field], [], reach[field]) for field, word in fields.items()
    }
    if shutil.which("nvidia-smi") is None:
        return []
    reader = Nvml()
    command = ["nvidia-smi", f"--query-gpu={','.join(fields.values())}", "--format=csv,noheader,nounits"]
    for _ in range(3):
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        for gpu, line in zip(reader.read().gpus, said, strict=False):
            for field, word in zip(fields, line.split(","), strict=True):
                ours = getattr(gpu, field)
                scale = {"used": 1 / 2**20, "util": 100.0}.get(field, 1.0)
                if ours is not None and word.strip().replace(".", "", 1).isdecimal():
                    figures[field].values.append(abs(ours * scale - float(word)))
        time.sleep(1.0)
    reader.close()
    return list(figures.values())


def _proc_stat() -> tuple[float, float]:
    numbers = [float(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return numbers[3] + numbers[4], sum(numbers)


def run(runs: int) -> list[Figure]:
    """At 120x36 in a real terminal, the guide loaded, nothing asked."""
    figures = {
        "first": Figure("first values of the machine, the app", "s", [], "≤ 1"),
        "first cpu": Figure("CPU until then", "s", []),
        "cpu": Figure("CPU at rest, the app", "% of a core", [], "≤ 1"),
        "bytes": Figure("bytes at rest, the app", "B/s", [], "≤ 1000"),
        "full cpu": Figure("CPU at rest, the full monitor in the app", "% of a core", [], "≤ 1"),
        "full bytes": Figure("bytes at rest, the full monitor in the app", "B/s", [], "≤ 1000"),
        "top first": Figure("first values of the machine, offtui top", "s", [], "≤ 1"),
        "top first cpu": Figure("CPU until then", "s", []),
        "top cpu": Figure("CPU at rest, offtui top", "% of a core", [], "≤ 1"),
        "top bytes": Figure("bytes at rest, offtui top", "B/s", [], "≤ 1000"),
        "status": Figure("offtui status --json", "s", [], "≤ 1"),
    }
    with _own_folders():
        for _ in range(runs):
            for names, command, keys in (
                (("first", "first cpu", "cpu", "bytes"), offtui(), ""),
                (("", "", "full cpu", "full bytes"), offtui(), FULL),
                (("top first", "top first cpu", "top cpu", "top bytes"), offtui("top"), ""),
            ):
                for name, value in zip(names, _at_rest(command, r"RAM +\d+\.\d / ", keys), strict=True):
                    if name:
                        figures[name].values.append(value)
            began = time.perf_counter()
            said = subprocess.run(offtui("status", "--json"), capture_output=True, check=True)
            figures["status"].values.append(time.perf_counter() - began)
            json.loads(said.stdout)
    return [*figures.values(), *_ticks(runs), *_truth()]


if __name__ == "__main__":
    from tests.bench.report import table

    sys.stdout.write(table(run(1)) + "\n")
