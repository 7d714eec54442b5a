"""The text of an answer: from the bytes of tokens to pieces for the screen."""

from collections.abc import Callable
from typing import Final

import msgspec

from offtui.protocol.carry import pack_tokens
from offtui.protocol.events import Channel, Event, Piece
from offtui.text import clean
from offtui.worker.reasoning import ReasoningSplitter, SplitterState
from offtui.worker.stops import StopMatcher
from offtui.worker.vocab import Utf8Stream

FLUSH_SECONDS: Final = 0.04
"""Pieces go out at most every 40 ms: screens show them ten times a second, and each frame wakes two processes."""


class AnswerState(msgspec.Struct, frozen=True):
    """What an answer is made of between two tokens, all its text having been sent."""

    utf8: bytes
    splitter: SplitterState
    stops: str
    text: str
    reasoned: bool


class Answer:
    """The text of an answer while it is made: characters, channels and stop strings, sent in pieces."""

    def __init__(self, turn: int, prompt: str, stops: tuple[str, ...], send: Callable[[Event], None]) -> None:
        self._turn = turn
        self._send = send
        self._utf8 = Utf8Stream()
        self._splitter = ReasoningSplitter(prompt)
        self._stops = StopMatcher(stops)
        self._pending: list[tuple[Channel, str]] = []
        self._sent = float("-inf")
        self._ids: list[int] = []
        """Tokens that were not told of yet."""
        self.text = ""
        """The answer so far, as the parent gets it; reasoning apart."""
        self.reasoned = False

    @property
    def stopped(self) -> bool:
        """Whether a stop string is complete."""
        return self._stops.stopped

    @property
    def state(self) -> AnswerState:
        """For ``restore``, once everything is flushed."""
        return AnswerState(self._utf8.held, self._splitter.state, self._stops.held, self.text, self.reasoned)

    def restore(self, state: AnswerState) -> None:
        """Go on where another one stood."""
        self._utf8.feed(state.utf8)
        self._splitter.restore(state.splitter)
        self._stops.restore(state.stops)
        self.text, self.reasoned = state.text, state.reasoned

    def skip(self, text: str) -> None:
        """Take text that stands already on the screen: an answer's beginning that is not to be sent again."""
        self._splitter.feed(text)
        self._splitter.restore(msgspec.structs.replace(self._splitter.state, held=""))

    def add(self, piece: bytes, token: int | None = None) -> None:
        """Take the bytes of one token; ``token`` is told of with the next piece."""
        if token is not None:
            self._ids.append(token)
        self._take(self._splitter.feed(clean(self._utf8.feed(piece))))

    def flush(self, tokens: int, n_past: int, now: float, *, force: bool = False) -> None:
        """Send what is pending, if there is something and the last piece is old enough."""
        if not self._pending or (now - self._sent < FLUSH_SECONDS and not force):
            return
        self._sent = now
        ids = pack_tokens(self._ids)
        for channel, text in self._pending[:-1]:
            self._send(Piece(self._turn, channel, text, tokens, n_past, now))
        channel, text = self._pending[-1]
        self._send(Piece(self._turn, channel, text, tokens, n_past, now, ids))
        self.forget()

    def forget(self) -> None:
        """What is pending stands on the screen already, or was just sent."""
        self._pending.clear()
        self._ids.clear()

    def finish(self) -> None:
        """Take what was held back: half a character, the beginning of a mark or of a stop string."""
        self._take(self._splitter.feed(clean(self._utf8.finish())))
        self._take(self._splitter.finish())
        if not self.stopped:
            self._append("answer", self._stops.finish())

    def _take(self, runs: list[tuple[Channel, str]]) -> None:
        for channel, text in runs:
            if channel == "reasoning":
                self.reasoned = True
                self._append(channel, text)
            elif not self.stopped:
                self._append(channel, self._stops.feed(text))

    def _append(self, channel: Channel, text: str) -> None:
        if not text:
            return
        if channel == "answer":
            self.text += text
        if self._pending and self._pending[-1][0] == channel:
            text = self._pending.pop()[1] + text
        self._pending.append((channel, text))
