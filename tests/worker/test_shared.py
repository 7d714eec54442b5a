"""Memory by a descriptor: room that grows and stays mapped, pages made ready, and memory that is given back."""

import ctypes
import mmap
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from offtui.worker.shared import Prepared, Shared

MIB = 2**20

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="anonymous files in memory are Linux's")


@pytest.fixture
def file() -> Iterator[int]:
    descriptor = os.memfd_create("test")
    yield descriptor
    os.close(descriptor)


def bytes_of(file: int) -> int:
    """Of memory behind it."""
    return os.fstat(file).st_blocks * 512


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def write(memory: Shared, text: bytes, more: int = 0) -> None:
    ctypes.memmove(memory.room(len(text), more), text, len(text))


def test_what_one_writes_another_reads(file: int) -> None:
    with closing(Shared(os.dup(file))) as memory, closing(Shared(os.dup(file))) as other:
        for text in (b"a" * 5000, b"b" * 100, b"c" * 3 * MIB):
            write(memory, text)
            assert ctypes.string_at(other.contents(len(text)), len(text)) == text
        assert os.fstat(file).st_size == 3 * MIB


def test_it_takes_more_so_that_it_need_not_grow_again_soon(file: int) -> None:
    with closing(Shared(os.dup(file))) as memory:
        write(memory, b"a" * MIB, MIB)
        assert bytes_of(file) == 2 * MIB
        where = ctypes.addressof(memory.room(MIB).contents)
        write(memory, b"b" * 2 * MIB, MIB)
        assert bytes_of(file) == 2 * MIB
        assert ctypes.addressof(memory.room(MIB).contents) == where


def test_what_is_not_there_is_not_read(file: int) -> None:
    with closing(Shared(os.dup(file))) as memory:
        with pytest.raises(OSError, match="not whole"):
            memory.contents(1)
        os.ftruncate(file, 4096)
        with pytest.raises(OSError, match="not whole"):
            memory.contents(4097)


def test_pages_are_made_ready_and_used(file: int) -> None:
    os.ftruncate(file, 20 * MIB)
    prepared, reader = Prepared(), Prepared()
    ready: list[int] = []
    prepared.prepare(os.dup(file), 20 * MIB, ready.append, to_write=True)
    until(lambda: ready)
    assert bytes_of(file) == 20 * MIB
    reader.prepare(os.dup(file), 20 * MIB, ready.append, to_write=False)
    until(lambda: len(ready) == 2)
    assert ready == [20 * MIB] * 2
    with closing(prepared.take(os.dup(file))) as memory, closing(reader.take(os.dup(file))) as other:
        write(memory, b"x" * 20 * MIB)
        assert ctypes.string_at(other.contents(20 * MIB), 20 * MIB) == b"x" * 20 * MIB
        write(memory, b"y" * 21 * MIB)  # more than was thought
        assert ctypes.string_at(other.contents(21 * MIB), 21 * MIB) == b"y" * 21 * MIB


def test_memory_that_is_cut_is_given_back_though_it_is_mapped(file: int) -> None:
    prepared, ready = Prepared(), list[int]()
    for _ in range(20):  # at any moment
        os.ftruncate(file, 64 * MIB)
        prepared.prepare(os.dup(file), 64 * MIB, ready.append, to_write=True)
        os.ftruncate(file, 0)
    with closing(prepared.take(os.dup(file))):
        pass
    assert os.fstat(file).st_size == 0
    assert bytes_of(file) == 0


def test_another_file_is_not_taken_for_the_one_prepared(file: int) -> None:
    os.ftruncate(file, MIB)
    prepared, ready = Prepared(), list[int]()
    prepared.prepare(os.dup(file), MIB, ready.append, to_write=True)
    other = os.memfd_create("other")
    with closing(prepared.take(other)) as memory:
        write(memory, b"other")
    with mmap.mmap(file, 5) as view:
        assert view[:] == bytes(5)


def test_descriptors_are_closed(file: int) -> None:
    before = os.listdir("/proc/self/fd")
    prepared, ready = Prepared(), list[int]()
    for _ in range(3):
        os.ftruncate(file, MIB)
        prepared.prepare(os.dup(file), MIB, ready.append, to_write=True)
        prepared.take(os.dup(file)).close()
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_what_cannot_be_made_ready_is_told_too(file: int) -> None:
    """The file is shorter than it was said to be, or empty."""
    prepared, ready = Prepared(), list[int]()
    for size in (8 * MIB, 0):
        os.ftruncate(file, size)
        prepared.prepare(os.dup(file), 64 * MIB, ready.append, to_write=True)
        until(lambda: len(ready) == 1)
        assert ready.pop() == size
    prepared.take(os.dup(file)).close()
