"""``results/estimates.md``: what the arithmetic says, beside what llama.cpp allocated and what others estimate."""

import itertools
import random
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from offtui.plan.cards import find_card
from offtui.plan.speed import Measurement, Work, fit, machine_of, rate, work
from offtui.units import MIB
from tests.plan.vectors import (
    SWEEP_PAST,
    SWEEP_SETTINGS,
    bands_of_small_models,
    qwen_on_16_gib,
    records,
    row_of,
    sweep,
)

FILE = Path(__file__).parent / "results" / "estimates.md"
SWEEPS = 200
"""Simulated ones."""

_HEAD = """# Estimates beside the truth

Written by `python -m tests.bench plan`. What it compares with lies in `tests/plan/data`, with its sources.

## Against buffers that llama.cpp printed on real cards

Each pair is the log's figure and the arithmetic's, in MiB. Builds differ by one copy of the embeddings in compute.
"""

_VRAM = """
## VRAM in all, against llama.cpp's own dry load

Error of weights, KV cache and compute together, in MiB: median and largest, with flash attention and an f16 cache where
nothing else is said. node-llama-cpp is version 3.22.1 with its header arithmetic ("V1"), run by
`node tests/bench/node_llama_cpp.mjs`; its other estimate ("V2") is llama.cpp's dry load itself, as is
`offtui plan --probe`, and needs the card to be there.
"""

_OTHERS = """
What others publish of theirs, not run here:

| tool | method | what is said of it |
|---|---|---|
| gguf-parser-go | header | "usually deviate ... about 100 MiB" (README); 13.8 GiB against 926 MiB (gpustack#2412) |
| text-generation-webui | formula fitted to 19,517 measurements | median 365 MiB, +577 MiB for 95 % |
| KoboldCpp | size of the file over the layers, 1.5 GiB held back | conservative on purpose |
| LM Studio, `lms load --estimate-only` | not public | 22.9 against 11.5 GB (lms#499) |
| llama.cpp, `--fit` | dry load | exact; no table, needs the card |
"""

_SPEED = """
## Tokens per second at layer counts that were not measured

Qwen2.5-Coder-14B Q4_K_M on an RTX 5060 Ti 16 GB, seven
[published points](https://inventivehq.com/blog/vram-offload-cliff-gpu-layers-benchmark). Of every choice of measured
points, full offload among them, the largest error at the others.
"""


_SMALL = """
## Tokens per second before any measurement: small models, the CPU, RPC

Real speeds of `offtui ask` on a busy machine of two cores (`small_models.csv`) and the guess for it; what a layer, a
hand-over and a token cost besides their bytes was chosen with these points at hand. `python -m tests.bench band` makes
new ones on the machine that runs it; beside many other programs they fall below the band.
"""


def write() -> str:
    """Write the file; its text."""
    lines = [_HEAD, *_logs(), _VRAM, *_vram(), _OTHERS, _SPEED, *_speeds(), _SMALL, *_small()]
    text = "\n".join(line.strip("\n") if line.startswith("|") else line for line in lines) + "\n"
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text, encoding="utf-8")
    return text


def largest_errors(count: int, speeds: Mapping[int, float] | None = None, *, with_full: bool = True) -> list[float]:
    """Percent: for every choice of ``count`` measured points the largest error at the others.

    Args:
        count: of the points that are measured.
        speeds: tokens per second by layer count; ``None``: the published ones.
        with_full: only the choices with full offload among them.
    """
    measured = sweep("Qwen2.5-Coder-14B") if speeds is None else speeds
    works, machine, most = _works(), machine_of(find_card("RTX 5060 Ti 16GB"), None), max(measured)
    errors: list[float] = []
    for known in itertools.combinations(measured, count):
        if with_full and most not in known:
            continue
        line = fit(machine, [Measurement(works[k], measured[k]) for k in known])
        unseen = [abs(rate(line, works[k]).value / speed - 1) for k, speed in measured.items() if k not in known]
        errors.append(max(unseen) * 100)
    return errors


def _works() -> dict[int, Work]:
    rows = qwen_on_16_gib()
    return {k: work(rows.rows[k], rows, SWEEP_SETTINGS, SWEEP_PAST) for k in sweep("Qwen2.5-Coder-14B")}


def _logs() -> list[str]:
    lines = ["| model | layers | weights | KV | compute | mapped for the CPU |", "|---|---|---|---|---|---|"]
    for log in records("buffer_logs"):
        row, _ = row_of(log)
        device = row.devices[0]
        pairs = [
            ("gpu_model_mib", device.weights),
            ("gpu_kv_mib", device.kv),
            ("gpu_compute_mib", device.compute),
            ("cpu_model_mib", row.mapped),
        ]
        cells = [f"{float(log[key]):.2f} / {size / MIB:.2f}" for key, size in pairs]
        lines.append(_row(log["shape"], log["n_gpu_layers"], *cells))
    return lines


def _vram() -> list[str]:
    ours: dict[str, list[float]] = {}
    theirs: dict[str, list[float]] = {}
    for dry, node in zip(records("dry_loads"), records("node_llama_cpp"), strict=True):
        row, full = row_of(dry)
        have = row.devices[0]
        truth = (have.weights + have.kv) / MIB + float(dry["gpu_compute_mib"])
        names: tuple[str, ...] = (dry["shape"], "all, every layer offloaded" if full else "all, some layers or none")
        if dry["type_kv"] != "f16":
            names = ("all, q8_0 cache",)
        elif dry["flash_attn"] != "1":
            names = ("all, without flash attention",)
        for name in names:
            ours.setdefault(name, []).append(abs(have.total / MIB - truth))
            theirs.setdefault(name, []).append(abs(float(node["vram_mib"]) - truth))
    lines = ["| model | points | offtui median | largest | node-llama-cpp median | largest |", f"|{'---|' * 6}"]
    order = sorted(ours, key=lambda name: (name.startswith("all"), name))
    return lines + [_row(name, str(len(ours[name])), *_two(ours[name]), *_two(theirs[name])) for name in order]


def _two(errors: Sequence[float]) -> tuple[str, str]:
    return f"{statistics.median(errors):.1f}", f"{max(errors):.0f}"


def _speeds() -> list[str]:
    lines = ["| measured | choices | median | worst | within 5 % | within 10 % |", f"|{'---|' * 6}"]
    for count, with_full in ((1, True), (2, True), (3, True), (2, False), (3, False)):
        errors = largest_errors(count, with_full=with_full)
        within = [str(sum(error <= bound for error in errors)) for bound in (5, 10)]
        name = f"{count}" if with_full else f"{count}, any choice"
        cells = (f"{statistics.median(errors):.1f} %", f"{max(errors):.1f} %", *within)
        lines.append(_row(name, str(len(errors)), *cells))
    return [*lines, *_floor()]


def _floor() -> list[str]:
    """What a line that is right could do, given how far the published points scatter about the best one."""
    measured, works = sweep("Qwen2.5-Coder-14B"), _works()
    machine = machine_of(find_card("RTX 5060 Ti 16GB"), None)
    best = fit(machine, [Measurement(works[k], speed) for k, speed in measured.items()])
    apart = {k: speed / rate(best, works[k]).value - 1 for k, speed in measured.items()}
    scatter = (sum(value**2 for value in apart.values()) / (len(apart) - 2)) ** 0.5
    chance = random.Random(1)
    medians: list[float] = []
    worst: list[float] = []
    for _ in range(SWEEPS):
        drawn = {k: rate(best, works[k]).value * (1 + chance.gauss(0, scatter)) for k in measured}
        errors = largest_errors(3, drawn)
        medians.append(statistics.median(errors))
        worst.append(max(errors))
    points = " · ".join(f"{k}: {value:+.1%}" for k, value in apart.items())
    return [
        "",
        "Why not less: the best line through all seven points leaves",
        f"{points}.",
        "The signs alternate, so no smooth curve comes nearer, and neither bytes, layers, hand-overs nor quantisation",
        f"have that period: a scatter of {scatter:.1%}. Sweeps drawn from that very line with that scatter give, after",
        f"three points, a median of {statistics.median(medians):.1f} % and a worst choice of "
        f"{statistics.median(worst):.1f} %. The rest is the data's noise, not the model's error.",
        "",
        "Points that are far apart help most: all layers (or the most that fit), few, and one between. Without full",
        "offload among them the speed of the card is a guess still, as the last two lines show.",
    ]


def _small() -> list[str]:
    lines = ["| model | device | points | within the band | measured ÷ guessed, median |", f"|{'---|' * 5}"]
    found: dict[tuple[str, str], list[tuple[bool, float]]] = {}
    for record, band in bands_of_small_models():
        speed = float(record["tokens_per_s"])
        found.setdefault((record["shape"], record["device"]), []).append(
            (band.low <= speed <= band.high, speed / band.value)
        )
    for (shape, device), points in found.items():
        inside = sum(within for within, _ in points)
        middle = statistics.median(ratio for _, ratio in points)
        lines.append(_row(shape, device, str(len(points)), str(inside), f"{middle:.2f}"))
    points = [point for entries in found.values() for point in entries]
    inside = sum(within for within, _ in points)
    return [*lines, _row("all", "", str(len(points)), f"{inside} ({inside / len(points):.0%})", "")]


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
