"""``offtui plan`` with wrong words, absurd headers and models that fit nowhere: one line, and an exit code."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from offtui.engine import prober
from offtui.plan.probe import HeaderReply
from offtui.units import GIB
from tests.fakes import gguf_shapes as shapes
from tests.plan.conftest import Run


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["MISSING"], 3, "does not exist"),
        (["TEXT"], 3, "is not a GGUF file"),
        (["MODEL", "--card", "RTX 4060 Ti"], 2, "RTX 4060 Ti 8GB, RTX 4060 Ti 16GB"),
        (["MODEL", "--card", "Voodoo 2"], 2, "not in the list of cards"),
        (["MODEL", "--vram", "lots"], 2, "is not a size"),
        (["MODEL", "--vram", "+".join(["1GiB"] * 17)], 2, "too many"),
        (["MODEL", "--ctx", "0"], 2, "is not a number of tokens"),
        (["MODEL", "--ubatch", "-3"], 2, "is not a number of tokens"),
        (["MODEL", "--type-k", "q3_k"], 2, "q3_k"),
        (["MODEL", "--flash-attn", "off", "--type-v", "q8_0"], 2, "needs flash attention"),
        (["MODEL", "MODEL"], 2, "--table"),
        (["MODEL", "--measured", "fast"], 2, "is not LAYERS=TOKENS_PER_SECOND"),
        (["MODEL", "--measured", "5=0"], 2, "is not LAYERS=TOKENS_PER_SECOND"),
        (["MODEL", "--vram", "1GiB", "--measured", "99=5"], 2, "this model has 13"),
        (["MODEL", "--vram", "1GiB", "--vram", "2GiB", "--measured", "1=5"], 2, "one model on one card"),
        (["MODEL", "--vram", "1GiB", "--probe"], 2, "devices that are here"),
        (["MODEL", "--rpc", "127.0.0.1:1"], 1, "Nobody answers"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    plan: Run, tiny_model: Path, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    (tmp_path / "text.gguf").write_text("no model")
    names = {"MODEL": tiny_model, "MISSING": tmp_path / "none.gguf", "TEXT": tmp_path / "text.gguf"}
    done = plan(*(names.get(word, word) for word in words))
    assert done.code == code
    assert done.out == ""
    assert said in done.err
    assert done.err.count("\n") == 1


def test_files_that_are_no_model(plan: Run, tmp_path: Path) -> None:
    shape = shapes.bench_tiny()
    adapter = shapes.Shape("llama", shape.meta, shape.rows, {"general.type": ("string", "adapter")})
    done = plan(shapes.write_sparse(tmp_path / "lora.gguf", adapter))
    assert done.code == 3
    assert "is a LoRA adapter" in done.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"block_count": ("uint32", 0)}, "does not say how many blocks"),
        ({"block_count": ("uint32", 2**32 - 1)}, "does not say how many blocks"),
        ({"block_count": ("int32", -5)}, "does not say how many blocks"),
        ({"block_count": ("string", "12")}, "does not say how many blocks"),
        ({"block_count": ("uint32", 40)}, "no tensors of block 12"),
        ({"embedding_length": ("int32", -1)}, "embedding length"),
    ],
    ids=str,
)
def test_absurd_metadata_is_one_line(plan: Run, tmp_path: Path, change: dict[str, Any], said: str) -> None:
    done = plan(shapes.write_sparse(tmp_path / "odd.gguf", shapes.bench_tiny().with_meta(**change)), "--vram", "1GiB")
    assert (done.code, done.out) == (3, "")
    assert said in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "change",
    [
        {"context_length": ("int64", -1)},
        {"context_length": ("uint64", 2**63)},
        {"feed_forward_length": ("float32", float("nan"))},
        {"rope__freq_base": ("float32", float("inf"))},
        {"vocab_size": ("uint32", 2**32 - 1)},
        {"nextn_predict_layers": ("uint32", 500)},
        {"expert_count": ("uint32", 2**31), "expert_used_count": ("uint32", 2**32 - 1)},
        {"attention__key_length": ("uint32", 2**32 - 1)},
    ],
    ids=str,
)
def test_what_says_nothing_of_bytes_does_not_stop_a_plan(plan: Run, tmp_path: Path, change: dict[str, Any]) -> None:
    path = shapes.write_sparse(tmp_path / "odd.gguf", shapes.bench_tiny().with_meta(**change))
    done = plan(path, "--vram", "1GiB", "--json")
    assert (done.code, done.err) == (0, "")
    assert all(0 <= row["vram"]["total"] < 100 * GIB for row in done.json["rows"])


def test_a_million_tensors_are_refused_at_once(plan: Run, tmp_path: Path) -> None:
    path = tmp_path / "many.gguf"
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 10**6, 1) + bytes(2**20))
    done = plan(path, "--vram", "1GiB")
    assert (done.code, done.out) == (3, "")
    assert done.err == f"offtui: {path} claims 1000000 tensors; no model has so many. Download it again.\n"


def test_a_file_that_stalls_its_reader_cannot_be_loaded(
    plan: Run, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = prober.read_headers

    def at_once(paths: Sequence[str]) -> list[HeaderReply]:
        return real(paths, seconds=0.0)

    monkeypatch.setattr(prober, "read_headers", at_once)
    done = plan(tiny_model, "--vram", "1GiB")
    assert done.code == 3
    assert "took too long" in done.err


def test_a_model_that_fits_nowhere_is_told_what_would(plan: Run, gemma: Path) -> None:
    said = plan(gemma, "--vram", "2GiB", "--placement", "ffn", "--ctx", 8192).out
    assert "Not even with the matrices of 46 layers in RAM: it would need" in said
    assert "Perhaps better: whole layers on the GPU" in said
    assert "▶" not in said.split("does not fit")[0].replace("▶ the most", "")


def listed(path: Path, tensors: Sequence[tuple[str, int]], size: int) -> Path:
    """A GGUF of F32 tensors of 256 × 256 values: names and offsets, and bytes behind the header."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), 2)
    head += text("general.architecture") + struct.pack("<I", 8) + text("llama")
    head += text("llama.block_count") + struct.pack("<II", 4, 1)
    for name, offset in tensors:
        head += text(name) + struct.pack("<IQQIQ", 2, 256, 256, 0, offset)
    path.write_bytes(head + bytes(size))
    return path


BYTES = 256 * 256 * 4


@pytest.mark.parametrize(
    ("offsets", "size", "said"),
    [
        ((0, BYTES), 2 * BYTES + 64, None),
        ((0, 0), 2 * BYTES + 64, "is a broken GGUF file"),
        ((0, 128), 2 * BYTES + 64, "is a broken GGUF file"),
        ((0, 2**62), 2 * BYTES + 64, "is a broken GGUF file"),
        ((0, BYTES), BYTES, "is cut off"),
    ],
    ids=["sound", "the same place", "overlapping", "far away", "past the end"],
)
def test_tensors_in_impossible_places(
    plan: Run, tmp_path: Path, offsets: tuple[int, int], size: int, said: str | None
) -> None:
    names = ("blk.0.attn_q.weight", "blk.0.attn_k.weight")
    done = plan(listed(tmp_path / "m.gguf", list(zip(names, offsets, strict=True)), size), "--vram", "1GiB", "--json")
    if said is None:
        assert "contradicts itself: it says no attention heads" in done.err, "its places are not what is wrong with it"
        return
    assert (done.code, done.out) == (3, "")
    assert said in done.err
    assert done.err.count("\n") == 1
