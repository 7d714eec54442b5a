"""A prober that stalls can be ended from another thread, and leaves no process."""

import os
import threading
import time
from pathlib import Path

import psutil

from offtui.engine.prober import Leash, read_headers


def probers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "offtui.worker.header" in child.cmdline()]


def test_cutting_ends_a_reader_that_waits_for_ever(tmp_path: Path) -> None:
    pipe = tmp_path / "m.gguf"
    os.mkfifo(pipe)
    leash = Leash()
    replies: list[str] = []

    def read() -> None:
        replies.extend(reply.failure.kind for reply in read_headers([str(pipe)], leash=leash) if reply.failure)

    thread = threading.Thread(target=read)
    thread.start()
    deadline = time.monotonic() + 10
    while not probers() and thread.is_alive():
        assert time.monotonic() < deadline
        os.sched_yield()
    leash.cut()
    thread.join(5)
    assert not thread.is_alive()
    assert len(replies) == 1
    assert probers() == []


def test_nothing_runs_on_a_leash_that_is_cut(tmp_path: Path) -> None:
    leash = Leash()
    leash.cut()
    started = time.monotonic()
    (reply,) = read_headers([str(tmp_path / "m.gguf")], leash=leash)
    assert reply.failure is not None
    assert time.monotonic() - started < 5
