"""The whole table against the buffer sizes that llama.cpp printed on real machines."""

import pytest

from offtui.units import MIB
from tests.plan.vectors import Record, records, row_of


@pytest.mark.parametrize(
    "log", records("buffer_logs"), ids=lambda log: f"{log['shape']}-{log['n_gpu_layers']}-{log['n_seq_max']}"
)
def test_a_real_log(log: Record) -> None:
    row, full = row_of(log)
    want = {key: float(value) * MIB for key, value in log.items() if key.endswith("_mib")}
    assert row.mapped == pytest.approx(want["cpu_model_mib"], abs=0.03 * MIB)
    assert row.devices[0].weights == pytest.approx(want["gpu_model_mib"], abs=0.02 * MIB)
    assert row.devices[0].kv == pytest.approx(want["gpu_kv_mib"], abs=0.02 * MIB)
    assert row.ram.kv == pytest.approx(want["cpu_kv_mib"], abs=0.02 * MIB)
    assert row.devices[0].compute == pytest.approx(want["gpu_compute_mib"], abs=(35 if full else 120) * MIB)
    near = log["build"] == "b9849"  # older and newer ones copy the embeddings once more or less
    difference = row.ram.compute - want["cpu_compute_mib"]
    assert abs(difference) <= (6 if full and near else 16) * MIB
