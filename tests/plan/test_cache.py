"""KV cache and recurrent state, against the sizes that llama.cpp printed for these models."""

from typing import Any

import pytest

from offtui.gguf.header import Header
from offtui.plan.cache import cells, layer_bytes
from offtui.plan.geometry import Geometry, geometry
from offtui.plan.settings import Settings
from offtui.units import MIB


def model(arch: str, n_layer: int, **keys: Any) -> Geometry:
    metadata = {f"{arch}.{key.replace('__', '.')}": value for key, value in keys.items()}
    header = Header(
        path="",
        parts=("",),
        version=3,
        file_bytes=0,
        data_offset=0,
        metadata={"general.architecture": arch, f"{arch}.block_count": n_layer, **metadata},
        lengths={},
        tensors=(),
    )
    return geometry(header)


def gemma4(n_layer: int, period: int, n_head_kv: tuple[int, int], window: int, shared: int = 0) -> Geometry:
    windowed = tuple(layer % period != period - 1 for layer in range(n_layer))
    return model(
        "gemma4",
        n_layer,
        embedding_length=2560,
        attention__head_count=8,
        attention__head_count_kv=tuple(n_head_kv[0] if narrow else n_head_kv[1] for narrow in windowed),
        attention__key_length=512,
        attention__value_length=512,
        attention__key_length_swa=256,
        attention__value_length_swa=256,
        attention__sliding_window=window,
        attention__sliding_window_pattern=windowed,
        attention__shared_kv_layers=shared,
    )


def qwen35(n_layer: int, inner: int, nextn: int = 0) -> Geometry:
    return model(
        "qwen35",
        n_layer,
        embedding_length=5120,
        nextn_predict_layers=nextn,
        attention__head_count=24,
        attention__head_count_kv=4,
        attention__key_length=256,
        attention__value_length=256,
        ssm__conv_kernel=4,
        ssm__state_size=128,
        ssm__group_count=16,
        ssm__inner_size=inner,
        full_attention_interval=4,
    )


def plain(arch: str, n_layer: int, n_head_kv: int, head: int, **keys: Any) -> Geometry:
    return model(
        arch,
        n_layer,
        embedding_length=4096,
        attention__head_count=32,
        attention__head_count_kv=n_head_kv,
        attention__key_length=head,
        attention__value_length=head,
        **keys,
    )


def mib(geometry: Geometry, settings: Settings) -> float:
    return sum(layer_bytes(geometry, settings, cuda=False)) / MIB


def test_gemma_4_keeps_few_cells_for_windowed_layers() -> None:
    big = Settings(n_ctx=8192, n_ubatch=2048)
    four = Settings(n_ctx=8192, n_ubatch=2048, n_seq_max=4, kv_unified=True)
    assert mib(gemma4(48, 6, (8, 1), 1024), big) == 128 + 960
    assert mib(gemma4(48, 6, (8, 1), 1024), four) == 2048
    assert mib(gemma4(30, 6, (8, 2), 1024), big) == 160 + 600


def test_gemma_4_layers_that_share_a_cache_own_none() -> None:
    big = Settings(n_ctx=8192, n_ubatch=2048)
    assert mib(gemma4(35, 5, (1, 1), 512, shared=20), big) == 48 + 30
    assert mib(gemma4(42, 6, (2, 2), 512, shared=18), big) == 128 + 100


def test_latent_attention_caches_keys_only() -> None:
    flash = model(
        "deepseek2",
        47,
        embedding_length=2048,
        attention__head_count=20,
        attention__head_count_kv=1,
        attention__key_length=576,
        attention__value_length=512,
        attention__key_length_mla=256,
        attention__value_length_mla=256,
    )
    assert mib(flash, Settings(n_ctx=32768)) == pytest.approx(1692)


@pytest.mark.parametrize(
    ("geometry", "settings", "size"),
    [
        (plain("qwen3", 36, 8, 128), Settings(n_ctx=8192), 1152),
        (plain("granite", 40, 8, 128), Settings(n_ctx=8192), 1280),
        (plain("llama", 32, 8, 128), Settings(n_ctx=16384, n_ubatch=1024), 2048),
        (plain("llama", 32, 8, 128), Settings(n_ctx=768, n_ubatch=256), 96),
        (plain("qwen2", 28, 4, 128), Settings(n_ctx=32768), 1792),
        (plain("qwen3moe", 48, 4, 128), Settings(n_ctx=8192), 768),
        (plain("qwen3", 64, 8, 128), Settings(n_ctx=123392), 30848),
        (plain("command-r", 40, 64, 128), Settings(n_ctx=4096), 5120),
        (plain("gemma2", 46, 16, 128, attention__sliding_window=4096), Settings(n_ctx=4096), 46 * 32),
    ],
    ids=lambda value: value.arch if isinstance(value, Geometry) else None,
)
def test_caches_of_known_models(geometry: Geometry, settings: Settings, size: float) -> None:
    assert mib(geometry, settings) == size


def test_hybrids_have_state_instead_of_a_cache_in_most_layers() -> None:
    small, large = qwen35(32, 4096), qwen35(65, 6144, nextn=1)
    sizes = layer_bytes(small, Settings(n_ctx=8192), cuda=False)
    assert sum(sizes) / MIB == pytest.approx(256 + 50.25)
    on_cpu, on_gpu = sizes[:13], sizes[13:]  # 20 layers offloaded: the output and 19 blocks
    attention = lambda rows: sum(size for size in rows if size > 4 * MIB)  # noqa: E731
    assert attention(on_cpu) / MIB == 96
    assert attention(on_gpu) / MIB == 160
    assert (sum(on_cpu) - attention(on_cpu)) / MIB == pytest.approx(20.94, abs=0.01)
    assert (sum(on_gpu) - attention(on_gpu)) / MIB == pytest.approx(29.31, abs=0.01)
    assert mib(large, Settings(n_ctx=8192)) == pytest.approx(512 + 598.5 / 4, abs=0.01)


def test_quantised_caches_take_their_blocks() -> None:
    llama = plain("llama", 32, 8, 128)
    full = mib(llama, Settings(n_ctx=4096))
    assert mib(llama, Settings(n_ctx=4096, type_k="q8_0", type_v="q8_0")) == full * 34 / 64
    assert mib(llama, Settings(n_ctx=4096, type_k="q4_0", type_v="f16")) == full / 2 * (1 + 18 / 64)


def test_without_flash_attention_v_has_the_widest_layers_width_everywhere() -> None:
    narrow = gemma4(12, 6, (8, 1), 1024)
    flash, plain_ = Settings(n_ctx=4096), Settings(n_ctx=4096, flash_attn=False)
    wide = 8 * 256
    expected = 2 * cells(narrow, plain_, narrow.layers[5]) * (wide - 512) * 2
    assert mib(narrow, plain_) - mib(narrow, flash) == expected / MIB


def test_contexts_are_padded_and_shared_between_sequences() -> None:
    llama = plain("llama", 2, 8, 128)
    assert mib(llama, Settings(n_ctx=2000)) == mib(llama, Settings(n_ctx=2048))
    assert mib(llama, Settings(n_ctx=8192, n_seq_max=4)) == mib(llama, Settings(n_ctx=8192))
    assert mib(llama, Settings(n_ctx=1000, n_seq_max=4)) == mib(llama, Settings(n_ctx=1024))


def test_a_full_window_cache_is_as_long_as_the_context() -> None:
    gemma = plain("gemma2", 2, 8, 128, attention__sliding_window=1024)
    assert cells(gemma, Settings(n_ctx=8192), gemma.layers[0]) == 1536
    assert cells(gemma, Settings(n_ctx=8192, swa_full=True), gemma.layers[0]) == 8192
    assert cells(gemma, Settings(n_ctx=8192), gemma.layers[1]) == 8192


def test_architectures_nobody_checked_are_marked() -> None:
    assert plain("llama", 2, 8, 128).known
    assert not plain("deepseek4", 2, 8, 128).known
    assert not plain("an architecture of next year", 2, 8, 128).known
