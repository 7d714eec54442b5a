"""Headers that disagree with their own tensors."""

import pytest

from offtui.plan.contradictions import contradiction
from tests.fakes import gguf_shapes as shapes
from tests.fakes.gguf_shape import Shape

SOUND = [
    shapes.bench_tiny,
    shapes.tiny_swa,
    shapes.tiny_experts,
    shapes.tiny_hybrid,
    shapes.tiny_latent,
    shapes.tiny_shared,
    shapes.gemma_2_27b,
    shapes.gemma_4_12b,
    shapes.qwen3_30b_a3b,
    shapes.granite_4_1_8b,
]


@pytest.mark.parametrize("shape", SOUND, ids=lambda shape: shape.__name__)
def test_models_that_load_do_not_contradict_themselves(shape: object) -> None:
    assert callable(shape)
    assert contradiction(shapes.header_of(shape())) is None


def uint(value: int) -> tuple[str, int]:
    return ("uint32", value)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (shapes.bench_tiny().with_meta(block_count=uint(40)), "says 40 blocks and has no tensors of block 12"),
        (shapes.bench_tiny().with_meta(block_count=uint(3)), "says 3 blocks and has tensors of block 11"),
        (shapes.bench_tiny().with_meta(embedding_length=uint(0)), "embedding length of 0, and its token embeddings"),
        (shapes.bench_tiny().with_meta(embedding_length=("int32", -256)), "embedding length of 0"),
        (shapes.bench_tiny().with_meta(attention__head_count=uint(0)), "no attention heads"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_disagrees_is_said(shape: Shape, said: str) -> None:
    found = contradiction(shapes.header_of(shape))
    assert found is not None
    assert said in found


def test_blocks_that_predict_further_tokens_may_be_missing() -> None:
    whole = shapes.tiny_hybrid()
    rows = tuple(row for row in whole.rows if not row[0].startswith("blk.8."))
    assert contradiction(shapes.header_of(Shape(whole.arch, whole.meta, rows, whole.general))) is None
