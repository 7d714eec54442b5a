"""The whole table: several devices, nonsense in headers, and how long it takes."""

import itertools
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offtui.plan.settings import Device, Settings
from offtui.plan.table import Model, layer_devices, table
from offtui.units import GIB
from tests.fakes import gguf_shapes as shapes
from tests.fakes.gguf_shape import Shape

CARD = Device("CUDA0", 24 * GIB, 24 * GIB)


def model(shape: Shape) -> Model:
    return Model.of(shapes.header_of(shape))


def test_there_is_a_row_for_every_layer_count_and_the_output() -> None:
    rows = table(model(shapes.bench_tiny()), Settings(), [CARD]).rows
    assert [row.n_gpu_layers for row in rows] == list(range(14))
    assert rows[0].devices[0].weights == rows[0].devices[0].kv == 0
    assert rows[1].devices[0].kv == 0
    assert rows[13].ram.kv == 0


def test_weights_and_cache_only_move() -> None:
    rows = table(model(shapes.qwen3_8b()), Settings(n_ctx=4096), [CARD]).rows
    for before, after in itertools.pairwise(rows):
        assert after.devices[0].weights > before.devices[0].weights
        assert after.ram.weights < before.ram.weights
        assert after.devices[0].kv + after.ram.kv == before.devices[0].kv + before.ram.kv


def test_without_a_device_every_row_is_the_cpu() -> None:
    rows = table(model(shapes.bench_tiny()), Settings(), []).rows
    assert len({row.ram for row in rows}) == 1
    assert all(row.devices == () and row.vram.total == 0 for row in rows)
    assert rows[0].ram.compute > 0


def test_the_cache_stays_in_ram_where_it_is_not_offloaded() -> None:
    rows = table(model(shapes.bench_tiny()), Settings(offload_kqv=False), [CARD]).rows
    assert {row.devices[0].kv for row in rows} == {0}
    assert len({row.ram.kv for row in rows}) == 1


def test_cuda_pads_rows_that_are_no_multiple_of_512() -> None:
    shape = shapes.bench_half()  # rows of 896
    on_rpc = table(model(shape), Settings(), [Device("RPC0", GIB, GIB)]).rows[-1].devices[0].weights
    on_cuda = table(model(shape), Settings(), [CARD]).rows[-1].devices[0].weights
    # behind each matrix whose rows are 896 long: row_size(512 - 896 % 512), then up to the next 128 bytes
    extra = (512 - 896 % 512) // 32 * 18
    padded = 24 * 5 + 24 + 1
    assert 0 < on_cuda - on_rpc <= padded * (extra + 127) + 24 * 8 * 127


@pytest.mark.parametrize(
    ("n_layer", "asked", "shares", "expected"),
    [
        (4, 0, [1.0], []),
        (4, 5, [1.0], [0, 0, 0, 0, 0]),
        (4, 99, [1.0], [0, 0, 0, 0, 0]),
        (3, 4, [1.0, 1.0], [0, 0, 1, 1]),
        (4, 5, [1.0, 1.0], [0, 0, 0, 1, 1]),
        (7, 8, [3.0, 1.0], [0, 0, 0, 0, 0, 0, 1, 1]),
        (7, 4, [3.0, 1.0], [0, 0, 0, 1]),
        (2, 3, [0.0, 1.0], [1, 1, 1]),
        (2, 3, [0.0, 0.0], [0, 0, 1]),
        (5, 6, [1.0, 1.0, 1.0], [0, 0, 1, 1, 2, 2]),
    ],
)
def test_layers_are_split_as_llama_cpp_splits_them(
    n_layer: int, asked: int, shares: list[float], expected: list[int]
) -> None:
    assert layer_devices(n_layer, asked, shares) == expected


def test_two_devices_share_what_one_would_hold() -> None:
    one = table(model(shapes.qwen3_8b()), Settings(), [CARD]).rows
    pair = [Device("CUDA0", 12 * GIB, 12 * GIB), Device("CUDA1", 4 * GIB, 4 * GIB)]
    two = table(model(shapes.qwen3_8b()), Settings(), pair).rows
    for alone, shared in zip(one, two, strict=True):
        assert shared.vram.weights == alone.vram.weights
        assert shared.vram.kv == alone.vram.kv
        assert shared.ram.weights == alone.ram.weights
    first, second = two[-1].devices
    assert 2 < first.weights / second.weights < 3, "a quarter of the layers, and the large output"
    assert two[1].devices[0].weights == one[1].devices[0].weights, "the output alone goes to the first device"


def test_a_split_that_is_given_beats_free_memory() -> None:
    pair = [Device("CUDA0", 12 * GIB, 12 * GIB), Device("CUDA1", 4 * GIB, 4 * GIB)]
    rows = table(model(shapes.qwen3_8b()), Settings(tensor_split=(0.0, 1.0)), pair).rows
    assert all(row.devices[0].weights == 0 for row in rows)


def test_the_whole_table_takes_milliseconds() -> None:
    for shape in (shapes.gemma_2_27b(), shapes.qwen3_30b_a3b(), shapes.qwen3_32b()):
        known = model(shape)
        best = min(_seconds(known) for _ in range(5))
        assert best < 0.05  # 5 ms on an idle machine: tests/bench measures that


def _seconds(known: Model) -> float:
    start = time.perf_counter()
    table(known, Settings(n_ctx=8192), [CARD])
    return time.perf_counter() - start


ABSURD = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(max_size=4),
    st.booleans(),
    st.lists(st.integers(-(2**40), 2**40), max_size=9).map(tuple),
    st.none(),
)
KEYS = sorted(shapes.tiny_hybrid().meta.keys() | shapes.tiny_shared().meta.keys() | shapes.tiny_latent().meta.keys())
ARCHS = ["llama", "gemma2", "gemma3n", "gemma4", "qwen35", "deepseek2", "jamba", "nemotron_h", "lfm2", "rwkv7", "x"]


@settings(max_examples=150, deadline=None)
@given(
    arch=st.sampled_from(ARCHS),
    keys=st.dictionaries(st.sampled_from(KEYS), ABSURD, max_size=12),
    n_ctx=st.integers(-5, 2**31),
    n_ubatch=st.integers(-5, 2**20),
)
def test_nonsense_in_a_header_gives_numbers_not_errors(
    arch: str, keys: dict[str, Any], n_ctx: int, n_ubatch: int
) -> None:
    header = shapes.header_of(shapes.Shape(arch, shapes.tiny_swa().meta, shapes.tiny_swa().rows))
    metadata = dict(header.metadata)
    for key, value in keys.items():
        if value is None:
            metadata.pop(f"{arch}.{key}", None)
        else:
            metadata[f"{arch}.{key}"] = value
    odd = type(header)(
        path="x",
        parts=("x",),
        version=3,
        file_bytes=0,
        data_offset=0,
        metadata=metadata,
        lengths=header.lengths,
        tensors=header.tensors,
    )
    rows = table(Model.of(odd), Settings(n_ctx=n_ctx, n_ubatch=n_ubatch), [CARD]).rows
    assert len(rows) == odd.n_layer + 2
    for row in rows:
        assert min(row.ram.weights, row.ram.kv, row.ram.compute, row.mapped) >= 0
        assert min(row.devices[0].weights, row.devices[0].kv, row.devices[0].compute) >= 0


def test_a_hundred_thousand_tensors_are_sorted_in_seconds() -> None:
    shape = shapes.bench_tiny()
    rows = tuple((f"blk.{number % 12}.x{number}.weight", [32, 1], shape.rows[0][2]) for number in range(100_000))
    start = time.perf_counter()
    known = model(shapes.Shape(shape.arch, shape.meta, rows))
    assert time.perf_counter() - start < 10
    assert table(known, Settings(), [CARD]).rows[-1].devices[0].weights >= 100_000 * 18
