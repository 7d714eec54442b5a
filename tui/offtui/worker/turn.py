"""One turn: the prompt into the KV cache, then token by token until something ends the answer, or halts it."""

import time
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from offtui.protocol.carry import pack_tokens, unpack_tokens
from offtui.protocol.events import Event, PromptProgress, Stop, TurnEnded, TurnPaused, TurnResumed, TurnStarted
from offtui.protocol.facts import Timings
from offtui.protocol.requests import Generate, Resume
from offtui.protocol.spec import Message, Sampling
from offtui.worker.answer import Answer, AnswerState
from offtui.worker.failures import fail
from offtui.worker.grammar import grammar_sampler, grammar_text
from offtui.worker.llama import api
from offtui.worker.reasoning import partial_text
from offtui.worker.room import left_out, without
from offtui.worker.sampling import GrammarChain, SamplerChain, resolve
from offtui.worker.sequence import ABORTED, DECODED
from offtui.worker.sequence import Sequence as TokenSequence

_Halt = Stop | Literal["paused"]


class PausedTurn(msgspec.Struct, frozen=True, kw_only=True):
    """All there is of a turn between two tokens: what ``TurnPaused`` carries to ``Resume``."""

    prompt: str
    """As rendered."""
    tokens: bytes
    """Of the prompt and of the answer so far, the last of them not decoded."""
    n_prompt: int
    reused: int
    sampling: Sampling
    """Resolved, with its seed; each token of the answer has drawn one random number of it."""
    answer: AnswerState
    begun: str = ""
    """Of the answer, but in the prompt."""
    prompt_seconds: float
    ttft_seconds: float
    eval_seconds: float
    decode_seconds: float
    moves: int


class Turn:
    """One answer to one conversation."""

    def __init__(
        self,
        sequence: TokenSequence,
        turn: int,
        arrived: float,
        send: Callable[[Event], None],
        cancelled: Callable[[], bool],
        paused: Callable[[], bool],
        tick: Callable[[], None],
    ) -> None:
        """Prepare it.

        Args:
            sequence: the model's KV cache with what earlier turns left in it.
            turn: its number.
            arrived: ``time.monotonic()`` of the request's arrival.
            send: for the turn's events.
            cancelled: whether this turn shall stop.
            paused: whether this turn shall halt, to go on elsewhere.
            tick: called between decodes, for what must not wait for the answer's end.
        """
        self._sequence = sequence
        self._model = sequence.model
        self._turn = turn
        self._arrived = arrived
        self._send = send
        self._cancelled = cancelled
        self._paused = paused
        self._tick = tick
        self._sampling = Sampling()
        self._prompt = ""
        self._begun_text = ""
        """Of an answer that goes on: what of it stands in the prompt."""
        self._line: list[int] = []
        """Tokens of the prompt and of the answer so far, in their order."""
        self._n_prompt = 0
        self._reused = 0
        self._before: PausedTurn | None = None
        """What earlier workers did of the turn."""
        self._began = self._first = self._last = self._counted = 0.0
        self._epoch_tokens = 0

    def begin(self, request: Generate) -> None:
        """Answer: send ``TurnStarted``, ``Piece``… and ``TurnEnded`` or ``TurnPaused``.

        Raises:
            WorkerError: the conversation is longer than the context, the template refuses it, or decoding failed.
        """
        model, sequence, vocab = self._model, self._sequence, self._model.vocab
        self._sampling = resolve(request.sampling, model.loaded.sampling)
        self._sampling = msgspec.structs.replace(self._sampling, stop=self._sampling.stop + model.template.stops)
        partial = request.messages[-1] if request.go_on and request.messages else None
        if self._sampling.think is None and (self._sampling.grammar or self._sampling.json_schema):
            self._sampling = msgspec.structs.replace(self._sampling, think=False)
        messages, dropped = self._with_room(request.messages, partial)
        prompt = self._rendered(messages, partial)
        answer = self._answer(prompt)
        if partial is not None:
            prompt, begun = self._begun(prompt, partial)
            answer.skip(begun)
            self._begun_text = partial.content
        self._prompt = prompt
        tokens, reused = sequence.cache.plan(prompt, vocab.tokenize, vocab.tokenize_on, vocab.begins_with_control)
        self._check(tokens)
        self._line = tokens
        self._n_prompt = len(tokens)
        self._reused = sequence.keep(min(reused, len(tokens) - 1))
        self._send(TurnStarted(self._turn, len(tokens), self._reused, dropped, self._beginning(answer)))
        self._run(answer)

    def _rendered(self, messages: Sequence[Message], partial: Message | None) -> str:
        """The prompt; without the answer's beginning."""
        said = messages[:-1] if partial is not None else messages
        return self._model.template.render(said, think=self._sampling.think)

    def _with_room(self, messages: Sequence[Message], partial: Message | None) -> tuple[Sequence[Message], int]:
        """The messages that the model gets, and how many of the oldest are left out for lack of room."""
        if not self._sampling.drop_oldest:
            return messages, 0
        vocab, forgotten = self._model.vocab, self._sequence.forgotten

        def n_tokens(some: Sequence[Message]) -> int:
            prompt = self._rendered(some, partial)
            if partial is not None:
                prompt, _ = self._begun(prompt, partial)
            return len(vocab.tokenize(prompt))

        same = tuple(messages[: len(forgotten)]) == forgotten
        before = max(0, len(forgotten) - (messages[0].role == "system")) if same and forgotten else 0
        dropped = left_out(messages, n_tokens, self._model.loaded.n_ctx, before)
        head = (messages[0].role == "system") + dropped if dropped else 0
        self._sequence.forgotten = tuple(messages[:head])
        return without(messages, dropped), dropped

    def resume(self, request: Resume) -> None:
        """Go on with a paused turn: send ``TurnResumed``, ``Piece``… and ``TurnEnded`` or ``TurnPaused``.

        Raises:
            WorkerError: decoding failed.
        """
        state = msgspec.msgpack.decode(request.state, type=PausedTurn)
        self._before = state
        self._sampling, self._prompt, self._begun_text = state.sampling, state.prompt, state.begun
        self._line = unpack_tokens(state.tokens + request.after)
        self._n_prompt, self._reused = state.n_prompt, state.reused
        kept = self._sequence.keep(min(self._sequence.cache.common(self._line), len(self._line) - 1))
        answer = self._answer(state.prompt)
        answer.restore(state.answer)
        for token in unpack_tokens(request.after):
            answer.add(self._model.vocab.piece(token))
        answer.forget()
        self._send(TurnResumed(self._turn, len(self._line), kept))
        self._run(answer)

    @property
    def _tokens(self) -> int:
        """Tokens of the answer so far."""
        return len(self._line) - self._n_prompt

    @property
    def _undecoded(self) -> tuple[int, ...]:
        return tuple(self._line[self._sequence.n_past :])

    def _answer(self, prompt: str) -> Answer:
        return Answer(self._turn, prompt, self._sampling.stop, self._send)

    def _begun(self, prompt: str, partial: Message) -> tuple[str, str]:
        """The prompt with an answer's beginning behind it, and that beginning."""
        text = partial_text(prompt, partial.reasoning, partial.content, self._model.vocab.has)
        return prompt + text, text

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

    def _run(self, answer: Answer) -> None:
        """Evaluate what the KV cache lacks, then generate; ends with the turn's last event."""
        sequence = self._sequence
        sequence.flags.lower_abort()
        api.llama_perf_context_reset(self._model.context)
        self._began = self._counted = time.monotonic()
        halt = self._evaluate() or self._generate(answer)
        if halt == "paused":
            answer.flush(self._tokens, sequence.n_past, self._last or self._began, force=True)
            self._send(TurnPaused(self._turn, msgspec.msgpack.encode(self._state(answer)), sequence.n_past))
            return
        answer.finish()
        answer.flush(self._tokens, sequence.n_past, self._last, force=True)
        if not answer.reasoned and halt != "stop_string" and self._tokens and sequence.n_past >= self._n_prompt:
            sequence.cache.anchor(self._prompt + answer.text, self._undecoded)
        self._send(TurnEnded(self._turn, halt, self._timings()))

    def _evaluate(self) -> _Halt | None:
        """Decode the tokens that the KV cache does not hold; why the turn ends or halts here, if it does."""
        sequence, total = self._sequence, len(self._line)
        missing = self._line[sequence.n_past :]
        if total > self._model.loaded.n_ctx:
            return "context_full"
        kept = sequence.n_past

        def progress(done: int) -> None:
            if len(missing) > 1 or not self._tokens:
                self._send(PromptProgress(self._turn, kept + done, total))
            self._tick()

        sequence.flags.evaluating = True
        try:
            status = sequence.decode_prompt(missing, progress, lambda: self._cancelled() or self._paused())
        finally:
            sequence.flags.evaluating = False
        if len(missing) > 1:
            self._counted = time.monotonic()
        return None if status == DECODED else self._stopped(status)

    def _stopped(self, status: int) -> _Halt:
        if status != ABORTED:
            return "context_full"
        return "paused" if self._paused() and not self._cancelled() else "cancelled"

    def _generate(self, answer: Answer) -> _Halt:
        """The decode loop; why it ended."""
        loaded = self._model.loaded
        chain = self._chain(loaded.model.n_vocab, loaded.n_ctx)
        try:
            return self._loop(chain, answer, self._sampling.max_tokens)
        finally:
            chain.close()

    def _chain(self, n_vocab: int, n_ctx: int) -> SamplerChain | GrammarChain:
        """The samplers as they are after the answer's tokens so far."""
        sampling, line = self._sampling, self._line
        if text := grammar_text(sampling):
            grammar = grammar_sampler(self._model.vocab, text)
            begun = self._model.vocab.tokenize_on(self._begun_text) + line[self._n_prompt :]
            return GrammarChain(grammar, sampling, line, n_vocab, n_ctx, self._tokens, begun)
        return SamplerChain(sampling, line, n_vocab, n_ctx, self._tokens)

    def _loop(self, chain: SamplerChain | GrammarChain, answer: Answer, most: int | None) -> _Halt:
        sequence, context, vocab = self._sequence, self._model.context, self._model.vocab
        n_ctx = self._model.loaded.n_ctx
        line, n_prompt = self._line, self._n_prompt
        while True:
            token = chain.sample(context)
            now = time.monotonic()
            if vocab.is_end(token):
                return "end"
            line.append(token)
            self._last = now
            self._epoch_tokens += 1
            if self._epoch_tokens == 1:
                self._first = now
            tokens = len(line) - n_prompt
            answer.add(vocab.piece(token), token)
            answer.flush(tokens, sequence.n_past, now)
            if answer.stopped:
                return "stop_string"
            if most is not None and tokens >= most:
                return "max_tokens"
            if self._cancelled():
                return "cancelled"
            if sequence.n_past >= n_ctx:
                return "context_full"
            if self._paused():
                return "paused"
            status = sequence.decode_one(token)
            if status != DECODED:
                return self._stopped(status)
            self._tick()

    def _beginning(self, answer: Answer) -> bytes:
        """For ``Resume`` where this worker does not live to pause: the turn before its first token."""
        state = self._state(answer)
        none = {"prompt_seconds": 0.0, "ttft_seconds": 0.0, "eval_seconds": 0.0, "decode_seconds": 0.0}
        return msgspec.msgpack.encode(msgspec.structs.replace(state, **none))

    def _state(self, answer: Answer) -> PausedTurn:
        times = self._timings()
        return PausedTurn(
            prompt=self._prompt,
            tokens=pack_tokens(self._line),
            n_prompt=self._n_prompt,
            reused=self._reused,
            sampling=self._sampling,
            answer=answer.state,
            begun=self._begun_text,
            prompt_seconds=times.prompt_seconds,
            ttft_seconds=times.ttft_seconds,
            eval_seconds=times.eval_seconds,
            decode_seconds=times.decode_seconds,
            moves=times.moves + 1,
        )

    def _timings(self) -> Timings:
        before = self._before
        begun = before is not None and self._tokens > self._epoch_tokens  # its first token came in another worker
        now = time.monotonic()
        first = self._first or now
        since = self._counted if begun else first
        waited = 0.0 if begun else first - self._began
        return Timings(
            prompt_tokens=self._n_prompt,
            reused_tokens=self._reused,
            prompt_seconds=waited + (before.prompt_seconds if before else 0.0),
            ttft_seconds=before.ttft_seconds if before and begun else first - self._arrived + _ttft(before),
            tokens=self._tokens,
            eval_seconds=max(0.0, self._last - since) + (before.eval_seconds if before else 0.0),
            n_past=self._sequence.n_past,
            decode_seconds=api.llama_perf_context(self._model.context).t_eval_ms / 1000
            + (before.decode_seconds if before else 0.0),
            moves=before.moves if before else 0,
            epoch_tokens=self._epoch_tokens,
            epoch_seconds=max(0.0, self._last - self._first),
        )


def _ttft(before: PausedTurn | None) -> float:
    """Seconds that an earlier worker spent on the prompt without getting to the first token."""
    return before.ttft_seconds if before else 0.0
