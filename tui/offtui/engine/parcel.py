"""The memory in which a KV cache goes from one worker to the next.

It has no name anywhere, so that nothing is left behind however the processes end: the system frees it with the last
descriptor. On Linux it is anonymous memory (memfd); elsewhere, or where the cache is too large for what is free, a
temporary file that is unlinked at once.
"""

import os
import shutil
import tempfile
from pathlib import Path

from offtui.memory import ram_available
from offtui.protocol.carry import Manifest
from offtui.units import MIB, size_text

_RESERVE = 256 * MIB
"""Bytes of RAM, or of the disk, that stay free."""


class Parcel:
    """One descriptor, owned by one thread, and what it holds once it has been filled."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.manifest: Manifest | None = None

    def cut(self) -> None:
        """Give the memory back though workers have it mapped, none of which may be using it."""
        os.ftruncate(self.descriptor, 0)

    def close(self) -> None:
        """Give the memory back, when the workers have closed theirs too. May be called again."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def parcel(size: int, folder: Path) -> Parcel:
    """Room for ``size`` bytes in RAM, or else in ``folder``.

    Raises:
        OSError: there is no such room; the text says so.
    """
    if hasattr(os, "memfd_create") and ram_available() >= size + _RESERVE:
        return Parcel(os.memfd_create("offtui-kv"))
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size + _RESERVE:
        raise OSError(f"neither RAM nor the disk has room for {size_text(size)}")
    with tempfile.TemporaryFile(dir=folder) as file:
        return Parcel(os.dup(file.fileno()))
