"""Feed-forward or expert matrices in RAM with everything else offloaded."""

import re

import pytest

from offtui.plan.settings import Device, Settings
from offtui.plan.table import Model, kept_patterns, table
from offtui.units import GIB
from tests.fakes import gguf_shapes as shapes

CARD = Device("CUDA0", 24 * GIB, 24 * GIB)
SETTINGS = Settings(n_ctx=4096)


def test_rows_go_from_every_matrix_in_ram_to_none() -> None:
    rows = table(Model.of(shapes.header_of(shapes.qwen3_8b())), SETTINGS, [CARD], "ffn").rows
    assert [row.n_kept for row in rows] == list(range(36, -1, -1))
    assert {row.n_gpu_layers for row in rows} == {37}
    sizes = [row.devices[0].weights for row in rows]
    assert sizes == sorted(sizes)
    layers = table(Model.of(shapes.header_of(shapes.qwen3_8b())), SETTINGS, [CARD]).rows
    assert rows[-1] == layers[-1]


def test_weights_only_move() -> None:
    header = shapes.header_of(shapes.qwen3_30b_a3b())
    for row in table(Model.of(header), SETTINGS, [CARD], "experts").rows:
        assert row.ram.weights + row.devices[0].weights == pytest.approx(header.n_bytes, abs=2**14)
        assert row.ram.kv == 0, "attention stays on the device"
        assert row.gpu_read + row.cpu_read == pytest.approx(table(Model.of(header), SETTINGS, [CARD]).rows[-1].gpu_read)


def test_experts_of_all_layers_in_ram_leave_a_small_model_on_the_device() -> None:
    row = table(Model.of(shapes.header_of(shapes.qwen3_30b_a3b())), SETTINGS, [CARD], "experts").rows[0]
    assert row.n_kept == 48
    assert row.devices[0].weights < 1.5 * GIB


def test_a_dense_model_has_no_experts_to_keep() -> None:
    rows = table(Model.of(shapes.header_of(shapes.qwen3_8b())), SETTINGS, [CARD], "experts").rows
    assert len({row.devices for row in rows}) == 1
    assert {row.n_kept for row in rows} == {0}


@pytest.mark.parametrize(
    ("placement", "names", "others"),
    [
        ("ffn", ["blk.0.ffn_up.weight", "blk.2.ffn_down.weight", "blk.1.ffn_gate.weight"], ["blk.0.ffn_norm.weight"]),
        (
            "experts",
            ["blk.0.ffn_up_exps.weight", "blk.2.ffn_gate_up_exps.weight"],
            ["blk.0.ffn_up.weight", "blk.0.ffn_gate_inp.weight", "blk.0.ffn_up_shexp.weight"],
        ),
    ],
)
def test_patterns_name_what_is_kept(placement: str, names: list[str], others: list[str]) -> None:
    (pattern,) = kept_patterns(placement, 3)  # type: ignore[arg-type]
    assert all(re.search(pattern, name) for name in names)
    assert not any(re.search(pattern, name) for name in others)
    assert not any(re.search(pattern, name.replace("blk.", "blk.1").replace("blk.10", "blk.10")) for name in names)
    assert kept_patterns(placement, 0) == ()  # type: ignore[arg-type]
    assert kept_patterns("layers", 3) == ()
