"""How much of a file is in RAM: the page cache, asked with cachestat or mincore. Linux; elsewhere unknown."""

import contextlib
import ctypes
import errno
import mmap
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from offtui.monitor.probe import Reading

PERIOD = 3.0
"""Seconds between two looks: a large file costs some milliseconds."""
_CACHESTAT = 451
"""The number of the system call, the same on every architecture; Linux 6.5."""
_SPLIT = re.compile(r"(.*-)(\d{5})(-of-)(\d{5})(\.gguf)", re.DOTALL)


class _Range(ctypes.Structure):
    _fields_ = (("off", ctypes.c_uint64), ("len", ctypes.c_uint64))


class _Counts(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("cache", "dirty", "writeback", "evicted", "recent"))


class PageCache:
    """Reads, for a probe, how much of a model's files is in RAM; a file system that hangs holds up only that probe."""

    def __init__(self, model: Callable[[], str | None], clock: Callable[[], float] = time.monotonic) -> None:
        """Of whatever file ``model`` says at the time; ``None``: of none."""
        self._model = model
        self._clock = clock
        self._read_at = float("-inf")
        self._path: str | None = None
        self._cached: int | None = None

    def is_due(self) -> bool:
        """Whether it is another file, or the newest figure is old. From any thread."""
        return self._model() != self._path or (self._path is not None and self._clock() - self._read_at >= PERIOD)

    def read(self) -> Reading:
        """The newest figure, at most ``PERIOD`` old."""
        path, now = self._model(), self._clock()
        if path != self._path or now - self._read_at >= PERIOD:
            self._path, self._read_at = path, now
            self._cached = None if path is None else resident_bytes(parts_of(path))
        return Reading(cached=self._cached)


def parts_of(path: str) -> list[Path]:
    """The files of a model that may be split, by the name of its first part."""
    match = _SPLIT.fullmatch(path)
    if match is None:
        return [Path(path)]
    stem, _, middle, count, suffix = match.groups()
    return [Path(f"{stem}{number:05d}{middle}{count}{suffix}") for number in range(1, int(count) + 1)]


def resident_bytes(files: Sequence[Path]) -> int | None:
    """Bytes of all files together that are in RAM; ``None`` where the system does not tell of one of them."""
    total = 0
    for file in files:
        found = _resident(file) if sys.platform == "linux" else None
        if found is None:
            return None
        total += found
    return total


def _resident(file: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            size = os.fstat(descriptor).st_size
            counted = _cachestat(descriptor)
            if counted is None:
                counted = _mincore(descriptor, size)
            return None if counted is None else min(counted, size)
        finally:
            os.close(descriptor)
    return None


def _cachestat(descriptor: int) -> int | None:
    """Of the whole file; ``None`` where the kernel is too old or does not let this user ask."""
    counts = _Counts()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_CACHESTAT, descriptor, ctypes.byref(_Range(0, 0)), ctypes.byref(counts), 0) != 0:
        return None
    return counts.cache * mmap.PAGESIZE


def _mincore(descriptor: int, size: int) -> int | None:
    """Page by page; ``None`` where the kernel would call all pages resident, as it does of files of others."""
    facts = os.fstat(descriptor)
    if not size or (facts.st_uid != os.geteuid() and not os.access(f"/proc/self/fd/{descriptor}", os.W_OK)):
        return 0 if not size else None
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
    libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    libc.mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
    address = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
    if address in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno() or errno.ENOMEM, "mmap")
    try:
        vector = ctypes.create_string_buffer(-(-size // mmap.PAGESIZE))
        if libc.mincore(address, size, vector) != 0:
            return None
        raw = vector.raw
        # the lowest bit says it, the others are undefined
        return sum(raw.count(byte) for byte in range(1, 256, 2)) * mmap.PAGESIZE
    finally:
        libc.munmap(address, size)
