"""One turn: the prompt into the KV cache, then token by token until something ends the answer."""

import time
from collections.abc import Callable
from typing import Final

from offtui.protocol.events import Channel, Event, Piece, PromptProgress, Stop, TurnEnded, TurnStarted
from offtui.protocol.facts import Timings
from offtui.protocol.requests import Generate
from offtui.text import clean
from offtui.worker.failures import fail
from offtui.worker.llama import api
from offtui.worker.reasoning import ReasoningSplitter
from offtui.worker.sampling import SamplerChain, resolve
from offtui.worker.sequence import ABORTED, DECODED, Sequence
from offtui.worker.stops import StopMatcher
from offtui.worker.vocab import Utf8Stream

FLUSH_SECONDS: Final = 0.02
"""Pieces go out at most every 20 ms: a screen cannot show more, and each frame wakes two processes."""


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
        self.text = ""
        """The answer so far, as the parent gets it; reasoning apart."""
        self.reasoned = False

    @property
    def stopped(self) -> bool:
        """Whether a stop string is complete."""
        return self._stops.stopped

    def add(self, piece: bytes) -> None:
        """Take the bytes of one token."""
        self._take(self._splitter.feed(clean(self._utf8.feed(piece))))

    def flush(self, tokens: int, n_past: int, now: float, *, force: bool = False) -> None:
        """Send what is pending, if there is something and the last piece is old enough."""
        if not self._pending or (now - self._sent < FLUSH_SECONDS and not force):
            return
        self._sent = now
        for channel, text in self._pending:
            self._send(Piece(self._turn, channel, text, tokens, n_past, now))
        self._pending.clear()

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


class Turn:
    """One answer to one conversation."""

    def __init__(
        self,
        sequence: Sequence,
        request: Generate,
        arrived: float,
        send: Callable[[Event], None],
        cancelled: Callable[[], bool],
        tick: Callable[[], None],
    ) -> None:
        """Prepare it.

        Args:
            sequence: the model's KV cache with what earlier turns left in it.
            request: the conversation and how to sample.
            arrived: ``time.monotonic()`` of the request's arrival.
            send: for the turn's events.
            cancelled: whether this turn shall stop.
            tick: called between decodes, for what must not wait for the answer's end.
        """
        self._sequence = sequence
        self._model = sequence.model
        self._request = request
        self._arrived = arrived
        self._send = send
        self._cancelled = cancelled
        self._tick = tick
        self._sampling = resolve(request.sampling, self._model.loaded.sampling)
        self._undecoded: tuple[int, ...] = ()
        self._tokens = 0
        self._first = self._last = 0.0

    def run(self) -> None:
        """Send ``TurnStarted``, ``Piece``… and ``TurnEnded``.

        Raises:
            WorkerError: the conversation is longer than the context, the template refuses it, or decoding failed.
        """
        model, sequence = self._model, self._sequence
        sequence.flags.lower_abort()
        prompt = model.template.render(self._request.messages)
        vocab = model.vocab
        tokens, reused = sequence.cache.plan(prompt, vocab.tokenize, vocab.tokenize_on, vocab.begins_with_control)
        self._check(tokens)
        reused = sequence.keep(min(reused, len(tokens) - 1))
        self._send(TurnStarted(self._request.turn, len(tokens), reused))
        api.llama_perf_context_reset(model.context)
        answer = Answer(self._request.turn, prompt, self._sampling.stop + model.template.stops, self._send)
        began = time.monotonic()
        stop = self._decode_prompt(tokens, reused) or self._generate(tokens, answer)
        answer.finish()
        answer.flush(self._tokens, sequence.n_past, self._last, force=True)
        if not answer.reasoned and stop != "stop_string" and self._tokens:
            sequence.cache.anchor(prompt + answer.text, self._undecoded)
        self._send(TurnEnded(self._request.turn, stop, self._timings(len(tokens), reused, began)))

    def _check(self, tokens: list[int]) -> None:
        n_ctx = self._model.loaded.n_ctx
        if not tokens:
            raise fail("bad_template", "The chat template makes an empty prompt of this conversation.")
        if len(tokens) >= n_ctx:
            raise fail(
                "prompt_too_long",
                f"The conversation is {len(tokens)} tokens long, but the context holds {n_ctx}.",
                advice="Shorten it, begin a new chat, or load with a larger context.",
            )

    def _decode_prompt(self, tokens: list[int], reused: int) -> Stop | None:
        """Prompt eval; why the turn ends here, if it does."""

        def progress(done: int) -> None:
            self._send(PromptProgress(self._request.turn, reused + done, len(tokens)))
            self._tick()

        status = self._sequence.decode_prompt(tokens[reused:], progress, self._cancelled)
        if status == DECODED:
            return None
        return "cancelled" if status == ABORTED else "context_full"

    def _generate(self, prompt: list[int], answer: Answer) -> Stop:
        """The decode loop; why it ended."""
        loaded = self._model.loaded
        chain = SamplerChain(self._sampling, prompt, loaded.model.n_vocab, loaded.n_ctx)
        try:
            return self._loop(chain, answer, self._sampling.max_tokens)
        finally:
            chain.close()

    def _loop(self, chain: SamplerChain, answer: Answer, most: int | None) -> Stop:
        sequence, context, vocab = self._sequence, self._model.context, self._model.vocab
        n_ctx = self._model.loaded.n_ctx
        while True:
            token = chain.sample(context)
            now = time.monotonic()
            if vocab.is_end(token):
                return "end"
            self._undecoded = (token,)
            self._last = now
            self._tokens += 1
            if self._tokens == 1:
                self._first = now
            answer.add(vocab.piece(token))
            answer.flush(self._tokens, sequence.n_past, now)
            if answer.stopped:
                return "stop_string"
            if most is not None and self._tokens >= most:
                return "max_tokens"
            if self._cancelled():
                return "cancelled"
            if sequence.n_past >= n_ctx:
                return "context_full"
            status = sequence.decode_one(token)
            if status != DECODED:
                return "cancelled" if status == ABORTED else "context_full"
            self._undecoded = ()
            self._tick()

    def _timings(self, n_prompt: int, reused: int, began: float) -> Timings:
        perf = api.llama_perf_context(self._model.context)
        first = self._first or time.monotonic()
        return Timings(
            prompt_tokens=n_prompt,
            reused_tokens=reused,
            prompt_seconds=first - began,
            ttft_seconds=first - self._arrived,
            tokens=self._tokens,
            eval_seconds=max(0.0, self._last - self._first),
            n_past=self._sequence.n_past,
            decode_seconds=perf.t_eval_ms / 1000,
        )
