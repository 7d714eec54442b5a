"""One worker process: its socket, its log, its signals. Nothing here blocks but ``wait``."""

import collections
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from offtui.errors import ProtocolError
from offtui.protocol.codec import encode, event_reader
from offtui.protocol.events import Event, Hello
from offtui.protocol.requests import Request

WORKER_COMMAND = (sys.executable, "-P", "-m", "offtui.worker")
"""``-P``: the folder the user stands in is not searched for modules."""

LOG_TAIL = 8 * 1024
"""Bytes of the log that are read to explain a death."""

_LOG_LIMIT = 1024 * 1024
_CHUNK = 64 * 1024
"""Bytes read at once; more would be mapped anew by the allocator for every few bytes of an answer."""
_VMSTAT = Path("/proc/vmstat")


class Deadlines(msgspec.Struct, frozen=True, kw_only=True):
    """How long a worker may take, in seconds."""

    hello: float = 120.0
    """From the spawn to the handshake: the imports, from a cold disk."""
    check: float = 20.0
    """From the handshake to what a file's header says."""
    load_stall: float = 120.0
    """A load without any progress."""
    weights_stall: float = 3600.0
    """The same in the steps that read the file: mapping 100 GB from a slow disk reports nothing until it is read."""
    turn_start: float = 60.0
    """From a turn to ``TurnStarted``: template and tokenizer. Prompt eval itself has no deadline: people stop it."""
    reserve: float = 3.0
    """From the order to make memory for a KV cache ready until an answer is halted though it is not; and
    ``reserve_rate`` on top."""
    reserve_rate: float = 400e6
    """Bytes per second that are waited for then."""
    save: float = 30.0
    """From the order to halt and to hand the KV cache over to its acknowledgement; and ``carry_rate`` on top."""
    restore: float = 30.0
    """From the order to take the KV cache over to its acknowledgement; and ``carry_rate`` on top."""
    carry_rate: float = 20e6
    """Bytes per second at which a KV cache goes at least: to a device over a slow network."""
    stop: float = 60.0
    """From a stop to its acknowledgement; then the worker is killed. A step on a remote device cannot be aborted."""
    quit: float = 2.0
    """From ``Quit`` to the exit; then SIGTERM."""
    term: float = 2.0
    """From SIGTERM to the exit; then SIGKILL."""
    kill: float = 5.0
    """From SIGKILL to the exit; then the process hangs in the kernel, and is left to it."""


@dataclass(slots=True)
class _Unsent:
    frame: bytearray
    descriptor: int | None
    """Our own duplicate of one that goes with the frame's first byte."""


class Child:
    """A worker process and the parent's end of its socket. Owned by one thread."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start ``command`` with ``--fd N`` after it.

        Raises:
            OSError: the process cannot be started.
        """
        self._reader = event_reader()
        self._unsent: collections.deque[_Unsent] = collections.deque()
        self._oom_kills = _oom_kills()
        self.hello: Hello | None = None
        """The handshake, once it has come."""
        self.eof = False
        """The worker's end is closed: it is dead, or as good as dead."""
        self.garbled: ProtocolError | None = None
        """The stream from the worker stopped making sense."""
        with contextlib.ExitStack() as undo:
            ours, theirs = socket.socketpair()
            undo.callback(ours.close)
            with theirs:
                log = tempfile.TemporaryFile()  # noqa: SIM115 -- lives as long as the child
                undo.callback(log.close)
                # Appending is what lets `trim_log` cut the file under a process that writes to it.
                fcntl.fcntl(log, fcntl.F_SETFL, fcntl.fcntl(log, fcntl.F_GETFL) | os.O_APPEND)
                self._process = subprocess.Popen(
                    [*command, "--fd", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(theirs.fileno(),),
                    env={**os.environ, "GGML_NO_BACKTRACE": "1", "PYTHONUNBUFFERED": "1"},
                    start_new_session=True,
                )
            ours.setblocking(False)
            self._socket = ours
            self._log: IO[bytes] = log
            undo.pop_all()

    @property
    def pid(self) -> int:
        """Of the process; its process group has the same number."""
        return self._process.pid

    def fileno(self) -> int:
        """Of the socket, for a selector."""
        return self._socket.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether ``flush`` should be called when the socket can be written to."""
        return bool(self._unsent) and not self.eof

    def send(self, request: Request, descriptor: int | None = None) -> None:
        """Send, or keep for ``flush`` what the socket does not take now.

        Args:
            request: what to send.
            descriptor: a file descriptor that goes along; the caller's own stays the caller's.

        Raises:
            ProtocolError: the request is too long.
            UnicodeEncodeError: a text in it has lone surrogates.
            OSError: the descriptor cannot be duplicated.
        """
        frame = bytearray(encode(request))
        self._unsent.append(_Unsent(frame, None if descriptor is None else os.dup(descriptor)))
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it. A dead worker shows in ``receive``, not here."""
        try:
            while self._unsent:
                waiting = self._unsent[0]
                if waiting.descriptor is not None:
                    sent = socket.send_fds(self._socket, [waiting.frame], [waiting.descriptor])
                    os.close(waiting.descriptor)
                    waiting.descriptor = None
                else:
                    sent = self._socket.send(waiting.frame)
                del waiting.frame[:sent]
                if not waiting.frame:
                    self._unsent.popleft()
        except BlockingIOError:
            return
        except OSError:
            self._drop_unsent()

    def _drop_unsent(self) -> None:
        for waiting in self._unsent:
            if waiting.descriptor is not None:
                os.close(waiting.descriptor)
        self._unsent.clear()

    def receive(self) -> list[Event]:
        """The events that have arrived; sets ``eof`` and ``garbled``. Call it when the socket is readable."""
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.eof = True
            return []
        events: list[Event] = []
        try:
            events.extend(self._reader.feed(data))
        except ProtocolError as error:
            self.garbled = error
        return events

    def poll(self) -> int | None:
        """The exit status as ``subprocess`` gives it (``-9``: SIGKILL), reaping the process; ``None``: it lives."""
        return self._process.poll()

    def wait(self, seconds: float) -> None:
        """Reap a process that has been killed; this one method blocks, at most ``seconds``."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def terminate(self) -> None:
        """SIGTERM, to the worker alone."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL, to the worker and whatever it started."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def log_tail(self) -> str:
        """The last 8 KiB of what the worker and llama.cpp printed, uncleaned."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), LOG_TAIL, max(0, size - LOG_TAIL)).decode("utf-8", "replace")

    def trim_log(self) -> None:
        """Keep only the tail of a log that has grown long; it may lie in memory."""
        if os.fstat(self._log.fileno()).st_size > _LOG_LIMIT:
            tail = self.log_tail()
            os.ftruncate(self._log.fileno(), 0)
            os.write(self._log.fileno(), tail.encode())

    def oom_killed(self) -> bool | None:
        """Whether the kernel's OOM killer has ended some process since the start; ``None``: it does not say."""
        now = _oom_kills()
        return None if now is None or self._oom_kills is None else now > self._oom_kills

    def close(self) -> None:
        """Close socket and log. The worker dies of a closed socket, if it still lives."""
        self._drop_unsent()
        self._socket.close()
        self._log.close()


def _oom_kills() -> int | None:
    """The kernel's count of OOM kills; ``None`` where there is none (macOS, old kernels)."""
    try:
        for line in _VMSTAT.read_text("ascii").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    except (OSError, ValueError):
        return None
    return None
