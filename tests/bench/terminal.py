"""offtui in a real pty with an emulated terminal: type, look, wait."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence

import pyte


class Terminal:
    """A program in a pty of a given size, and its screen."""

    def __init__(
        self,
        command: Sequence[str],
        columns: int = 120,
        rows: int = 36,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self.written = 0

    def pump(self, seconds: float) -> None:
        """Read what the program writes, for at most so long."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        if ready:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return
            self.written += len(data)
            self._stream.feed(data)

    def text(self) -> str:
        """The screen as it stands."""
        return "\n".join(self.screen.display)

    def until(self, holds: Callable[[str], bool], seconds: float = 30.0) -> float:
        """Wait until the screen satisfies ``holds``; ``time.perf_counter()`` of then."""
        deadline = time.perf_counter() + seconds
        while not holds(self.text()):
            if time.perf_counter() > deadline:
                raise TimeoutError(f"the screen never came:\n{self.text()}")
            self.pump(0.005)
        return time.perf_counter()

    def type(self, text: str) -> None:
        """Type text or keys."""
        os.write(self._master, text.encode())

    def close(self) -> None:
        """End the program and wait for it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            deadline = time.perf_counter() + 10
            while self.process.poll() is None and time.perf_counter() < deadline:
                self.pump(0.05)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)


def offtui(*options: str) -> list[str]:
    """The command of offtui in this environment."""
    return [sys.executable, "-m", "offtui", *options]
