"""Tells this user's other terminals what the session does: a thread behind a socket that only the user can open."""

import contextlib
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from offtui import __version__
from offtui.engine.state import SessionState
from offtui.errors import OfftuiError, ProtocolError
from offtui.protocol.codec import FrameReader, encode
from offtui.recorder import address
from offtui.recorder.news import VERSION, Answer, Ask, News, Refused
from offtui.recorder.tape import Tape

PERIOD = 0.25
"""Seconds between two pieces of news at least."""
MOST = 16
"""Terminals that are served at a time."""
BEHIND = 16 * 1024 * 1024
"""Bytes that one may be behind; it is left then."""
SILENT = 5.0
"""Seconds for the first word."""


class _Peer:
    """Somebody who watches."""

    def __init__(self, connection: socket.socket, now: float) -> None:
        self.connection = connection
        self.reader = FrameReader[Ask](Ask)
        self.due = now + SILENT
        self.asked: Ask | None = None
        self.version = 0
        """Of the tape, as far as it was told."""
        self.unsent = bytearray()


class Server:
    """Serves until ``close``; where it cannot, nobody can watch, and that is all."""

    def __init__(
        self,
        tape: Tape,
        state: Callable[[], tuple[SessionState, int | None]],
        place: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Not yet open.

        Args:
            tape: what is told of it.
            state: of the session now, and the worker's process number; called in the server's thread.
            place: the folder of sockets; the user's own without it.
            clock: seconds, monotonic.
        """
        self._tape = tape
        self._state = state
        self._place = place or address.folder()
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._peers: dict[int, _Peer] = {}
        self._rung = threading.Event()
        self._followed = False
        self._told = 0.0
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def start(self) -> str:
        """Begin; a sentence where that cannot be, else nothing."""
        try:
            listener = address.listen(self._place, self._pid)
        except (OfftuiError, OSError) as error:
            self._shut()
            return f"Other terminals cannot watch: {error}"
        for each in (listener, self._wake, self._woken):
            each.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, "listener")
        self._selector.register(self._woken, selectors.EVENT_READ, "woken")
        self._listener = listener
        self._thread = threading.Thread(target=self._run, name="offtui server", daemon=True)
        self._thread.start()
        return ""

    def ring(self) -> None:
        """Something is new. From any thread; returns at once, and costs nothing where nobody follows."""
        if self._followed and not self._rung.is_set():
            self._rung.set()
            self._nudge()

    def close(self) -> None:
        """End, and take the socket away. Idempotent."""
        self._closing.set()
        self._nudge()
        if self._thread is not None:
            self._thread.join(1.0)
            address.leave(self._place, self._pid)

    def _nudge(self) -> None:
        # Full: it has been woken already. Closed: it has ended.
        with contextlib.suppress(OSError):
            self._wake.send(b"\0")

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                for key, mask in self._selector.select(self._patience()):
                    self._on_ready(key.data, mask)
                self._on_time()
        finally:
            for peer in list(self._peers.values()):
                self._leave(peer)
            self._listener.close()
            self._shut()

    def _shut(self) -> None:
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _patience(self) -> float | None:
        now = self._clock()
        dues = [peer.due for peer in self._peers.values() if peer.asked is None]
        if self._rung.is_set():
            dues.append(self._told + PERIOD)
        return max(0.0, min(dues) - now) if dues else None

    def _on_ready(self, data: object, mask: int) -> None:
        if data == "listener":
            self._accept()
        elif data == "woken":
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
        elif isinstance(data, _Peer) and data.connection.fileno() in self._peers:
            if mask & selectors.EVENT_READ:
                self._hear(data)
            if mask & selectors.EVENT_WRITE and data.connection.fileno() in self._peers:
                self._send(data)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if len(self._peers) >= MOST or not address.is_of_user(connection):
            connection.close()
            return
        connection.setblocking(False)
        peer = _Peer(connection, self._clock())
        self._peers[connection.fileno()] = peer
        self._selector.register(connection, selectors.EVENT_READ, peer)

    def _hear(self, peer: _Peer) -> None:
        try:
            data = peer.connection.recv(4096)
            asked = list(peer.reader.feed(data))
        except BlockingIOError:
            return
        except (OSError, ProtocolError):
            data, asked = b"", []
        if not data:
            self._leave(peer)
        elif asked and peer.asked is None:
            self._answer(peer, asked[0])

    def _answer(self, peer: _Peer, ask: Ask) -> None:
        peer.asked = ask
        if ask.version != VERSION:
            self._put(peer, Answer(refused=Refused(__version__)))
            return
        self._followed = self._followed or ask.follow  # before looking: what happens from now on rings
        state, worker = self._state()
        backlog = self._tape.backlog() if ask.follow else None
        if backlog is not None:
            peer.version = backlog.entries.version
        self._put(peer, Answer(news=News(state=state, worker=worker, backlog=backlog)))

    def _on_time(self) -> None:
        now = self._clock()
        for peer in [peer for peer in self._peers.values() if peer.asked is None and now >= peer.due]:
            self._leave(peer)
        if self._rung.is_set() and now >= self._told + PERIOD:
            self._rung.clear()
            self._told = now
            state, worker = self._state()
            for peer in [peer for peer in self._peers.values() if peer.asked is not None and peer.asked.follow]:
                entries = self._tape.news(peer.version)
                peer.version = entries.version
                self._put(peer, Answer(news=News(state=state, worker=worker, entries=entries)))

    def _put(self, peer: _Peer, frame: msgspec.Struct) -> None:
        peer.unsent += encode(frame)
        if len(peer.unsent) > BEHIND:
            self._leave(peer)
        else:
            self._send(peer)

    def _send(self, peer: _Peer) -> None:
        try:
            while peer.unsent:
                del peer.unsent[: peer.connection.send(peer.unsent)]
        except BlockingIOError:
            self._selector.modify(peer.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, peer)
            return
        except OSError:
            self._leave(peer)
            return
        if peer.asked is not None and (not peer.asked.follow or peer.asked.version != VERSION):
            self._leave(peer)
        else:
            self._selector.modify(peer.connection, selectors.EVENT_READ, peer)

    def _leave(self, peer: _Peer) -> None:
        if self._peers.pop(peer.connection.fileno(), None) is not None:
            self._selector.unregister(peer.connection)
            peer.connection.close()
        self._followed = any(each.asked is not None and each.asked.follow for each in self._peers.values())
