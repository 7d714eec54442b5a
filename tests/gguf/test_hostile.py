"""Broken and hostile headers: each costs one sentence, and what can still be read can still be planned."""

import random
from pathlib import Path

import msgspec
import pytest

from offtui.engine.prober import read_headers
from offtui.plan.choose import choose
from offtui.plan.probe import HeaderReply
from offtui.plan.settings import Device
from offtui.protocol.spec import LoadSpec
from offtui.units import GIB
from tests.fakes import gguf_shapes as shapes

ODD = [b"\0" * 8, b"\xff" * 8, b"\xff" * 4, (2**63).to_bytes(8, "little"), b"\x1b[2J", (2**31).to_bytes(4, "little")]
OTHERS = [("string", "\x1b[31mno"), ("float32", 1e30), ("array", [1, 2]), ("bool", True)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model of 90 kB, most of it header."""
    extra = {"expert_count": ("uint32", 0), "attention.sliding_window": ("uint32", 64)}
    shape = shapes.decoder("gemma2", 3, 32, 2, 1, 16, 64, 600, 512, tied=True, post_norms=True, extra=extra)
    quantised = tuple((name, ne, kind) for name, ne, kind in shape.rows if kind.name == "F32")
    path = tmp_path_factory.mktemp("small") / "small.gguf"
    return shapes.write_random(path, shapes.Shape(shape.arch, shape.meta, quantised, shape.general))


def mutated(whole: bytes, seed: int) -> bytes:
    """One of many ways to break a header."""
    chance = random.Random(seed)
    data = bytearray(whole)
    end = min(len(data), chance.choice([64, 1200, len(data)]))
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.randrange(4, end)
        match chance.randrange(4):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                value = chance.choice(ODD)
                data[at : at + len(value)] = value
            case 2:
                del data[at : at + chance.randrange(1, 20)]
            case _:
                data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 9)))
        end = min(end, len(data))
    return bytes(data)


def check(reply: HeaderReply) -> None:
    """A failure is a sentence; a header can be planned, whatever it says."""
    assert (reply.header is None) != (reply.failure is None)
    if reply.failure is not None:
        assert reply.failure.message.endswith(".")
        assert "\x1b" not in reply.failure.message + reply.failure.evidence
        return
    header = reply.header
    assert header is not None
    assert header.kind in ("model", "embedding", "mmproj", "lora", "vocabulary", "unsupported")
    assert "\x1b" not in header.name + header.arch + header.quant
    choice = choose(header, LoadSpec(model=header.path), [Device("CUDA0", GIB, GIB)], GIB)
    assert 0 <= choice.n_gpu_layers <= header.n_layer + 1
    msgspec.json.encode(choice)


def test_mutated_headers(small: Path, tmp_path: Path) -> None:
    whole = small.read_bytes()
    paths = [tmp_path / f"{seed}.gguf" for seed in range(200)]
    for seed, path in enumerate(paths):
        path.write_bytes(mutated(whole, seed))
    replies = read_headers([str(path) for path in paths], seconds=60)
    assert [reply.path for reply in replies] == [str(path) for path in paths]
    for reply in replies:
        check(reply)
    read = sum(reply.header is not None for reply in replies)
    assert 10 < read < 180, "both kinds of outcome were tried"


def test_metadata_of_another_type(small: Path, tmp_path: Path) -> None:
    """Every key of the architecture as a text, a float, an array and a bool."""
    shape = shapes.bench_tiny()
    paths: list[str] = []
    for key in shape.meta:
        if key == "vocab_size":
            continue
        for number, value in enumerate(
            [("string", "\x1b[31mno"), ("float32", 1e30), ("array", [1, 2]), ("bool", True)]
        ):
            broken = shapes.Shape(shape.arch, {**shape.meta, key: value}, shape.rows, shape.general)
            paths.append(str(shapes.write_sparse(tmp_path / f"{key}-{number}.gguf", broken)))
    for reply in read_headers(paths, seconds=60):
        assert reply.failure is None
        check(reply)
