"""The plan: how long headers and tables take, and how far predictions lie from what was said and measured."""

import csv
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from offtui.plan.cards import find_card
from offtui.plan.settings import Device, Settings
from offtui.plan.speed import Measurement, fit, machine_of, rates, reads
from offtui.plan.table import Model, table
from offtui.units import GIB, MIB
from offtui.worker.header import read_header
from tests.bench.report import Figure
from tests.fakes import gguf_shapes as shapes

DATA = Path(__file__).parent.parent / "plan" / "data"
CARD = Device("Vulkan0", 32 * GIB, 32 * GIB)


def run(runs: int) -> list[Figure]:
    """All figures; those of errors have one value per compared point."""
    return [*_times(max(runs, 15)), *_bytes(), *_speeds()]


def _times(runs: int) -> list[Figure]:
    shape = shapes.decoder("llama", 32, 64, 2, 2, 32, 64, 256_000, 4096, tied=True)
    unquantised = tuple(row for row in shape.rows if row[2].name == "F32")
    large = Model.of(shapes.header_of(shapes.gemma_2_27b()))
    moe = shapes.header_of(shapes.qwen3_30b_a3b())
    with tempfile.TemporaryDirectory() as folder:
        path = shapes.write_random(Path(folder) / "v.gguf", shapes.Shape(shape.arch, shape.meta, unquantised))
        header = _timed(runs, lambda: read_header(str(path)))
    tables = _timed(runs, lambda: table(large, Settings(n_ctx=8192), [CARD]))
    sorting = _timed(runs, lambda: Model.of(moe))
    return [
        Figure("header, 256k vocabulary", "ms", header, "≤ 60"),
        Figure("table of 48 rows, Gemma 2 27B", "ms", tables, "≤ 5"),
        Figure("579 tensors sorted, Qwen3 30B-A3B", "ms", sorting),
    ]


def _timed(runs: int, work: Callable[[], object]) -> list[float]:
    work()
    values: list[float] = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        values.append((time.perf_counter() - start) * 1000)
    return values


def _bytes() -> list[Figure]:
    full: list[float] = []
    partial: list[float] = []
    cache: list[float] = []
    weights: list[float] = []
    for point in _rows("dry_loads.csv"):
        settings = Settings(
            n_ctx=int(point["n_ctx"]),
            n_ubatch=int(point["n_ubatch"]),
            flash_attn=point["flash_attn"] == "1",
            type_k=point["type_kv"],
            type_v=point["type_kv"],
        )
        model = Model.of(shapes.header_of(getattr(shapes, point["shape"])()))
        rows = table(model, settings, [CARD]).rows
        row = rows[int(point["n_gpu_layers"])]
        error = abs(row.devices[0].compute / MIB - float(point["gpu_compute_mib"]))
        (full if row is rows[-1] else partial).append(error)
        cache.append(abs((row.vram.kv + row.ram.kv) / MIB - float(point["kv_mib"])))
    for log in _rows("buffer_logs.csv"):
        settings = Settings(
            n_ctx=int(log["n_ctx"]),
            n_ubatch=int(log["n_ubatch"]),
            n_seq_max=int(log["n_seq_max"]),
            kv_unified=log["kv_unified"] == "1",
            n_outputs_max=int(log["n_outputs_max"]),
            flash_attn=log["flash_attn"] == "1",
        )
        model = Model.of(shapes.header_of(getattr(shapes, log["shape"])()))
        row = table(model, settings, [CARD]).rows[int(log["n_gpu_layers"])]
        weights.append(abs(row.devices[0].weights / MIB - float(log["gpu_model_mib"])))
    return [
        Figure("weights, real logs: error", "MiB", weights, "≤ 0.02"),
        Figure("KV cache and state: error", "MiB", cache, "≤ 0.02"),
        Figure("compute, full offload: error", "MiB", full, "≤ 35"),
        Figure("compute, partial offload: error", "MiB", partial, "≤ 120"),
    ]


def _speeds() -> list[Figure]:
    """Largest error at unseen layer counts of the published sweep, per choice of measured points with full offload."""
    model = Model.of(shapes.header_of(shapes.qwen_2_5_14b()))
    settings = Settings(n_ctx=4096)
    rows = table(model, settings, [Device("CUDA0", 16 * GIB, 16 * GIB)])
    machine = machine_of(find_card("RTX 5060 Ti 16GB"), None)
    sweep = {
        int(row["n_gpu_layers"]): float(row["tokens_per_s"])
        for row in _rows("offload_sweeps.csv")
        if row["model"] == "Qwen2.5-Coder-14B"
    }
    points = {k: Measurement(*reads(rows.rows[k], rows, settings, 128), speed) for k, speed in sweep.items()}
    most = max(sweep)
    figures: list[Figure] = []
    for count, reach in ((1, ""), (2, "≤ 10"), (3, "≤ 5")):
        errors: list[float] = []
        for others in itertools.combinations([k for k in sweep if k != most], count - 1):
            known = (*others, most)
            found = rates(rows, settings, fit(machine, [points[k] for k in known]), 128)
            errors.append(max(abs(found[k].value / speed - 1) for k, speed in sweep.items() if k not in known) * 100)
        figures.append(Figure(f"tokens/s, {count} measured: largest error", "%", errors, reach))
    return figures


def _rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((DATA / name).read_text().splitlines()))
