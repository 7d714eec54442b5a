"""A real device to offload to: ``offtui device`` as a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from types import TracebackType


def free_ports(count: int) -> int:
    """The first of ``count`` consecutive ports that nobody listens at."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first: int = probe.getsockname()[1]
        taken = False
        for port in range(first, first + count):
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    taken = True
        if not taken and first + count < 65536:
            return first
    raise RuntimeError("no free ports")


class RunningDevice:
    """``offtui device --slots N`` at a free port; use it in a ``with`` block."""

    def __init__(self, slots: int = 1, *options: str) -> None:
        self.port = free_ports(slots)
        self.endpoint = f"127.0.0.1:{self.port}"
        self.second_endpoint = f"127.0.0.1:{self.port + 1}"
        command = [sys.executable, "-m", "offtui", "device", "--port", str(self.port), "--slots", str(slots)]
        self.process = subprocess.Popen(
            [*command, "--threads", "1", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            text=True,
        )
        self.lines: list[str] = []
        assert self.process.stdout is not None
        while not any("Ctrl+C" in line for line in self.lines):
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError("offtui device ended: " + "".join(self.lines))
            self.lines.append(line)

    def server_pids(self) -> list[int]:
        """The processes that serve, one per slot."""
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]

    def kill(self) -> None:
        """End it as a crash would: every server process at once, nothing said to the clients."""
        servers = self.server_pids()
        self.process.kill()
        for pid in servers:
            os.kill(pid, signal.SIGKILL)
        self._close()

    def __enter__(self) -> "RunningDevice":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self._close()

    def _close(self) -> None:
        self.process.wait(timeout=10)
        if self.process.stdout is not None:
            self.process.stdout.close()


def wait_until_gone(pid: int, seconds: float = 5.0) -> bool:
    """Whether the process ended within the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False
