"""Recorded truth to compare the arithmetic with: dry loads, real logs and published speeds, as settings and rows."""

import csv
from functools import cache
from pathlib import Path

from offtui import paths
from offtui.plan.settings import Device, Settings
from offtui.plan.speed import Rate, fit, rate, work
from offtui.plan.table import Model, Row, Table, table
from offtui.plan.target import of_machine
from offtui.protocol.facts import DeviceFacts
from offtui.units import GIB
from offtui.worker.header import read_header
from tests.fakes import gguf_shapes as shapes

Record = dict[str, str]
"""A line of a CSV file by its column names."""

CARD = Device("Vulkan0", 32 * GIB, 32 * GIB)


def records(name: str) -> list[Record]:
    """The lines of a file in ``data``."""
    return list(csv.DictReader((Path(__file__).parent / "data" / f"{name}.csv").read_text().splitlines()))


@cache
def model_of(shape: str) -> Model:
    """The model of a shape, by its function's name in ``tests.fakes.gguf_shapes``."""
    return Model.of(shapes.header_of(getattr(shapes, shape)()))


def settings_of(record: Record) -> Settings:
    """The settings of a dry load or of a log; columns that a file lacks have llama.cpp's defaults."""
    return Settings(
        n_ctx=int(record["n_ctx"]),
        n_ubatch=int(record["n_ubatch"]),
        n_seq_max=int(record.get("n_seq_max", 1)),
        kv_unified=record.get("kv_unified") == "1",
        n_outputs_max=int(record.get("n_outputs_max", 1)),
        flash_attn=record["flash_attn"] == "1",
        type_k=record.get("type_kv", "f16"),
        type_v=record.get("type_kv", "f16"),
    )


def row_of(record: Record) -> tuple[Row, bool]:
    """What the arithmetic says of a record, and whether every layer is offloaded."""
    rows = table(model_of(record["shape"]), settings_of(record), [CARD]).rows
    row = rows[int(record["n_gpu_layers"])]
    return row, row is rows[-1]


SWEEP_SETTINGS = Settings(n_ctx=4096)
SWEEP_PAST = 128
"""Tokens in the cache while the published speeds were measured."""


def sweep(model: str) -> dict[int, float]:
    """Published tokens per second by ``n_gpu_layers``."""
    return {
        int(record["n_gpu_layers"]): float(record["tokens_per_s"])
        for record in records("offload_sweeps")
        if record["model"] == model
    }


@cache
def qwen_on_16_gib() -> Table:
    """The table of the model that the sweep with the output layer first is of, on its card."""
    return table(model_of("qwen_2_5_14b"), SWEEP_SETTINGS, [Device("CUDA0", 16 * GIB, 16 * GIB)])


def bands_of_small_models() -> list[tuple[Record, Rate]]:
    """Real speeds of models that are bound by other things than bytes, and what is guessed without them."""
    ram = 24 * GIB
    facts = (
        DeviceFacts("CPU", "cpu", "AMD EPYC", ram, ram),
        DeviceFacts("RPC0", "rpc", "127.0.0.1:50052", ram, ram, round_trip=0.26e-3),
    )
    found: list[tuple[Record, Rate]] = []
    for record in records("small_models"):
        target = of_machine(facts if record["device"] == "RPC" else facts[:1], cpu=21e9, n_threads=1)
        guide = record["shape"] == "guide"
        model = Model.of(read_header(str(paths.guide_model()))) if guide else model_of(record["shape"])
        settings = Settings(n_ctx=int(record["n_ctx"]))
        rows = table(model, settings, target.devices)
        row = rows.rows[int(record["n_gpu_layers"])]
        found.append((record, rate(fit(target.machine), work(row, rows, settings, SWEEP_PAST))))
    return found
