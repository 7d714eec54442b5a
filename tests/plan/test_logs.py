"""The whole table against the buffer sizes that llama.cpp printed on real machines."""

import csv
from pathlib import Path

import pytest

from offtui.plan.settings import Device, Settings
from offtui.plan.table import Model, table
from offtui.units import GIB, MIB
from tests.fakes import gguf_shapes as shapes

LOGS = list(csv.DictReader((Path(__file__).parent / "data" / "buffer_logs.csv").read_text().splitlines()))


@pytest.mark.parametrize("log", LOGS, ids=lambda log: f"{log['shape']}-{log['n_gpu_layers']}-{log['n_seq_max']}")
def test_a_real_log(log: dict[str, str]) -> None:
    shape = getattr(shapes, log["shape"])()
    settings = Settings(
        n_ctx=int(log["n_ctx"]),
        n_ubatch=int(log["n_ubatch"]),
        n_seq_max=int(log["n_seq_max"]),
        kv_unified=log["kv_unified"] == "1",
        n_outputs_max=int(log["n_outputs_max"]),
        flash_attn=log["flash_attn"] == "1",
    )
    rows = table(Model.of(shapes.header_of(shape)), settings, [Device("Vulkan0", 24 * GIB, 24 * GIB)]).rows
    row = rows[int(log["n_gpu_layers"])]
    full = row is rows[-1]
    want = {key: float(value) * MIB for key, value in log.items() if key.endswith("_mib")}
    assert row.mapped == pytest.approx(want["cpu_model_mib"], abs=0.03 * MIB)
    assert row.devices[0].weights == pytest.approx(want["gpu_model_mib"], abs=0.02 * MIB)
    assert row.devices[0].kv == pytest.approx(want["gpu_kv_mib"], abs=0.02 * MIB)
    assert row.ram.kv == pytest.approx(want["cpu_kv_mib"], abs=0.02 * MIB)
    assert row.devices[0].compute == pytest.approx(want["gpu_compute_mib"], abs=(35 if full else 120) * MIB)
    near = log["build"] == "b9849"  # older and newer ones copy the embeddings once more or less
    difference = row.ram.compute - want["cpu_compute_mib"]
    assert abs(difference) <= (6 if full and near else 16) * MIB
