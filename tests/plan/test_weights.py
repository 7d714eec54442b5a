"""Weights per layer count, against what llama.cpp allocated for the same models."""

import pytest

from offtui.plan.settings import Device, Settings
from offtui.plan.table import Model, table
from offtui.units import MIB
from tests.fakes import gguf_shapes as shapes
from tests.fakes.gguf_shape import Shape

CARD = Device("CUDA0", 24 * 1024 * MIB, 24 * 1024 * MIB)


def vram(shape: Shape, layers: int) -> float:
    return table(Model.of(shapes.header_of(shape)), Settings(), [CARD]).rows[layers].devices[0].weights / MIB


def test_llama_cpp_buffers_of_gemma_2_27b() -> None:
    found = {k: vram(shapes.gemma_2_27b(), k) for k in (0, 1, 10, 23, 46, 47)}
    want = {0: 0.0, 1: 922.87, 10: 3965.85, 23: 8091.86, 46: 15520.59, 47: 15868.49}
    assert found == pytest.approx(want, abs=0.02)


@pytest.mark.parametrize(
    ("shape", "layers", "mib"),
    [
        (shapes.llama_3_1_8b(), 1, 411.0),
        (shapes.llama_3_1_8b(), 16, 2290.2),
        (shapes.llama_3_1_8b(), 32, 4271.0),
        (shapes.llama_3_1_8b(), 33, 4403.49),
        (shapes.hermes_3_8b_q4_0(), 15, 2049.43),
        (shapes.hermes_3_8b_q4_0(), 33, 4155.99),
        (shapes.qwen3_4b(), 37, 2375.91),
        (shapes.qwen3_8b(), 37, 4455.34),
        (shapes.qwen3_32b(), 65, 18423.65),
        (shapes.qwen3_30b_a3b(), 49, 17524.42),
        (shapes.ministral_3_8b(), 35, 4662.05),
        (shapes.granite_4_1_8b(), 41, 4876.27),
    ],
    ids=lambda value: value.arch if isinstance(value, Shape) else str(value),
)
def test_llama_cpp_buffers_of_known_models(shape: Shape, layers: int, mib: float) -> None:
    tolerance = 0.05 if round(mib, 1) == mib else 0.02  # some logs were rounded to one digit
    assert vram(shape, layers) == pytest.approx(mib, abs=tolerance)


@pytest.mark.parametrize(
    ("shape", "mib"),
    [
        (shapes.gemma_2_27b(), 922.85),
        (shapes.llama_3_1_8b(), 281.81),
        (shapes.qwen3_4b(), 304.28),
        (shapes.qwen3_8b(), 333.84),
        (shapes.qwen3_32b(), 417.30),
        (shapes.qwen3_30b_a3b(), 166.92),
        (shapes.ministral_3_8b(), 288.00),
        (shapes.granite_4_1_8b(), 220.50),
        (shapes.gemma_4_12b(), 787.50),
    ],
    ids=lambda value: value.arch if isinstance(value, Shape) else str(value),
)
def test_what_stays_in_ram_at_full_offload(shape: Shape, mib: float) -> None:
    row = table(Model.of(shapes.header_of(shape)), Settings(), [CARD]).rows[-1]
    assert row.ram.weights / MIB == pytest.approx(mib, abs=0.02)
    assert row.mapped / MIB == pytest.approx(mib, abs=0.02)


def test_tied_embeddings_lie_in_ram_and_again_on_the_device() -> None:
    shape = shapes.qwen3_4b()
    rows = table(Model.of(shapes.header_of(shape)), Settings(), [CARD]).rows
    embedding = shapes.nbytes([2560, 151936], shape.rows[0][2])
    assert rows[0].ram.weights + rows[0].devices[0].weights == pytest.approx(rows[0].ram.weights)
    both = rows[1].ram.weights + rows[1].devices[0].weights
    assert both - rows[0].ram.weights == pytest.approx(embedding, abs=1024)


def test_untied_weights_lie_in_one_place() -> None:
    header = shapes.header_of(shapes.qwen3_8b())
    for row in table(Model.of(header), Settings(), [CARD]).rows:
        assert row.ram.weights + row.devices[0].weights == pytest.approx(header.n_bytes, abs=2**14)


def test_the_mapped_span_covers_what_lies_between() -> None:
    rows = table(Model.of(shapes.header_of(shapes.hermes_3_8b_q4_0())), Settings(), [CARD]).rows
    for row in rows:
        assert row.mapped >= row.ram.weights - 2**14


def test_blocks_that_only_predict_ahead_are_not_loaded() -> None:
    shape = shapes.tiny_hybrid()
    header = shapes.header_of(shape)
    skipped = sum(shapes.nbytes(ne, kind) for name, ne, kind in shape.rows if name.startswith("blk.8."))
    rows = table(Model.of(header), Settings(), [CARD]).rows
    assert len(rows) == 9 + 2
    assert rows[1].devices[0].weights == rows[2].devices[0].weights
    assert rows[0].ram.weights == pytest.approx(header.n_bytes - skipped, abs=4096)


def test_input_tensors_never_leave_ram() -> None:
    shape = shapes.tiny_shared()
    own = next(shapes.nbytes(ne, kind) for name, ne, kind in shape.rows if name == "per_layer_token_embd.weight")
    embedding = next(shapes.nbytes(ne, kind) for name, ne, kind in shape.rows if name == "token_embd.weight")
    row = table(Model.of(shapes.header_of(shape)), Settings(), [CARD]).rows[-1]
    assert row.ram.weights == pytest.approx(own + embedding, abs=64)
