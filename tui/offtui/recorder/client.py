"""Watches an offtui that runs in another terminal: its state once, or all that happens as it happens."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from offtui.engine.state import SessionState
from offtui.errors import OfftuiError, ProtocolError
from offtui.protocol.codec import FrameReader, encode
from offtui.recorder import address
from offtui.recorder.news import Answer, Ask, News

PATIENCE = 2.0
"""Seconds for the first answer; a process that is stopped gives none."""
AGAIN = 1.0
"""Seconds until an offtui is looked for again."""


class OtherVersionError(OfftuiError):
    """What runs there speaks otherwise."""


def ask_state(pid: int | None = None, place: Path | None = None) -> SessionState | None:
    """The state of the offtui that was started last, or of that process; ``None`` where none runs.

    Raises:
        OtherVersionError: one runs, but of a version that cannot be understood.
    """
    where = place or address.folder()
    for number in address.running(where) if pid is None else [pid]:
        connection = address.connect(where, number)
        if connection is None:
            continue
        with connection, contextlib.suppress(OSError):
            connection.settimeout(PATIENCE)
            connection.sendall(encode(Ask()))
            for news in _frames(connection):
                return news.state
    return None


def _frames(connection: socket.socket) -> Iterator[News]:
    """News as they come, to the end of the connection.

    Raises:
        OtherVersionError: they cannot be understood.
        OSError: the connection breaks, or is silent too long.
    """
    reader = FrameReader[Answer](Answer)
    while data := connection.recv(1 << 16):
        try:
            for answer in reader.feed(data):
                if answer.refused is not None:
                    raise OtherVersionError(f"The offtui that runs is version {answer.refused.version}: update both.")
                if answer.news is not None:
                    yield answer.news
        except ProtocolError as error:
            raise OtherVersionError("The offtui that runs is of another version: update both.") from error


class Follower:
    """Follows, in a thread, the offtui that was started last or that process; waits for one where none runs.

    ``told`` gets its news, ``None`` when it has ended; ``problem`` a sentence where it cannot be understood. Both are
    called in the follower's thread.
    """

    def __init__(
        self,
        told: Callable[[News | None], None],
        problem: Callable[[str], None],
        pid: int | None = None,
        place: Path | None = None,
    ) -> None:
        self._told = told
        self._problem = problem
        self._pid = pid
        self._place = place or address.folder()
        self._stopping = threading.Event()
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="offtui follower", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, at once."""
        self._stopping.set()
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(2.0)

    def _run(self) -> None:
        while not self._stopping.is_set():
            for number in address.running(self._place) if self._pid is None else [self._pid]:
                if self._follow(number):
                    break
            self._stopping.wait(AGAIN)

    def _follow(self, number: int) -> bool:
        """Whether that process could be followed; returns at its end."""
        connection = self._connection = address.connect(self._place, number)
        if connection is None:
            return False
        told = False
        try:
            with connection:
                connection.settimeout(PATIENCE)
                connection.sendall(encode(Ask(follow=True)))
                for news in _frames(connection):
                    connection.settimeout(None)
                    told = True
                    self._told(news)
        except OtherVersionError as error:
            self._problem(str(error))
        except OSError:
            pass
        finally:
            self._connection = None
        if told:
            self._told(None)
        return told
