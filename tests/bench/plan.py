"""The plan: how long headers and tables take, and how far predictions lie from what was said and measured."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from offtui.plan.settings import Settings
from offtui.plan.table import Model, table
from offtui.units import MIB
from offtui.worker.header import read_header
from tests.bench import estimates
from tests.bench.report import Figure
from tests.fakes import gguf_shapes as shapes
from tests.plan.vectors import CARD, records, row_of


def run(runs: int) -> list[Figure]:
    """All figures; those of errors have one value per compared point. Writes ``results/estimates.md`` too."""
    figures = [*_times(max(runs, 15)), *_bytes(), *_speeds()]
    estimates.write()
    return figures


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
    for point in records("dry_loads"):
        row, complete = row_of(point)
        error = abs(row.devices[0].compute / MIB - float(point["gpu_compute_mib"]))
        (full if complete else partial).append(error)
        cache.append(abs((row.vram.kv + row.ram.kv) / MIB - float(point["kv_mib"])))
    for log in records("buffer_logs"):
        row, _ = row_of(log)
        weights.append(abs(row.devices[0].weights / MIB - float(log["gpu_model_mib"])))
    return [
        Figure("weights, real logs: error", "MiB", weights, "≤ 0.02"),
        Figure("KV cache and state: error", "MiB", cache, "≤ 0.02"),
        Figure("compute, full offload: error", "MiB", full, "≤ 35"),
        Figure("compute, partial offload: error", "MiB", partial, "≤ 120"),
    ]


def _speeds() -> list[Figure]:
    """Largest error at unseen layer counts of the published sweep, per choice of measured points with full offload."""
    return [
        Figure(f"tokens/s, {count} measured: largest error", "%", estimates.largest_errors(count), reach)
        for count, reach in ((1, ""), (2, "≤ 10"), (3, "≤ 5"))
    ]
