"""The smallest parent a worker can have: for tests that speak the protocol with it directly."""

import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, TypeVar

from offtui.protocol.codec import encode, event_reader
from offtui.protocol.events import Event, Piece, TurnEnded, TurnFailed
from offtui.protocol.requests import Generate, Request
from offtui.protocol.spec import Message, Sampling

E = TypeVar("E")

GREEDY = Sampling(temperature=0.0, max_tokens=24)


class WorkerClient:
    """A running worker and the socket to it."""

    def __init__(self) -> None:
        self.socket, child = socket.socketpair()
        self.socket.settimeout(60)
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the client
        self.process = subprocess.Popen(
            [sys.executable, "-m", "offtui.worker", "--fd", str(child.fileno())],
            pass_fds=[child.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )
        child.close()
        self.events = self._read()

    def _read(self) -> Iterator[Event]:
        reader = event_reader()
        while data := self.socket.recv(65536):
            yield from reader.feed(data)

    def send(self, request: Request) -> None:
        self.socket.sendall(encode(request))

    def wait_for(self, *kinds: type[E]) -> E:
        """The next event of these kinds; others before it are passed over."""
        for event in self.events:
            if isinstance(event, kinds):
                return event
        raise AssertionError(f"the worker hung up before {kinds}: {self.log_text()[-2000:]}")

    def turn(
        self, number: int, messages: Sequence[Message], sampling: Sampling = GREEDY
    ) -> tuple[str, str, TurnEnded | TurnFailed, list[Any]]:
        """Answer and reasoning text, the last event, and all events of one turn."""
        self.send(Generate(number, tuple(messages), sampling))
        return self.finish_turn()

    def finish_turn(self) -> tuple[str, str, TurnEnded | TurnFailed, list[Any]]:
        text = {"answer": "", "reasoning": ""}
        seen: list[Any] = []
        for event in self.events:
            seen.append(event)
            if isinstance(event, Piece):
                text[event.channel] += event.text
            if isinstance(event, TurnEnded | TurnFailed):
                return text["answer"], text["reasoning"], event, seen
        raise AssertionError(f"the worker hung up in a turn: {self.log_text()[-2000:]}")

    def log_text(self) -> str:
        self.log.seek(0)
        return self.log.read().decode("utf-8", "replace")

    def __enter__(self) -> "WorkerClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=10)
        self.log.close()
