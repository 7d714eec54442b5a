"""The monitor alone beside nvitop, over the same driver: until the cards are seen, CPU at rest, CPU for one look.

``NVITOP`` names the nvitop to measure: the program in an environment of its own (``pip install nvitop``). Without a
driver of NVIDIA the fake one of the tests serves both, with two cards; its calls cost next to nothing, so that what is
measured is the programs.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.report import Figure
from tests.bench.screen import cpu_seconds
from tests.bench.terminal import Terminal, offtui
from tests.fakes import nvml

SETTLE, QUIET = 6.0, 30.0
"""Seconds until it is at rest, and at rest."""
LOOKS = 12
"""At the cards, a second apart as both keep what is younger."""

_NVITOP = """
import sys, time
from nvitop import Device
devices = Device.all()
def look():
    return [(device.as_snapshot(), device.processes()) for device in devices]
"""
_OFFTUI = """
import sys, time
from offtui.monitor.nvml import Nvml
nvml = Nvml()
def look():
    return nvml.read().gpus
"""
_LOOKS = f"""
assert len(look()) >= 1
took = []
for _ in range({LOOKS}):
    time.sleep(1.05)
    began = time.process_time()
    look()
    took.append(time.process_time() - began)
print(sum(took) / len(took) * 1000)
"""


def run(runs: int) -> Sequence[Figure]:
    """By turns; nothing where there is no nvitop."""
    peer = shutil.which(os.environ.get("NVITOP", "nvitop"))
    if peer is None:
        print("nvitop is not measured: NVITOP names none (pip install nvitop, in an environment of its own)")
        return []
    # of the environment that the program lies in, not of what its link leads to
    python = Path(peer).parent / "python"
    with tempfile.TemporaryDirectory() as folder:
        environment = _driver(Path(folder))
        names = {
            "offtui top": (offtui("top"), [sys.executable, "-c", _OFFTUI + _LOOKS]),
            "nvitop": ([peer, "--interval", "1"], [str(python), "-c", _NVITOP + _LOOKS]),
        }
        figures = {
            name: (
                Figure(f"{name}: until the cards are seen", "s", []),
                Figure(f"{name}: CPU until then", "s", []),
                Figure(f"{name}: CPU at rest", "% of a core", []),
                Figure(f"{name}: bytes at rest", "B/s", []),
                Figure(f"{name}: CPU of one look at the cards", "ms", []),
            )
            for name in names
        }
        for _ in range(runs):
            for name, (screen, looks) in names.items():
                values = (*_on_screen(screen, environment), _looking(looks, environment))
                for figure, value in zip(figures[name], values, strict=True):
                    figure.values.append(value)
    return [figure for each in figures.values() for figure in each]


def _driver(folder: Path) -> dict[str, str]:
    """The environment in which the driver is found, and folders of the benchmark's own."""
    own = {f"XDG_{name}_HOME": str(folder / name) for name in ("CONFIG", "DATA", "STATE")}
    own["XDG_RUNTIME_DIR"] = str(folder / "run")
    if shutil.which("nvidia-smi"):
        return own
    return {**own, "LD_LIBRARY_PATH": str(nvml.build(folder / "driver")), "FAKE_NVML": ""}


def _on_screen(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float, float, float]:
    terminal = Terminal(command, 120, 40, {**os.environ, **environment})
    try:
        shown = terminal.until(_sees_cards) - terminal.started
        pid = terminal.process.pid
        until_then = cpu_seconds(pid)
        _pump(terminal, SETTLE)
        began, cpu, written = time.perf_counter(), cpu_seconds(pid), terminal.written
        _pump(terminal, QUIET)
        seconds = time.perf_counter() - began
        return shown, until_then, (cpu_seconds(pid) - cpu) / seconds * 100, (terminal.written - written) / seconds
    finally:
        terminal.close()


def _sees_cards(text: str) -> bool:
    """Some figure of a card: its power, which both write so."""
    return " W" in text or "W / " in text


def _pump(terminal: Terminal, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        terminal.pump(0.2)


def _looking(command: Sequence[str], environment: Mapping[str, str]) -> float:
    said = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environment})
    return float(said.stdout)
