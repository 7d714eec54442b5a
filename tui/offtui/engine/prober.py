"""Runs probers: processes that read headers and dry-load models, with a deadline, and may die of what they read."""

import contextlib
import itertools
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import IO

import msgspec

from offtui.plan.probe import DevicesReply, DryRequest, DryResult, ElementsReply, HeaderReply
from offtui.protocol.facts import Failure
from offtui.text import clean_line

HEADER_SECONDS = 20.0
"""For each path of a call; a header takes milliseconds, the imports under a second."""
DRY_LOAD_SECONDS = 20.0
"""For all points of one call; a point takes a tenth of a second."""

DEVICES_SECONDS = 20.0
"""Starting the drivers of a GPU may take several."""

_PYTHON = (sys.executable, "-P", "-m")


class Leash:
    """Ends, from another thread, the prober that runs on it, and every later one at its start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_cut = False

    @property
    def is_cut(self) -> bool:
        """Whether nothing may run on it any more."""
        return self._is_cut

    def cut(self) -> None:
        """End what runs on it now and let nothing run on it any more."""
        with self._lock:
            self._is_cut = True
            if self._process is not None:
                self._process.kill()

    def hold(self, process: "subprocess.Popen[bytes] | None") -> None:
        """The process that runs on it now."""
        with self._lock:
            self._process = process
            if self._is_cut and process is not None:
                process.kill()


def read_headers(
    paths: Sequence[str], seconds: float = HEADER_SECONDS, leash: Leash | None = None
) -> list[HeaderReply]:
    """The header of each path; a path that kills or stalls the process gets a failure, and the others are read."""
    replies: list[HeaderReply] = []
    left = list(paths)
    while left:
        if not _is_text(left[0]):
            message = f"{clean_line(left[0], 300)} has a name that is not UTF-8."
            failure = Failure("unsupported", message, advice="Rename the file, or the folder that is called so.")
            replies.append(HeaderReply(path=left.pop(0), header=None, failure=failure))
            continue
        some = list(itertools.takewhile(_is_text, left))
        lines, end = _run(["offtui.worker.header", "--", *some], b"", seconds, leash, each=True)
        for line in lines[: len(some)]:
            reply = msgspec.json.decode(line, type=HeaderReply)
            replies.append(HeaderReply(path=left.pop(0), header=reply.header, failure=reply.failure))
        if len(lines) < len(some):
            failure = _failure(end, f"Reading {clean_line(left[0], 300)}", "The file may be broken on purpose.")
            replies.append(HeaderReply(path=left.pop(0), header=None, failure=failure))
    return replies


def read_elements(path: str, key: str, seconds: float = HEADER_SECONDS, leash: Leash | None = None) -> ElementsReply:
    """One array of a file's metadata, whole."""
    given = key.encode("utf-8", "replace")
    lines, end = _run(["offtui.worker.header", "--elements", path], given, seconds, leash)
    if lines:
        return msgspec.json.decode(lines[0], type=ElementsReply)
    what = f"Reading {clean_line(key, 100)} of {clean_line(path, 300)}"
    return ElementsReply(elements=None, failure=_failure(end, what, "The file may be broken on purpose."))


def _is_text(path: str) -> bool:
    """Whether the name's bytes are UTF-8; those that are not arrive as surrogates, which no message can carry."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def devices(rpc: Sequence[str] = (), seconds: float = DEVICES_SECONDS, leash: Leash | None = None) -> DevicesReply:
    """What llama.cpp has here, and at these RPC endpoints."""
    lines, end = _run(["offtui.worker.dryload", "--devices", *rpc], b"", seconds, leash)
    if lines:
        return msgspec.json.decode(lines[0], type=DevicesReply)
    return DevicesReply(devices=(), failure=_failure(end, "Asking llama.cpp for its devices", ""))


def dry_load(request: DryRequest, seconds: float = DRY_LOAD_SECONDS, leash: Leash | None = None) -> list[DryResult]:
    """What each placement would need; points that were not reached in time carry a failure."""
    lines, end = _run(["offtui.worker.dryload"], msgspec.json.encode(request), seconds, leash)
    results = [msgspec.json.decode(line, type=DryResult) for line in lines[: len(request.points)]]
    failure = _failure(end, "The dry load", "The arithmetic still holds.")
    return results + [DryResult(point, failure=failure) for point in request.points[len(results) :]]


def _run(
    command: list[str], stdin: bytes, seconds: float, leash: Leash | None = None, *, each: bool = False
) -> tuple[list[bytes], int | None]:
    """The lines a prober printed until its end or the deadline, and its exit status; ``None``: it was stopped.

    Args:
        command: the module and its arguments.
        stdin: what it is given.
        seconds: until the deadline.
        leash: that it runs on.
        each: the deadline is for each line anew.
    """
    end: int | None = None
    out = b""
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        with subprocess.Popen(
            [*_PYTHON, *command],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "GGML_NO_BACKTRACE": "1"},
            start_new_session=True,
        ) as process:
            if leash is not None:
                leash.hold(process)
            try:
                assert process.stdout is not None
                out, ended = _read(process.stdout, seconds, each)
                if not ended:
                    _kill(process.pid)
                status = process.wait(seconds)
                end = status if ended else None
            except subprocess.TimeoutExpired:  # it closed its output and went on
                _kill(process.pid)
            except BaseException:  # Ctrl+C while waiting: leave no process behind
                _kill(process.pid)
                raise
            finally:
                if leash is not None:
                    leash.hold(None)
    whole = out[: out.rfind(b"\n") + 1]  # a process that was killed may have cut its last line
    return whole.splitlines(), end


def _read(stream: IO[bytes], seconds: float, each: bool) -> tuple[bytes, bool]:
    """What came until the end or the deadline, and whether it was the end."""
    out = bytearray()
    due = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while selector.select(max(0.0, due - time.monotonic())):
            chunk = os.read(stream.fileno(), 65536)
            if not chunk:
                return bytes(out), True
            out += chunk
            if each and b"\n" in chunk:
                due = time.monotonic() + seconds
    return bytes(out), False


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _failure(end: int | None, what: str, advice: str) -> Failure:
    if end is None:
        return Failure("timeout", f"{what} took too long and was stopped.", advice=advice)
    evidence = f"signal {-end}" if end < 0 else f"exit code {end}"
    return Failure("crashed", f"{what} ended llama.cpp's process.", evidence=evidence, advice=advice)
