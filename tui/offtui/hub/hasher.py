"""The hash by which the hub names a file, taken while the file comes."""

import hashlib
import queue
import threading
from collections.abc import Iterator
from typing import Any, Final

from offtui.units import MIB

PIECE: Final = 4 * MIB
"""Bytes read at once of what is here already."""


class Hasher:
    """Hashes on a thread of its own, so that the network does not wait for it."""

    def __init__(self, size: int, *, sha256: bool) -> None:
        self._size, self._sha256 = size, sha256
        self._pieces: queue.Queue[bytes | None] = queue.Queue(16)
        self._state = self._fresh()
        self._thread = threading.Thread(target=self._run, name="offtui-hash", daemon=True)
        self._thread.start()

    def put(self, piece: bytes) -> None:
        """The next bytes."""
        self._pieces.put(piece)

    def restart(self) -> None:
        """Forget all that came."""
        self.close()
        self._state = self._fresh()
        self._thread = threading.Thread(target=self._run, name="offtui-hash", daemon=True)
        self._thread.start()

    def result(self) -> str:
        """Of all bytes; the last call but ``close``."""
        self.close()
        return self._state.hexdigest()

    def close(self) -> None:
        """End the thread."""
        if self._thread.is_alive():
            self._pieces.put(None)
            self._thread.join()

    def _fresh(self) -> Any:
        if self._sha256:
            return hashlib.sha256()
        # git hashes a file with its length before it
        return hashlib.sha1(b"blob %d\0" % self._size, usedforsecurity=False)

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._state.update(piece)


def pieces(file: Any) -> Iterator[bytes]:
    """Of a file from its beginning."""
    file.seek(0)
    while piece := file.read(PIECE):
        yield piece
