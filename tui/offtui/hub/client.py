"""The parent's side of the hub's process: starts it when it is needed, hands answers to whoever asked, ends it."""

import contextlib
import itertools
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

import msgspec

from offtui.hub.wire import Answer, Failed, HubFailure, Looking, OnTheWay, Progress, Request, Stop

HUB_COMMAND = (sys.executable, "-P", "-m", "offtui.hub")
LEAVE = 2.0
"""Seconds from closing its stdin to SIGKILL."""

Listener = Callable[[Answer], None]
"""Called on the client's thread for every answer; those that are ``OnTheWay`` are not the last."""

_DIED = HubFailure("died", "The process that talks to the hub has ended.", "Try again.")
_STOPPED = HubFailure("stopped", "It was stopped.")


class HubClient:
    """One process of the hub; safe from any thread. A process that dies is started anew by the next request."""

    def __init__(self, command: Sequence[str] = HUB_COMMAND) -> None:
        self._command = tuple(command)
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._waiting: dict[int, tuple[Listener, subprocess.Popen[bytes]]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def next_id(self) -> int:
        """For a request."""
        return next(self._ids)

    def ask(self, request: Request, listener: Listener) -> None:
        """Send it; the listener hears every answer, the last of them ``Failed`` at the latest when the process dies."""
        with self._lock:
            is_closed = self._closed
            try:
                if is_closed:
                    raise BrokenPipeError
                process = self._running()
                self._waiting[request.id] = (listener, process)
                assert process.stdin is not None
                process.stdin.write(msgspec.json.encode(request) + b"\n")
                process.stdin.flush()
                return
            except OSError:
                self._waiting.pop(request.id, None)
        listener(Failed(id=request.id, failure=_STOPPED if is_closed else _DIED))

    def stop(self, id: int, *, keep: bool = True) -> None:
        """Stop a request, if it still runs."""
        with self._lock:
            waiting = self._waiting.get(id)
            if waiting is None:
                return
            stdin = waiting[1].stdin
            assert stdin is not None
            with contextlib.suppress(OSError):
                stdin.write(msgspec.json.encode(Stop(id=id, keep=keep)) + b"\n")
                stdin.flush()

    def give_up(self, id: int) -> None:
        """Stop a request without waiting for it: its listener hears the end at once."""
        self.stop(id)
        with self._lock:
            waiting = self._waiting.pop(id, None)
        if waiting is not None:
            waiting[0](Failed(id=id, failure=_STOPPED))

    def give_up_all(self) -> None:
        """Whoever waits for an answer hears at once that there is none."""
        with self._lock:
            ids = list(self._waiting)
        for id in ids:
            self.give_up(id)

    def call(
        self,
        request: Request,
        progress: Callable[[Progress], None] | None = None,
        seconds: float = 120,
        *,
        looking: Callable[[Looking], None] | None = None,
    ) -> Answer:
        """Send it and wait for the last answer; a request that takes longer without a sign gets a failure."""
        answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self.ask(request, answers.put)
        while True:
            try:
                answer = answers.get(timeout=seconds)
            except queue.Empty:
                self.stop(request.id)
                failure = HubFailure("no_network", "The hub does not answer.", "Check the network and HF_ENDPOINT.")
                return Failed(id=request.id, failure=failure)
            if isinstance(answer, Progress):
                if progress is not None:
                    progress(answer)
            elif isinstance(answer, Looking):
                if looking is not None:
                    looking(answer)
            else:
                return answer

    def close(self) -> None:
        """End the process; whoever waits for an answer hears at once that there is none. May be called again."""
        with self._lock:
            self._closed = True
            process, self._process = self._process, None
            waiting = dict(self._waiting)
            self._waiting.clear()
        for id, (listener, _) in waiting.items():
            listener(Failed(id=id, failure=_STOPPED))
        if process is None:
            return
        with contextlib.suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()
        try:
            process.wait(LEAVE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _running(self) -> subprocess.Popen[bytes]:
        process = self._process
        if process is not None and process.poll() is None:
            return process
        quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        environ = {**os.environ, **quiet}
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environ,
            start_new_session=True,
        )
        self._process = process
        threading.Thread(target=self._listen, args=(process,), name="offtui-hub", daemon=True).start()
        return process

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        decode = msgspec.json.Decoder(Answer).decode
        assert process.stdout is not None
        for line in process.stdout:
            try:
                answer = decode(line)
            except msgspec.MsgspecError:
                continue
            with self._lock:
                waiting = self._waiting.get(answer.id)
                if not isinstance(answer, OnTheWay):
                    self._waiting.pop(answer.id, None)
            if waiting is not None:
                waiting[0](answer)
        process.wait()
        process.stdout.close()
        with self._lock:
            with contextlib.suppress(OSError):
                assert process.stdin is not None
                process.stdin.close()
            lost = [(id, waiting[0]) for id, waiting in self._waiting.items() if waiting[1] is process]
            for id, _ in lost:
                del self._waiting[id]
        for id, listener in lost:
            listener(Failed(id=id, failure=_DIED))
