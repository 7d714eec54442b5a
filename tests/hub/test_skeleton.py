import contextlib
import os
import random
import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offtui.engine.prober import read_headers
from offtui.gguf.header import Header
from offtui.hub.skeleton import MAX_BODY, Lengths, NotReadable, read_skeleton
from tests.fakes import gguf_shapes as shapes
from tests.fakes.gguf_shape import Shape

MB = 1_000_000


class Remote:
    """A file that is read in pieces, and how much was read."""

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, path.stat().st_size
        self.traffic = self.requests = 0

    def __call__(self, at: int, count: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(at)
            piece = file.read(count)
        self.traffic += len(piece)
        self.requests += 1
        return piece


def through_skeleton(remote: Remote, folder: Path, lengths: Lengths | None = None) -> Header:
    """What llama.cpp's reader finds in the skeleton."""
    skeleton = read_skeleton(remote, remote.size, lengths)
    file = folder / "skeleton.gguf"
    with file.open("wb") as out:
        out.write(skeleton.body)
        out.truncate(skeleton.size_for(remote.size))
    (reply,) = read_headers([str(file)])
    assert reply.header is not None, reply.failure
    return reply.header


def really(path: Path) -> Header:
    (reply,) = read_headers([str(path)])
    assert reply.header is not None
    return reply.header


@pytest.mark.parametrize(
    ("shape", "vocabulary", "scores"),
    [
        (shapes.qwen3_8b(), 151_936, False),
        (shapes.llama_3_1_8b(), 128_256, False),
        (shapes.gemma_2_27b(), 256_000, True),
        (shapes.qwen3_30b_a3b(), 151_936, False),
        (shapes.qwen3_4b(), 0, False),
        (shapes.qwen3_4b(), 5000, False),
    ],
)
def test_a_skeleton_says_what_the_file_says_for_little_traffic(
    shape: Shape, vocabulary: int, scores: bool, tmp_path: Path
) -> None:
    path = shapes.write_sparse(tmp_path / "model.gguf", shape, vocabulary=vocabulary, scores=scores)
    remote, lengths = Remote(path), Lengths()
    got, true = through_skeleton(remote, tmp_path, lengths), really(path)
    assert got.metadata == true.metadata
    assert got.lengths == true.lengths
    assert [(t.name, t.type, t.shape, t.nbytes) for t in got.tensors] == [
        (t.name, t.type, t.shape, t.nbytes) for t in true.tensors
    ]
    assert got.n_vocab == true.n_vocab
    assert remote.traffic < 1 * MB, remote.traffic
    assert remote.requests < 60
    again = Remote(path)
    through_skeleton(again, tmp_path, lengths)
    assert again.requests <= 12, "another quantisation has the same vocabulary"


def test_what_is_no_gguf_or_cut_off_is_refused(tmp_path: Path) -> None:
    path = shapes.write_sparse(tmp_path / "model.gguf", shapes.qwen3_8b(), vocabulary=40_000)
    whole = path.read_bytes()[: 4 * MB]

    def read_from(data: bytes):
        return read_skeleton(lambda at, count: data[at : at + count], len(data))

    skeleton = read_from(whole)
    for end in (0, 3, 23, 100, 5000, 200_000, skeleton.data_offset - 40):
        with pytest.raises(NotReadable):
            read_from(whole[:end])
    with pytest.raises(NotReadable, match="not a GGUF"):
        read_from(b"<html>" + whole)
    with pytest.raises(NotReadable, match="version is 9"):
        read_from(whole[:4] + struct.pack("<I", 9) + whole[8:])


@pytest.mark.parametrize("texts", [False, True])
def test_a_header_that_promises_too_much_takes_no_memory(texts: bool, tmp_path: Path) -> None:
    """Arrays that are passed over: of bytes that are there, as holes, or of texts that are not."""
    path, count = tmp_path / "hostile.gguf", 1 << 24
    with path.open("wb") as file:
        file.write(struct.pack("<4sIQQ", b"GGUF", 3, 0, 40))
        for _ in range(40):
            file.write(struct.pack("<Q1sIIQ", 1, b"k", 9, 8 if texts else 0, count))
            if not texts:
                file.seek(count, os.SEEK_CUR)
        file.truncate(file.tell())
    tracemalloc.start()
    try:
        with pytest.raises(NotReadable, match="too large"):
            read_skeleton(Remote(path), path.stat().st_size)
        assert tracemalloc.get_traced_memory()[1] < 2 * MAX_BODY
    finally:
        tracemalloc.stop()


def test_a_skeleton_takes_no_more_room_than_it_is_given(tmp_path: Path) -> None:
    path = shapes.write_sparse(tmp_path / "model.gguf", shapes.qwen3_4b(), vocabulary=5000)
    remote = Remote(path)
    length = len(read_skeleton(remote, remote.size).body)
    assert len(read_skeleton(remote, remote.size, most=length).body) == length
    with pytest.raises(NotReadable, match="too large"):
        read_skeleton(remote, remote.size, most=length - 1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_a_broken_header_is_refused_or_read_and_never_hangs(seed: int, flips: int) -> None:
    global _WHOLE
    if _WHOLE is None:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            file = shapes.write_sparse(Path(folder) / "m.gguf", shapes.qwen3_4b(), vocabulary=21_000)
            _WHOLE = file.read_bytes()[: 2 * MB]
    pick = random.Random(seed)
    data = bytearray(_WHOLE)
    for _ in range(flips):
        data[pick.randrange(pick.choice((200, 4000, len(data))))] = pick.randrange(256)
    traffic = 0

    def read(at: int, count: int) -> bytes:
        nonlocal traffic
        traffic += count
        assert traffic < 60 * MB
        return bytes(data[at : at + count])

    with contextlib.suppress(NotReadable):
        read_skeleton(read, len(data))


_WHOLE: bytes | None = None
