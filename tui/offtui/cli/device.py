"""``offtui device``: serve this machine's GPU, or its CPU, to offtui on another machine."""

import argparse
import ipaddress
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from types import FrameType
from typing import IO, Final, NamedTuple

from offtui.cli.commands import Commands
from offtui.engine.child import WORKER_COMMAND
from offtui.errors import OfftuiError, UsageError
from offtui.text import clean_line

DEFAULT_PORT: Final = 50052
"""Of llama.cpp's own rpc-server."""
READY_SECONDS: Final = 60.0
"""A server that does not listen by then is given up; starting a GPU context can take many seconds."""
QUICK_DEATH_SECONDS: Final = 2.0
"""A server that dies sooner than this after it was started again is not started a third time."""


class _Exit(NamedTuple):
    slot: int
    code: int


def add_parser(commands: Commands) -> None:
    """Declare the command and its options."""
    parser = commands.add(
        "device",
        run,
        help="serve this machine's GPU (or CPU) to offtui on another machine, over llama.cpp's RPC",
        description="Serves this machine's devices over llama.cpp's RPC until Ctrl+C. Use them elsewhere with "
        "`offtui --rpc HOST:PORT`. The protocol has no authentication and no encryption: keep it on loopback "
        "(an SSH tunnel reaches it) or inside a network you trust.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="first port (default: %(default)s)")
    parser.add_argument(
        "--slots", type=int, default=1, help="clients at a time; each takes a port, from --port on (default: 1)"
    )
    parser.add_argument("--threads", type=int, default=None, help="threads of a served CPU (default: all but one)")


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes; the exit code.

    Raises:
        UsageError: an option is out of range, or the address cannot be listened at.
        OfftuiError: the installed llama.cpp cannot serve.
    """
    host: str = arguments.host
    if ":" in host:
        raise UsageError(
            f"--host {clean_line(host)}: llama.cpp's RPC speaks IPv4 only; give a name or such an address."
        )
    ports = _ports(arguments.port, arguments.slots)
    if arguments.threads is not None and arguments.threads < 1:
        raise UsageError(f"--threads {arguments.threads}: at least one thread is needed.")
    for port in ports:
        _check_free(host, port)
    if not _is_loopback(host):
        print(
            f"offtui: warning: {host} can be reached from other machines, and the RPC protocol has no authentication: "
            "whoever reaches the port can use this device and may crash or take over the server.",
            file=sys.stderr,
            flush=True,
        )
    signal.signal(signal.SIGTERM, _leave)
    servers = [_Server(slot, host, port, arguments.threads) for slot, port in enumerate(ports)]
    try:
        return _serve(servers)
    except KeyboardInterrupt:
        return 0
    finally:
        for server in servers:
            server.end()


def _serve(servers: "list[_Server]") -> int:
    exits: queue.SimpleQueue[_Exit] = queue.SimpleQueue()
    for server in servers:
        server.start(exits)
    for server in servers:
        server.wait_ready()
        print(f"Serving {server.devices()} at {server.endpoint}, one client at a time.", flush=True)
    print(f"Use it with: offtui --rpc {servers[0].reachable}   (Ctrl+C ends)", flush=True)
    serving = set(range(len(servers)))
    while serving:
        slot, code = exits.get()
        server = servers[slot]
        gives_up = server.age() < QUICK_DEATH_SECONDS
        what = "ended at once and is given up" if gives_up else "ended and was started again"
        line = f"offtui: the server at {server.endpoint} {what}: {server.last_words(code)}."
        print(line, file=sys.stderr, flush=True)
        if gives_up:
            serving.remove(slot)
        else:
            server.start(exits)
    raise OfftuiError("No server is left.")


class _Server:
    """One slot: a process of its own that serves the devices to one client at a time."""

    def __init__(self, slot: int, host: str, port: int, threads: int | None) -> None:
        self.endpoint = f"{host}:{port}"
        self.reachable = f"{socket.gethostname() if host == '0.0.0.0' else host}:{port}"
        """Where a client finds it."""
        self._slot = slot
        self._command = [*WORKER_COMMAND, "--serve", self.endpoint]
        if threads is not None:
            self._command += ["--threads", str(threads)]
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- lives as long as the server
        self._started = 0.0

    def start(self, exits: "queue.SimpleQueue[_Exit]") -> None:
        """Start the process, and have its end put into ``exits``."""
        self._log.seek(0)
        self._log.truncate()
        self._started = time.monotonic()
        process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, start_new_session=True
        )
        self._process = process
        threading.Thread(target=lambda: exits.put(_Exit(self._slot, process.wait())), daemon=True).start()

    def wait_ready(self) -> None:
        """Wait until the server listens. Asking its log, not its port, leaves the port to the first real client."""
        deadline = time.monotonic() + READY_SECONDS
        while b"transport" not in self._read_log():
            code = self._process.poll() if self._process else None
            if code is not None:
                raise OfftuiError(f"The device cannot be served: {self.last_words(code)}.")
            if time.monotonic() > deadline:
                raise OfftuiError(f"The server at {self.endpoint} was not ready after {READY_SECONDS:.0f} s.")
            time.sleep(0.02)

    def devices(self) -> str:
        """The devices as llama.cpp lists them: ``CUDA0: NVIDIA GeForce RTX 4060 (8188 MiB, 7900 MiB free)``."""
        lines = self._read_log().decode("utf-8", "replace").splitlines()
        start = lines.index("Devices:") + 1 if "Devices:" in lines else len(lines)
        found = [line.strip() for line in lines[start:] if line.startswith("  ") and "transport" not in line]
        return clean_line("; ".join(found)) or "a device"

    def age(self) -> float:
        """Seconds since the process was started."""
        return time.monotonic() - self._started

    def last_words(self, code: int) -> str:
        """Exit code or signal, and the last line of the log."""
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        lines = [line for line in self._read_log().decode("utf-8", "replace").splitlines() if line.strip()]
        return f"{how}: {clean_line(lines[-1], 200)}" if lines else how

    def end(self) -> None:
        """Terminate the process and reap it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read_log(self) -> bytes:
        descriptor = self._log.fileno()  # pread: the server writes at the offset that this file shares with it
        return os.pread(descriptor, 8192, max(0, os.fstat(descriptor).st_size - 8192))


def _ports(first: int, slots: int) -> range:
    if slots < 1:
        raise UsageError(f"--slots {slots}: at least one slot is needed.")
    if not 0 < first <= 65536 - slots:
        raise UsageError(f"--port {first}: ports go from 1 to 65535, and {slots} slots take as many.")
    return range(first, first + slots)


def _check_free(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = clean_line(error.strerror or str(error))
        raise UsageError(f"{clean_line(host)}:{port} cannot be listened at: {reason}.") from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
