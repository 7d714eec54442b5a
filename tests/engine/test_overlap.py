"""Whether two loads fit at once, which slots they take, and the memory between them."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from offtui.engine import parcel
from offtui.engine.overlap import both_fit, free_slots, same_model
from offtui.protocol.carry import Manifest, pack_tokens, refusal, unpack_tokens
from offtui.protocol.facts import DeviceFacts
from offtui.protocol.spec import LoadSpec
from offtui.units import GIB, MIB
from tests.fakes.worker import layout, loaded

SPEC = LoadSpec(model="a.gguf", n_gpu_layers=4, n_ctx=4096)
UP = replace(loaded(SPEC), ladder=tuple(GIB * n for n in range(14)), ram_ladder=(GIB,) * 14)


def memory(vram: int | None, total: int | None = 24 * GIB) -> tuple[DeviceFacts, ...]:
    return (
        DeviceFacts("CPU", "cpu", "a processor", 32 * GIB, 64 * GIB),
        DeviceFacts("CUDA0", "gpu", "a card", vram, total),
    )


@pytest.mark.parametrize(
    ("layers", "vram", "ram", "fits"),
    [
        (4, 10 * GIB, 32 * GIB, True),
        (13, 10 * GIB, 32 * GIB, False),
        (9, 10 * GIB, 32 * GIB, True),  # 9 + 0.5 margin + 0.34 context
        (10, 10 * GIB, 32 * GIB, False),
        (0, 0, 32 * GIB, True),
        (0, 10 * GIB, 2 * GIB, True),
        (0, 10 * GIB, GIB, False),
        (4, None, 32 * GIB, True),  # the total is known
        (14, 99 * GIB, 32 * GIB, False),
        (None, 99 * GIB, 32 * GIB, False),
    ],
)
def test_both_fit_by_the_plan_and_what_is_free(layers: int | None, vram: int | None, ram: int, fits: bool) -> None:
    assert both_fit(UP, memory(vram), replace(SPEC, n_gpu_layers=layers), ram) is fits


def test_memory_that_nobody_knows_is_not_taken() -> None:
    assert not both_fit(UP, memory(None, None), SPEC, 32 * GIB)


@pytest.mark.parametrize(
    "change", [{"type_k": "q8_0"}, {"use_mmap": False}, {"n_ubatch": 2048}, {"offload_kqv": False}]
)
def test_what_the_ladder_does_not_tell_is_not_tried(change: dict[str, object]) -> None:
    assert not both_fit(UP, memory(20 * GIB), replace(SPEC, **change), 32 * GIB)


@pytest.mark.parametrize(
    ("vram", "ram", "fits"),
    [(14 * GIB, 32 * GIB, True), (12 * GIB, 32 * GIB, False), (14 * GIB, 14 * GIB, False)],
)
def test_another_placement_is_tried_where_the_whole_model_would_fit_either_way(vram: int, ram: int, fits: bool) -> None:
    for change in ({"placement": "ffn"}, {"on_cpu": ("ffn_up",)}):
        assert both_fit(UP, memory(vram), replace(SPEC, **change), ram) is fits


def test_a_longer_context_counts() -> None:
    cache = sum(row.kv for row in UP.devices)
    tight = memory(4 * GIB + 862 * MIB)
    assert both_fit(UP, tight, SPEC, 32 * GIB)
    assert cache > 0
    assert not both_fit(UP, tight, replace(SPEC, n_ctx=4096 * 5), 32 * GIB)


@pytest.mark.parametrize(
    ("wanted", "used", "slots"),
    [
        ((), (), ()),
        (("h:1",), (), ("h:1",)),
        (("h:1",), ("h:1",), ("h:2",)),
        (("h:1",), ("h:2",), ("h:1",)),
        (("h:1", "h:2"), ("h:1", "h:2"), None),  # the next port is another device
        (("h:1", "g:1"), ("h:1", "g:1"), ("h:2", "g:2")),
        (("h:65535",), ("h:65535",), None),
    ],
)
def test_a_slot_serves_one_worker(
    wanted: tuple[str, ...], used: tuple[str, ...], slots: tuple[str, ...] | None
) -> None:
    assert free_slots(wanted, used) == slots


def test_the_same_model_by_another_path(tmp_path: Path) -> None:
    model = tmp_path / "a.gguf"
    model.touch()
    (tmp_path / "link.gguf").symlink_to(model)
    up = loaded(LoadSpec(model=str(model)))
    assert same_model(up, LoadSpec(model=str(tmp_path / "link.gguf")))
    assert not same_model(up, LoadSpec(model=str(tmp_path / "b.gguf")))


def test_a_parcel_has_no_name_and_is_gone_when_closed(tmp_path: Path) -> None:
    kept = parcel.parcel(MIB, tmp_path)
    os.ftruncate(kept.descriptor, MIB)
    descriptor = kept.descriptor
    kept.close()
    kept.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    assert list(tmp_path.iterdir()) == []


def test_what_the_ram_does_not_hold_goes_to_an_unlinked_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcel, "_RESERVE", 0)
    monkeypatch.delattr(os, "memfd_create")
    kept = parcel.parcel(MIB, tmp_path / "new")
    assert os.fstat(kept.descriptor).st_nlink == 0
    assert list((tmp_path / "new").iterdir()) == []
    kept.close()
    with pytest.raises(OSError, match="room"):
        parcel.parcel(2**60, tmp_path)


def test_tokens_are_packed_and_a_manifest_says_what_it_fits() -> None:
    tokens = [0, 5, 2**31 - 1]
    assert unpack_tokens(pack_tokens(tokens)) == tokens
    manifest = Manifest(layout=layout(SPEC), n_ctx=4096, size=10, tokens=pack_tokens(tokens))
    assert manifest.n_tokens == 3
    assert refusal(manifest, layout(SPEC), 4) == ""
    assert "3 tokens" in refusal(manifest, layout(SPEC), 3)
    for change in ({"path": "b"}, {"mtime_ns": 7}, {"llama_cpp": "1"}, {"type_v": "q8_0"}, {"swa_full": True}):
        assert refusal(manifest, replace(layout(SPEC), **change), 4096)


def test_within_a_budget_both_must_fit_it() -> None:
    free = memory(22 * GIB)
    assert both_fit(UP, free, replace(SPEC, vram_budget=12 * GIB), 32 * GIB)
    assert not both_fit(UP, free, replace(SPEC, vram_budget=4 * GIB), 32 * GIB)
