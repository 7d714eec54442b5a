"""How fast this machine's RAM is, by copying some of it on all cores for a moment."""

import ctypes
import threading
import time
from typing import Final

import psutil

from offtui.memory import ram_available

SIZE: Final = 32 * 1024 * 1024
"""Bytes per thread: more than the caches of most processors hold."""
SECONDS: Final = 0.1
DECODING_SHARE: Final = 0.7
"""Of the bytes a copy moves per second that decoding reads per second; decoding also computes."""


def ram_bandwidth() -> float | None:
    """Bytes per second that decoding may read from RAM; ``None`` where there is too little RAM free to try."""
    n_threads = max(min((psutil.cpu_count(logical=False) or 1), 8), 1)
    if ram_available() < 8 * n_threads * SIZE:
        return None
    moved = [0] * n_threads
    spans = [0.0] * n_threads
    start_line = threading.Barrier(n_threads)

    def copy(index: int) -> None:
        # a fresh buffer is touched once before the clock starts
        source, target = ctypes.create_string_buffer(SIZE), ctypes.create_string_buffer(SIZE)
        ctypes.memset(source, 1, SIZE)
        ctypes.memset(target, 1, SIZE)
        start_line.wait()
        start = time.perf_counter()
        while (span := time.perf_counter() - start) < SECONDS:
            ctypes.memmove(target, source, SIZE)
            moved[index] += 2 * SIZE
        spans[index] = span

    threads = [threading.Thread(target=copy, args=(index,), daemon=True) for index in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(moved) / max(spans) * DECODING_SHARE
