"""Speeds before any measurement: how many of the real ones fall into the band, on the CPU and on an RPC device.

Every prediction is of ``offtui plan`` with an empty data folder, every measurement of ``offtui ask``: the commands that
people run. The device is this machine's own processor, served by ``offtui device`` over loopback.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from offtui import paths
from tests.bench.report import Figure
from tests.fakes import gguf_shapes as shapes
from tests.fakes.device import RunningDevice

TOKENS = 96
CONTEXT = 2048
MODELS = {
    "guide": None,
    "tiny dense": shapes.bench_tiny,
    "tiny experts": shapes.tiny_experts,
    "tiny hybrid": shapes.tiny_hybrid,
    "0.5B": shapes.bench_half,
}


def run(runs: int) -> list[Figure]:
    """Measured over predicted, for each model and kind of device; and the share of measurements within the band."""
    figures: list[Figure] = []
    inside: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_DATA_HOME"] = folder  # nothing measured yet
        for name, shape in MODELS.items():
            file = Path(folder) / f"{name}.gguf"
            model = paths.guide_model() if shape is None else shapes.write_random(file, shape())
            with RunningDevice() as device:
                for kind, options in (("CPU", ()), ("RPC", ("--rpc", device.endpoint))):
                    found = list(_compare(model, options, runs))
                    inside += [100.0 * (low <= speed <= high) for low, _, high, speed in found]
                    ratios = [speed / value for _, value, _, speed in found]
                    figures.append(Figure(f"{name}, {kind}: measured ÷ predicted", "", ratios))
    share = Figure("measurements within the band", "%", [sum(inside) / len(inside)], "≥ 90")
    return [*figures, share]


def _compare(model: Path, options: Sequence[str], runs: int) -> list[tuple[float, float, float, float]]:
    """Low, value and high as predicted, and a measured speed, for some layer counts."""
    plan = _json("plan", str(model), "--ctx", str(CONTEXT), "--no-probe", *options)
    rows = plan["rows"]
    most = len(rows) - 1
    counts = sorted({0, 1, most // 3, 2 * most // 3, most}) if options else [0]
    found: list[tuple[float, float, float, float]] = []
    for count in counts:
        band = rows[count]["tokens_per_s"]
        for _ in range(runs):
            speed = measure(model, count, options)
            found.append((band["low"], band["value"], band["high"], speed))
    return found


def measure(model: Path, layers: int, options: Sequence[str]) -> float:
    """Tokens per second of one answer in a fresh process."""
    words = ("--model", str(model), "-ngl", str(layers), "--ctx", str(CONTEXT), "--max-tokens", str(TOKENS), *options)
    return float(_json("ask", *words, "--temp", "0", "--json", "Tell me about GPUs")["timings"]["tps"])


def _json(command: str, *words: str) -> Any:
    flag = () if "--json" in words else ("--json",)
    done = subprocess.run([sys.executable, "-m", "offtui", command, *words, *flag], capture_output=True, check=True)
    return json.loads(done.stdout)
