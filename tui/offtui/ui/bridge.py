"""From the session's thread to the screen's: a mailbox where nothing is lost and nothing piles up.

The session's thread puts every occurrence in. Pieces of an answer are joined as they come and do not ring: the
screen fetches them 10 times a second while an answer is written. Everything else rings once, and the screen takes all
there is, in the order in which it happened, with the newest state only.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from offtui.engine.state import Occurrence, SessionState
from offtui.protocol.events import DeviceMemory, LoadProgress, Piece, PromptProgress


@dataclass(frozen=True)
class Mail:
    """What happened since the mailbox was emptied last."""

    state: SessionState
    occurrences: tuple[Occurrence, ...]
    """In order; pieces that followed one another are one."""


class Mailbox:
    """Filled on the session's thread, emptied on the screen's."""

    def __init__(self, ring: Callable[[], object]) -> None:
        """Call ``ring`` on the filling thread whenever mail is there and has not been announced yet."""
        self._ring = ring
        self._lock = threading.Lock()
        self._state: SessionState | None = None
        self._occurrences: list[Occurrence] = []
        self._texts: list[str] = []
        self._piece: Piece | None = None
        self._rung = False

    def put(self, state: SessionState, occurrence: Occurrence) -> None:
        """Take in one occurrence and the state after it. Never blocks."""
        with self._lock:
            self._state = state
            if isinstance(occurrence, Piece):
                self._join(occurrence)
                return
            if not isinstance(occurrence, LoadProgress | PromptProgress | DeviceMemory):
                self._close_piece()
                self._occurrences.append(occurrence)
            ring = not self._rung
            self._rung = True
        if ring:
            self._ring()

    def take(self) -> Mail | None:
        """Everything since the last time; ``None`` where nothing happened."""
        with self._lock:
            self._rung = False
            self._close_piece()
            state, occurrences = self._state, tuple(self._occurrences)
            self._state = None
            self._occurrences.clear()
        return None if state is None else Mail(state, occurrences)

    def _join(self, piece: Piece) -> None:
        last = self._piece
        if last is not None and (last.turn, last.channel) != (piece.turn, piece.channel):
            self._close_piece()
        self._texts.append(piece.text)
        self._piece = piece

    def _close_piece(self) -> None:
        last = self._piece
        if last is None:
            return
        self._occurrences.append(
            Piece(last.turn, last.channel, "".join(self._texts), last.tokens, last.n_past, last.time)
        )
        self._texts.clear()
        self._piece = None
