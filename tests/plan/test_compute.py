"""Compute buffers by formula, against llama.cpp's own dry loads on a device that works as CUDA does."""

from itertools import groupby
from statistics import median

import pytest

from offtui.plan.compute import compute
from offtui.plan.settings import Device, Settings
from offtui.plan.table import Model, table
from offtui.units import GIB, MIB
from tests.fakes import gguf_shapes as shapes
from tests.plan.vectors import CARD, model_of, records, row_of, settings_of

DRY = records("dry_loads")


def differences(shape: str) -> list[tuple[bool, float, float, float]]:
    """Per recorded point: full offload?, and predicted minus said, in MiB, of device, RAM and cache."""
    model = model_of(shape)
    found: list[tuple[bool, float, float, float]] = []
    for point in (row for row in DRY if row["shape"] == shape):
        row, full = row_of(point)
        output = compute(model.geometry, model.weights, settings_of(point)).output
        found.append(
            (
                full,
                row.devices[0].compute / MIB - float(point["gpu_compute_mib"]),
                (row.ram.compute - output) / MIB - float(point["cpu_compute_mib"]),
                (row.vram.kv + row.ram.kv) / MIB - float(point["kv_mib"]),
            )
        )
    return found


@pytest.mark.parametrize("shape", [name for name, _ in groupby(DRY, key=lambda row: row["shape"])])
def test_every_recorded_point(shape: str) -> None:
    for full, device, ram, cache in differences(shape):
        assert abs(device) <= (15 if full else 80)
        assert abs(ram) <= 20
        assert abs(cache) <= 0.02


def test_the_middle_error_is_small() -> None:
    found = [entry for name, _ in groupby(DRY, key=lambda row: row["shape"]) for entry in differences(name)]
    assert len(found) == 280
    assert median(abs(device) for full, device, _, _ in found if full) <= 0.1
    assert median(abs(device) for full, device, _, _ in found if not full) <= 15
    assert median(abs(ram) for _, _, ram, _ in found) <= 0.1


def test_logits_of_a_whole_batch_are_what_they_are() -> None:
    model = Model.of(shapes.header_of(shapes.gemma_2_27b()))
    one = table(model, Settings(n_ctx=4096, n_ubatch=2048), [CARD]).rows[-1]
    batch = table(model, Settings(n_ctx=4096, n_ubatch=2048, n_outputs_max=0), [CARD]).rows[-1]
    assert batch.devices[0].compute - one.devices[0].compute > 900 * MIB


def test_a_device_that_is_asked_for_nothing_needs_nothing() -> None:
    model = Model.of(shapes.header_of(shapes.llama_3_1_8b()))
    remote = Device("RPC0", 32 * GIB, 32 * GIB)
    assert table(model, Settings(), [remote]).rows[0].devices[0].total == 0
    assert table(model, Settings(op_offload=False), [CARD]).rows[0].devices[0].total == 0
    assert table(model, Settings(), [CARD]).rows[0].devices[0].compute > 0
