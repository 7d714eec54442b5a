"""Headers as llama.cpp's own reader sees them: good files, split files, and everything that is no model."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gguf import GGUFWriter
from offtui.errors import LoadError
from offtui.gguf.header import Header, Tensor
from offtui.plan import architectures
from offtui.worker.architecture import is_known
from offtui.worker.header import UnreadableModel, read_header
from tests.fakes import gguf_shapes as shapes


def header(meta: dict[str, Any], *, arch: str = "llama", tensors: tuple[Tensor, ...] = (), **lengths: int) -> Header:
    return Header(
        path="x.gguf",
        parts=("x.gguf",),
        version=3,
        file_bytes=0,
        data_offset=0,
        metadata={"general.architecture": arch, **meta},
        lengths={key.replace("__", "."): value for key, value in lengths.items()},
        tensors=tensors,
    )


WEIGHT = (Tensor("token_embd.weight", "q4_K", (32, 8), 144, 0),)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes.write_random(tmp_path_factory.mktemp("tiny") / "tiny.gguf", shapes.bench_tiny())


def failure_of(path: Path | str) -> Any:
    with pytest.raises(UnreadableModel) as caught:
        read_header(str(path))
    assert isinstance(caught.value, LoadError)
    assert str(caught.value) == caught.value.failure.message
    return caught.value.failure


def test_a_model_says_what_it_is(tiny: Path) -> None:
    read = read_header(str(tiny))
    assert (read.kind, read.arch, read.quant) == ("model", "llama", "Q4_0")
    assert (read.n_layer, read.n_embd, read.n_ctx_train, read.n_vocab) == (12, 256, 8192, 8000)
    assert read.file_bytes == tiny.stat().st_size
    assert read.n_params == sum(int(np.prod(ne)) for _, ne, _ in shapes.bench_tiny().rows)
    assert read.n_bytes == sum(shapes.nbytes(ne, kind) for _, ne, kind in shapes.bench_tiny().rows)
    assert read.has_template
    assert read.has_tokenizer
    assert "tokenizer.ggml.tokens" not in read.metadata
    assert read.lengths["tokenizer.ggml.tokens"] == 8000


def test_tensors_lie_where_the_file_has_them(tiny: Path) -> None:
    read = read_header(str(tiny))
    norm = next(tensor for tensor in read.tensors if tensor.name == "blk.3.attn_norm.weight")
    assert (norm.type, norm.shape, norm.nbytes) == ("f32", (256,), 1024)
    with tiny.open("rb") as file:
        file.seek(norm.offset)
        assert np.frombuffer(file.read(norm.nbytes), np.float32).tolist() == [1.0] * 256


def test_a_header_of_a_large_vocabulary_is_quick(tmp_path: Path) -> None:
    shape = shapes.decoder("llama", 2, 64, 2, 2, 32, 64, 256_000, 4096, tied=True)
    path = shapes.write_random(
        tmp_path / "large.gguf", shapes.Shape(shape.arch, shape.meta, shape.rows[1:], shape.general)
    )
    read_header(str(path))
    start = time.perf_counter()
    assert read_header(str(path)).n_vocab == 256_000
    assert time.perf_counter() - start < 3  # 60 ms on an idle machine: tests/bench measures that


def test_a_log_callback_that_was_installed_is_installed_again(tiny: Path) -> None:
    code = (
        "import sys, ctypes\n"
        "from llama_cpp import llama_cpp\n"
        "lines = []\n"
        "@llama_cpp.llama_log_callback\n"
        "def keep(level, text, data): lines.append(text)\n"
        "llama_cpp.llama_log_set(keep, ctypes.c_void_p(0))\n"
        "from offtui.worker.header import read\n"
        "assert read(sys.argv[1]).failure.kind == 'truncated'\n"
        "assert not lines, lines\n"
        "llama_cpp.llama_model_load_from_file(sys.argv[1].encode(), llama_cpp.llama_model_default_params())\n"
        "assert lines\n"
    )
    cut = tiny.parent / "cut.gguf"
    cut.write_bytes(tiny.read_bytes()[:400])
    done = subprocess.run([sys.executable, "-c", code, str(cut)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("keep", [5, 20, 40, 400, 20_000])
def test_a_file_cut_off_in_its_header(tiny: Path, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny.read_bytes()[:keep])
    assert failure_of(path).kind == "truncated"


def test_a_file_cut_off_in_its_weights(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny.read_bytes()[:1_000_000])
    assert failure_of(path).kind == "truncated"
    assert "1000000 of at least" in failure_of(path).message
    assert len(read_header(str(path), complete=False).tensors) == len(read_header(str(tiny)).tensors)


def test_what_is_no_gguf(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("hello")
    (tmp_path / "empty.gguf").touch()
    (tmp_path / "short.gguf").write_bytes(b"GG")
    for name in ("text", "empty", "short"):
        assert failure_of(tmp_path / f"{name}.gguf").kind == "not_gguf"


def test_what_is_no_file(tmp_path: Path) -> None:
    assert failure_of(tmp_path / "missing.gguf").kind == "not_found"
    assert failure_of(tmp_path / "missing" / "x.gguf").kind == "not_found"
    assert failure_of("a\0b.gguf").kind == "not_found"
    assert failure_of(tmp_path).kind == "permission"
    assert "folder" in failure_of(tmp_path).message
    os.mkfifo(tmp_path / "pipe.gguf")
    assert failure_of(tmp_path / "pipe.gguf").kind == "permission"
    assert failure_of("/dev/null").kind == "permission"


def test_a_file_without_the_right_to_read(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "locked.gguf"
    path.write_bytes(tiny.read_bytes())
    path.chmod(0)
    code = (
        "import os, sys\n"
        "from offtui.worker.header import read\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "print(read(sys.argv[1]).failure.kind)\n"
    )
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == os.getuid() and str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "permission", done.stderr


def test_versions_this_llama_cpp_does_not_read(tiny: Path, tmp_path: Path) -> None:
    data = bytearray(tiny.read_bytes())
    for version in (b"\1\0\0\0", b"\x63\0\0\0", b"\0\0\0\3"):
        data[4:8] = version
        (tmp_path / "v.gguf").write_bytes(data)
        assert failure_of(tmp_path / "v.gguf").kind == "unsupported"


def test_a_tensor_type_that_does_not_exist(tiny: Path, tmp_path: Path) -> None:
    data = bytearray(tiny.read_bytes())
    at = data.index(b"token_embd.weight") + len(b"token_embd.weight") + 4 + 2 * 8
    data[at : at + 4] = (200).to_bytes(4, "little")
    (tmp_path / "t.gguf").write_bytes(data)
    failure = failure_of(tmp_path / "t.gguf")
    assert failure.kind == "unsupported"
    assert "invalid ggml type 200" in failure.evidence


def test_tensors_that_overlap_are_refused(tiny: Path, tmp_path: Path) -> None:
    data = bytearray(tiny.read_bytes())
    at = data.index(b"blk.0.attn_norm.weight") + len(b"blk.0.attn_norm.weight") + 4 + 8 + 4
    data[at : at + 8] = bytes(8)
    (tmp_path / "o.gguf").write_bytes(data)
    assert failure_of(tmp_path / "o.gguf").kind == "not_gguf"


def test_names_are_cleaned_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m\nb.gguf"
    path.touch()
    assert failure_of(path).message == f"{tmp_path}/a[31m b.gguf is empty."


def split(folder: Path, parts: int, *, skip: int = -1, number: int | None = None) -> Path:
    shape = shapes.bench_tiny()
    for part in range(parts):
        if part == skip:
            continue
        writer = GGUFWriter(folder / f"m-{part + 1:05d}-of-{parts:05d}.gguf", "llama")
        writer.add_uint16("split.no", part if number is None or part == 0 else number)
        writer.add_uint16("split.count", parts)
        writer.add_int32("split.tensors.count", len(shape.rows))
        if part == 0:
            for key, (kind, value) in shape.meta.items():
                getattr(writer, f"add_{kind}")(f"llama.{key}", value)
        for name, ne, kind in shape.rows[part::parts]:
            data = np.zeros(shapes.nbytes(ne, kind), np.uint8)
            if kind.name == "F32":
                writer.add_tensor(name, data.view(np.float32))
            else:
                rows = ne[1]
                writer.add_tensor(name, data.reshape(rows, -1), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return folder / f"m-00001-of-{parts:05d}.gguf"


def test_split_files_are_one_model(tmp_path: Path) -> None:
    first = split(tmp_path, 3)
    read = read_header(str(first))
    assert read.n_bytes == sum(shapes.nbytes(ne, kind) for _, ne, kind in shapes.bench_tiny().rows)
    assert len(read.parts) == 3
    assert {tensor.part for tensor in read.tensors} == {0, 1, 2}
    assert read.file_bytes == sum(Path(part).stat().st_size for part in read.parts)
    assert read_header(read.parts[2]) == read


@pytest.mark.parametrize("skip", [0, 1, 2])
def test_a_missing_part_is_named(tmp_path: Path, skip: int) -> None:
    split(tmp_path, 3, skip=skip)
    failure = failure_of(tmp_path / f"m-0000{2 if skip == 0 else 1}-of-00003.gguf")
    assert failure.kind == "not_found"
    assert f"m-0000{skip + 1}-of-00003.gguf" in failure.message + failure.advice


def test_parts_in_the_wrong_order_or_under_a_wrong_name(tmp_path: Path) -> None:
    first = split(tmp_path, 3, number=2)
    assert "not part 2" in failure_of(first).message
    renamed = tmp_path / "model.gguf"
    first.rename(renamed)
    assert "part of 3 files" in failure_of(renamed).message


@pytest.mark.parametrize(
    ("meta", "arch", "tensors", "kind"),
    [
        ({"llama.block_count": 4}, "llama", WEIGHT, "model"),
        ({"clip.has_vision_encoder": True}, "clip", WEIGHT, "mmproj"),
        ({"general.type": "adapter", "llama.block_count": 4}, "llama", WEIGHT, "lora"),
        ({"llama.block_count": 4}, "llama", (), "vocabulary"),
        ({"bert.block_count": 4}, "bert", WEIGHT, "embedding"),
        ({"qwen3.block_count": 4, "qwen3.pooling_type": 3}, "qwen3", WEIGHT, "embedding"),
        ({"qwen3.block_count": 4, "qwen3.pooling_type": 0}, "qwen3", WEIGHT, "model"),
        ({}, "flux", WEIGHT, "unsupported"),
        ({"llama.block_count": 10**9}, "llama", WEIGHT, "unsupported"),
        ({"llama.block_count": 0}, "llama", WEIGHT, "unsupported"),
        ({"wavtokenizer-dec.block_count": 4}, "wavtokenizer-dec", WEIGHT, "unsupported"),
    ],
)
def test_what_a_file_is_for(meta: dict[str, Any], arch: str, tensors: tuple[Tensor, ...], kind: str) -> None:
    assert header(meta, arch=arch, tensors=tensors, tokenizer__ggml__tokens=10).kind == kind


def test_an_architecture_that_llama_cpp_has_no_code_for(tiny: Path, tmp_path: Path) -> None:
    shape = shapes.bench_tiny()
    path = shapes.write_random(tmp_path / "new.gguf", replace(shape, arch="qwen9000"))
    assert read_header(str(path)).kind == "unknown"
    assert read_header(str(path)).n_layer == read_header(str(tiny)).n_layer
    assert read_header(str(tiny)).kind == "model"


def test_llama_cpp_knows_every_architecture_that_the_arithmetic_does() -> None:
    listed = architectures.KNOWN | architectures.UNKNOWN
    assert [arch for arch in sorted(listed) if not is_known(arch)] == []
    assert not is_known("qwen9000")
    assert not is_known("qu'ote\"\n")


@pytest.mark.parametrize("value", [None, -1, 0, 2**63, "32", True, 32.5, float("nan"), float("inf"), (32, 32)])
def test_absurd_metadata_is_as_if_it_were_missing(value: Any) -> None:
    names = "block_count context_length embedding_length pooling_type nextn_predict_layers vocab_size"
    meta = {f"llama.{name}": value for name in names.split()}
    meta |= {"general.architecture": "llama", "general.name": value, "general.file_type": value}
    meta = {key: item for key, item in meta.items() if item is not None}
    read = header(meta, tensors=WEIGHT)
    assert (read.n_layer, read.n_ctx_train, read.n_embd, read.n_layer_nextn) == (0, 0, 0, 0)
    assert read.n_vocab == 8
    assert read.kind == "unsupported"
    assert isinstance(read.name, str)
    assert read.quant in ("Q4_K_M", "F32")
    assert read.get_ints("llama.block_count", 3, 7) == (
        (32, 32, 7) if isinstance(value, tuple) else (read.get_int("llama.block_count", 7),) * 3
    )


def test_the_name_of_a_file_type_guessed_by_llama_cpp() -> None:
    assert header({"general.file_type": 1024 + 15}).quant == "Q4_K_M"
    assert header({"general.file_type": 999}, tensors=WEIGHT).quant == "Q4_K_M"
    assert header({}).quant == ""


def test_the_module_prints_json(tiny: Path, tmp_path: Path) -> None:
    missing = tmp_path / "none.gguf"
    done = subprocess.run(
        [sys.executable, "-m", "offtui.worker.header", str(tiny), str(missing)], capture_output=True, timeout=60
    )
    good, bad = (json.loads(line) for line in done.stdout.splitlines())
    assert done.returncode == 0
    assert good["path"] == good["header"]["path"] == str(tiny)
    assert good["failure"] is None
    assert bad["header"] is None
    assert bad["failure"]["kind"] == "not_found"
