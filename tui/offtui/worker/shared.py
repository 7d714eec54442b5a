"""Memory that processes share by a file descriptor.

Copying is the least of what it costs: the system hands such memory out in pages of 4 KiB, and a page's first touch, or
its first in another mapping, takes several times as long as filling it. So a mapping is kept where it is used again,
and may be filled with pages before it is needed.
"""

import contextlib
import ctypes
import mmap
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

_POPULATE: Final = {False: 22, True: 23}
"""MADV_POPULATE_READ and MADV_POPULATE_WRITE of Linux."""
_PIECE: Final = 4 * 2**20
"""Bytes that are prepared at once: some milliseconds."""


class Shared:
    """A file in memory, or on a disk, and its mapping. Used by one thread, but for what ``prepare`` starts."""

    def __init__(self, descriptor: int) -> None:
        """Take ``descriptor`` over."""
        self.descriptor = descriptor
        self._memory: mmap.mmap | None = None
        self._ready = 0
        """Bytes from the beginning on that have room."""
        self._preparing: threading.Thread | None = None
        self._enough = threading.Event()

    def is_of(self, descriptor: int) -> bool:
        """Whether that descriptor is of the same file."""
        return os.path.sameopenfile(self.descriptor, descriptor)

    def room(self, size: int, more: int = 0) -> Any:
        """A pointer to ``size`` bytes to be written. Without room behind every page, writing would be SIGBUS.

        Args:
            size: bytes.
            more: bytes beyond them that are taken too where it has to grow.

        Raises:
            OSError: there is no room.
        """
        self._settle()
        if size > self._ready:
            self._grow(size + more)
        return self._pointer(size)

    def contents(self, size: int) -> Any:
        """A pointer to its first ``size`` bytes.

        Raises:
            OSError: it has fewer, or cannot be mapped.
        """
        self._settle()
        if os.fstat(self.descriptor).st_size < size:
            raise OSError(None, "it is not whole")
        return self._pointer(size)

    def prepare(self, size: int, told: Callable[[int], None], *, to_write: bool) -> None:
        """Begin to put pages behind the first ``size`` bytes, in another thread; what fails is tried again later.

        The file is that long already, and is not made longer: its owner cuts it to give the memory back. ``told`` hears
        how many bytes are ready, unless it was used or closed before.
        """
        if sys.platform != "linux":
            told(0)
            return
        self._preparing = threading.Thread(
            target=self._populate, args=(size, told, to_write), name="pages", daemon=True
        )
        self._preparing.start()

    def cut(self) -> None:
        """Give the memory back, whoever else has it; nobody may use it any more."""
        os.ftruncate(self.descriptor, 0)

    def close(self) -> None:
        """Forget it. May be called again."""
        self._settle()
        self._unmap()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _populate(self, size: int, told: Callable[[int], None], to_write: bool) -> None:
        libc = ctypes.CDLL(None)
        libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        ready = 0
        with contextlib.suppress(OSError):
            address = ctypes.cast(self._pointer(size), ctypes.c_void_p).value or 0
            while ready < size and not self._enough.is_set():
                length = min(_PIECE, size - ready)
                if libc.madvise(address + ready, length, _POPULATE[to_write]) != 0:
                    break
                ready += length
                if to_write:
                    self._ready = ready
        if not self._enough.is_set():
            told(ready)

    def _settle(self) -> None:
        """What is being prepared is prepared enough: from here on the mapping is this thread's."""
        if self._preparing is not None:
            self._enough.set()
            self._preparing.join()
            self._preparing = None

    def _grow(self, size: int) -> None:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self.descriptor, self._ready, size - self._ready)
        else:
            block = bytes(1024 * 1024)
            while self._ready < size:
                self._ready += os.pwrite(self.descriptor, block[: size - self._ready], self._ready)
        self._ready = size

    def _pointer(self, size: int) -> Any:
        if self._memory is None or len(self._memory) < size:
            self._unmap()
            try:
                self._memory = mmap.mmap(self.descriptor, os.fstat(self.descriptor).st_size)
            except ValueError as error:  # an empty file
                raise OSError(None, "it is not whole") from error
        # An address, not the array: the mapping can only be closed when no object refers to it.
        address = ctypes.addressof(ctypes.c_uint8.from_buffer(self._memory))
        return ctypes.cast(address, ctypes.POINTER(ctypes.c_uint8))

    def _unmap(self) -> None:
        if self._memory is not None:
            self._memory.close()
            self._memory = None


class Prepared:
    """The memory of which the parent has said that a KV cache will be handed over in it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shared: Shared | None = None

    def prepare(self, descriptor: int, size: int, told: Callable[[int], None], *, to_write: bool) -> None:
        """Prepare that file, and forget what was prepared before; ``told``: as for ``Shared.prepare``."""
        shared = Shared(descriptor)
        with self._lock:
            before, self._shared = self._shared, shared
            if before is not None:
                before.close()
            shared.prepare(size, told, to_write=to_write)

    def take(self, descriptor: int) -> Shared:
        """That file, prepared or not; ``descriptor`` is taken over, and so is the result."""
        with self._lock:
            shared, self._shared = self._shared, None
        if shared is not None and shared.is_of(descriptor):
            os.close(descriptor)
            return shared
        if shared is not None:
            shared.close()
        return Shared(descriptor)
