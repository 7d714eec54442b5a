"""A program in a real pty, with a screen that follows what it writes."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pyte

ROOT = Path(__file__).parents[2]


class Terminal:
    """Started with a command; read, type, resize, and wait for what should be seen."""

    def __init__(
        self, command: list[str], columns: int = 120, rows: int = 36, env: dict[str, str] | None = None
    ) -> None:
        self.columns, self.rows = columns, rows
        self.emulator = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.emulator)
        self.raw = bytearray()
        self.started = time.monotonic()
        self.master, self.slave = pty.openpty()
        self.modes = termios.tcgetattr(self.slave)
        self._size(columns, rows)
        self.pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-c", _SESSION, *command],
            {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": f"{ROOT / 'tui'}{os.pathsep}{ROOT}", **(env or {})},
            file_actions=[(os.POSIX_SPAWN_DUP2, self.slave, fd) for fd in (0, 1, 2)],
            setsid=True,
        )
        self.status: int | None = None
        os.set_blocking(self.master, False)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            _, self.status = os.waitpid(self.pid, 0)
        for fd in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(fd)

    def read(self, seconds: float = 0.05) -> int:
        """Take in what was written; bytes."""
        taken = 0
        if select.select([self.master], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError, OSError):
                data = os.read(self.master, 1 << 16)
                taken = len(data)
                self.raw += data
                self._stream.feed(data)
        return taken

    def type(self, text: str) -> None:
        """As from the keyboard, a key at a time."""
        for character in text:
            os.write(self.master, character.encode())
            self.read(0.02)

    def key(self, sequence: str) -> None:
        """One key by what a terminal sends for it."""
        os.write(self.master, sequence.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Another size, and the signal that says so."""
        self.columns, self.rows = columns, rows
        self.emulator.resize(rows, columns)
        self._size(columns, rows)
        os.kill(self.pid, signal.SIGWINCH)

    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(self.emulator.display)

    def until(self, predicate: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        """Read until it holds."""
        deadline = time.monotonic() + seconds
        while not predicate():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s: {what}\n{self.text()}")
            self.read()

    def shows(self, text: str, seconds: float = 30.0) -> None:
        """Read until the text is on the screen."""
        self.until(lambda: text in self.text(), repr(text), seconds)

    def ended(self, seconds: float = 15.0) -> int:
        """Read until the program has ended; its exit status, negative for a signal."""
        deadline = time.monotonic() + seconds
        while self.status is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"still running after {seconds} s\n{self.text()}")
            self.read(0.02)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
        while self.read(0.05):
            pass
        return os.waitstatus_to_exitcode(self.status)

    def children(self) -> set[int]:
        """Processes the program has started and that live."""
        listing = (ROOT / "/proc").glob("[0-9]*/stat")
        found: set[int] = set()
        for file in listing:
            with contextlib.suppress(OSError, ValueError):
                head, _, tail = file.read_text().rpartition(")")
                if int(tail.split()[1]) == self.pid:
                    found.add(int(head.split()[0]))
        return found

    def _size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


_SESSION = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def alive(pid: int) -> bool:
    """Whether a process of that number runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
