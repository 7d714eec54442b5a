"""The whole app while an answer is written at a fixed rate: CPU of its process, bytes to the terminal, key to paint.

And its memory at the start.

The worker is the tests' own, which sends a word at each tick and computes nothing; so all that is measured is the
screen. The text is the transcript bench's Markdown of all kinds, four characters to a token.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench.report import Figure
from tests.bench.terminal import Terminal

LAUNCH = str(Path(__file__).parents[1] / "ui" / "launch.py")
SECONDS = 12.0
SETTLE = 6.0
"""Until the pane is full."""
BATCH = "0.04"
"""Seconds between two pieces of the worker at least: llama.cpp's sends no more often, however fast it is."""
TICKS = os.sysconf("SC_CLK_TCK")
MARKS = "↑↓←→⇑⇓⇐⇒∀∁∂∃∄∅∆∇∈∉∊∋∌∍∎∏∐∑−∓∔∕∖∗∘∙√∛∜∝∞∟∠∡∢∣∤∥∦∧∨∩∪"


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mib(pid: int) -> float:
    """Its resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


def measured(rate: int, *, keys: bool, model: str = "/m/model.gguf") -> dict[str, float]:
    """One run at so many tokens per second."""
    with tempfile.TemporaryDirectory() as folder:
        options = (
            "--pieces",
            str(int(rate * (SECONDS + SETTLE + 20))),
            "--pause",
            str(1 / rate),
            "--markdown",
            "--batch",
            BATCH,
        )
        os.environ["XDG_DATA_HOME"] = os.environ["XDG_STATE_HOME"] = folder
        terminal = Terminal([sys.executable, LAUNCH, f"{folder}/modules", model, *options])
        try:
            terminal.until(lambda text: "13/13 layers" in text)
            return streamed(terminal, rate, keys=keys)
        finally:
            terminal.close()


def streamed(
    terminal: Terminal, rate: int, *, keys: bool, begun: Callable[[], bool] = lambda: True
) -> dict[str, float]:
    """Ask, wait until the pane is full, and measure the program of ``terminal`` while so many tokens a second come.

    ``begun`` says whether they do. A key that is not on the screen after five seconds counts as five.
    """
    quiet = time.monotonic() + 1
    while time.monotonic() < quiet:
        terminal.pump(0.02)
    pid = terminal.process.pid
    found = {"rss": rss_mib(pid)}
    terminal.type("go on\r")
    patience = time.monotonic() + 60
    while not begun() and time.monotonic() < patience:
        terminal.pump(0.02)
    full = time.monotonic() + SETTLE
    while time.monotonic() < full:
        terminal.pump(0.02)
    waits: list[float] = []
    began, cpu, written = time.monotonic(), cpu_seconds(pid), terminal.written
    number = 0
    while time.monotonic() < began + SECONDS:
        if keys and number < len(MARKS) and time.monotonic() >= began + number * SECONDS / len(MARKS):
            typed = time.perf_counter()
            terminal.type(MARKS[number])
            mark = MARKS[number]
            try:
                waits.append(terminal.until(lambda text, mark=mark: mark in text, 5) - typed)
            except TimeoutError:
                waits.append(5.0)
            number += 1
        terminal.pump(0.002 if keys else 0.02)
    seconds = time.monotonic() - began
    found["cpu"] = 100 * (cpu_seconds(pid) - cpu) / seconds
    found["bytes"] = (terminal.written - written) / (seconds * rate)
    found["rss_after"] = rss_mib(pid)
    if waits:
        waits.sort()
        found["p50"] = 1000 * statistics.median(waits)
        found["p99"] = 1000 * waits[int(len(waits) * 0.99)]
    return found


def run(runs: int) -> Sequence[Figure]:
    """At 60 and at 300 tokens per second, by turns; keys in runs of their own, as they cost CPU."""
    figures = {
        rate: {
            "cpu": Figure(f"CPU of the app's process at {rate} tok/s", "%", [], f"≤ {5 if rate == 60 else 10} %"),
            "bytes": Figure(f"bytes to the terminal per token at {rate} tok/s", "", [], "≤ 500"),
            "p50": Figure(f"key to paint at {rate} tok/s, p50", "ms", [], "≤ 16 ms"),
            "p99": Figure(f"key to paint at {rate} tok/s, p99", "ms", [], "≤ 50 ms"),
            "rss": Figure("RSS of the app's process at start", "MiB", [], "≤ 60 MiB"),
        }
        for rate in (60, 300)
    }
    for _ in range(runs):
        for rate, wanted in figures.items():
            plain, keyed = measured(rate, keys=False), measured(rate, keys=True)
            for name, figure in wanted.items():
                figure.values.append(keyed[name] if name in ("p50", "p99") else plain[name])
    return [figure for wanted in figures.values() for figure in wanted.values()]
