"""The tape: values of the machine and marks of the session on one time axis, and how each answer went.

What the session does is heard on its thread, what the machine does is observed on the sampler's, and screens and
other terminals read on theirs: hold ``lock`` while reading ``history``.
"""

import threading
from collections import deque

import msgspec

from offtui.engine.moves import MoveBegan, MoveFailed
from offtui.engine.state import LoadWanted, Occurrence, Phase, SessionState, TurnWanted, WorkerEnded
from offtui.monitor.history import Event, History, Mark
from offtui.monitor.sample import Sample
from offtui.protocol.events import Loaded, LoadFailed, Piece, TurnEnded, TurnFailed, TurnStarted
from offtui.protocol.facts import Failure, Timings
from offtui.recorder.devices import device_uses
from offtui.recorder.energy import Energy, key_of
from offtui.recorder.rates import Rates, values
from offtui.units import seconds_text

HOLD = 7.0
"""Seconds a value stays true when no other comes after it: longer than between two samples of a blurred screen."""
ANSWERS = 500
"""Answers that are kept."""
LOG = 1000
"""Marks and answers that another terminal may be behind."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """How one answer went."""

    number: int
    """From 1 on, over all chats."""
    turn: int = 0
    """Of the session."""
    began: float
    """``time.monotonic()``, as all times here."""
    first_token: float | None = None
    ended: float
    stop: str
    """Why it ended: llama.cpp's word, or ``failed``, or ``crash``."""
    model: str
    n_gpu_layers: int
    """By which it ended."""
    most: int
    """Layers there are."""
    timings: Timings | None = None
    energy_j: float | None = None
    """What the devices it ran on took meanwhile; ``None``: not known of each of them."""

    @property
    def by_one_split(self) -> bool:
        """Whether all of it was written under one layer count."""
        return self.timings is not None and self.timings.moves == 0

    @property
    def joules_per_token(self) -> float | None:
        """Of the whole answer, its prompt too."""
        tokens = self.timings.tokens if self.timings else 0
        return self.energy_j / tokens if self.energy_j is not None and tokens else None


class _Open(msgspec.Struct):
    """The answer that is being written."""

    turn: int
    began: float
    started: float | None = None
    """When its prompt began to be evaluated."""
    fresh: int = 0
    """Tokens of the prompt that are not reused."""
    first_token: float | None = None

    @property
    def prompt_seconds(self) -> float | None:
        """What the prompt took, once it is done."""
        if self.first_token is None or self.started is None:
            return None
        return self.first_token - self.started


class Tape:
    """Of this process's session, or a copy of another process's that grows by its news."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.history = History(hold=HOLD)
        self._answers: deque[Answer] = deque(maxlen=ANSWERS)
        self._unpaid: list[tuple[Answer, tuple[str, ...]]] = []
        """Answers whose energy the next sample will tell, and the GPUs that they ran on."""
        self._counted = 0
        self._log: deque[tuple[int, Mark | Answer]] = deque(maxlen=LOG)
        """What is new, numbered."""
        self._version = 0
        self._open: _Open | None = None
        self._energy = Energy()
        self._rates = Rates()
        self._loaded: Loaded | None = None
        """The newest load that came up."""
        self._marked: tuple[str, int | None, int | None] | None = None
        """What was wanted when the newest load was marked; ``None`` once that is over."""
        self._sample: Sample | None = None

    # What the session does

    def hear(self, state: SessionState, occurrence: Occurrence, now: float) -> None:
        """One occurrence and the state after it."""
        if isinstance(occurrence, Piece):
            if self._open is not None and self._open.first_token is None:
                self._first_token(occurrence.time)
            return
        with self.lock:
            self._hear(state, occurrence, now)

    def _first_token(self, time: float) -> None:
        with self.lock:
            if self._open is not None:
                self._open.first_token = time
                self._rates.read(self._open.fresh, self._open.prompt_seconds or 0.0)
                self._mark(time, Event.FIRST_TOKEN)

    def _hear(self, state: SessionState, occurrence: Occurrence, now: float) -> None:
        match occurrence:
            case LoadWanted(spec=spec) if state.wanted == spec and (state.phase is Phase.LOADING or state.replacing):
                self._load(state, now)
            case MoveBegan():
                self._load(state, now)
            case Loaded() if state.loaded is not None:
                self._loaded, self._marked = state.loaded, None
                layers = state.loaded.layers
                note = f"{layers.got}/{layers.max} layers in {seconds_text(state.loaded.load_seconds)}"
                self._mark(now, Event.LOADED, note)
            case LoadFailed(failure=failure) | MoveFailed(failure=failure):
                self._marked = None
                self._fail(failure, now)
            case WorkerEnded(failure=failure) if failure is not None:
                self._fail(failure, now)
                self._close(state, now, "crash", None)
            case TurnWanted(turn=turn) if state.turn is not None and state.turn.turn == turn:
                self._open = _Open(turn, now)
            case TurnStarted(prompt_tokens=total, reused_tokens=reused):
                self._mark(now, Event.PROMPT, f"{total} tokens, {reused} reused")
                if self._open is not None:
                    self._open.started, self._open.fresh = now, total - reused
            case TurnEnded(timings=timings, stop=stop):
                self._mark(now, Event.STOP, stop)
                self._close(state, now, stop, timings)
            case TurnFailed(failure=failure):
                self._mark(now, Event.STOP, failure.message)
                self._close(state, now, "failed", None)
            case _:
                pass

    def _load(self, state: SessionState, now: float) -> None:
        spec = state.wanted
        if spec is None:
            return
        wanted = (spec.model, spec.n_gpu_layers, spec.n_ctx)
        if wanted == self._marked:
            return
        self._marked = wanted
        again = self._loaded is not None and spec.model == self._loaded.spec.model
        layers = "auto" if spec.n_gpu_layers is None else str(spec.n_gpu_layers)
        origin = state.move.origin.n_gpu_layers if state.move is not None else None
        note = layers if origin is None or origin == spec.n_gpu_layers else f"{origin}→{layers}"
        self._mark(now, Event.RELOAD if again else Event.LOAD, note)

    def _fail(self, failure: Failure, now: float) -> None:
        if failure.kind == "cancelled":
            self._mark(now, Event.STOP, "load cancelled")
        else:
            self._mark(now, Event.CRASH, failure.message)

    def _close(self, state: SessionState, now: float, stop: str, timings: Timings | None) -> None:
        begun, self._open = self._open, None
        if begun is None:
            return
        self._counted += 1
        loaded = self._loaded
        answer = Answer(
            number=self._counted,
            turn=begun.turn,
            began=begun.began,
            first_token=begun.first_token,
            ended=now,
            stop=stop,
            model=loaded.model.name if loaded else "",
            n_gpu_layers=loaded.layers.got if loaded else 0,
            most=loaded.layers.max if loaded else 0,
            timings=timings,
        )
        self._keep(answer)
        cards = [use for use in device_uses(state, self._sample) if use.ours]
        if cards and all(use.card is not None for use in cards):
            keys = tuple(key_of(use.card) for use in cards if use.card is not None)
            self._unpaid.append((answer, keys))

    def _keep(self, answer: Answer) -> None:
        """A new answer, or one of which more is known now."""
        if self._answers and answer.number <= self._answers[-1].number:
            kept = [answer if each.number == answer.number else each for each in self._answers]
            self._answers.clear()
            self._answers.extend(kept)
        else:
            self._answers.append(answer)
        self._write(answer)

    def _mark(self, time: float, event: Event, note: str = "") -> None:
        self._write(self.history.mark(time, event, note))

    def _write(self, entry: Mark | Answer) -> None:
        self._version += 1
        self._log.append((self._version, entry))

    # What the machine does

    def observe(self, sample: Sample, state: SessionState) -> list[Answer]:
        """One look at the machine, and the session's state then; answers whose energy is known now."""
        with self.lock:
            self._sample = sample
            self._energy.observe(sample)
            for name, value in values(sample, state).items():
                self.history.add(name, sample.time, value)
            for name, value in self._rates.measure(sample.time, state):
                self.history.add(name, sample.time, value)
            if sample.wall is not None:
                self.history.set_clock(sample.time, sample.wall)
            return self._settle(sample.time)

    def _settle(self, now: float) -> list[Answer]:
        """What the answers took that ended before this sample."""
        unpaid, self._unpaid = self._unpaid, []
        paid: list[Answer] = []
        for answer, keys in unpaid:
            joules = self._energy.used(keys, answer.began, answer.ended)
            if joules is not None:
                paid.append(msgspec.structs.replace(answer, energy_j=joules))
                self._keep(paid[-1])
            elif now < answer.ended:
                self._unpaid.append((answer, keys))
        return paid

    # What others read

    def answers(self) -> tuple[Answer, ...]:
        """How the answers went, the oldest first."""
        with self.lock:
            return tuple(self._answers)

    def answer_of(self, turn: int) -> Answer | None:
        """How the answer of a turn went; ``None``: it is not there, or no longer."""
        with self.lock:
            return next((answer for answer in reversed(self._answers) if answer.turn == turn), None)

    def so_far(self, state: SessionState) -> tuple[float | None, float | None]:
        """Of the answer that is being written: tokens per second of its prompt, and seconds to its first token."""
        with self.lock:
            begun, turn = self._open, state.turn
            if begun is None or turn is None or begun.turn != turn.turn or turn.prompt_tokens is None:
                return None, None
            if begun.first_token is None:
                return self.history.series("prompt_tps").newest(), None
            seconds = begun.prompt_seconds
            return begun.fresh / seconds if begun.fresh and seconds else None, begun.first_token - begun.began

    def joules_by_layers(self) -> dict[int, float]:
        """Joules per token over all answers of the newest model, by their layer count."""
        with self.lock:
            known = [answer for answer in self._answers if answer.energy_j is not None and answer.by_one_split]
        sums: dict[int, tuple[float, int]] = {}
        for answer in known:
            if answer.model == known[-1].model and answer.timings is not None and answer.energy_j is not None:
                joules, tokens = sums.get(answer.n_gpu_layers, (0.0, 0))
                sums[answer.n_gpu_layers] = joules + answer.energy_j, tokens + answer.timings.tokens
        return {layers: joules / tokens for layers, (joules, tokens) in sorted(sums.items()) if tokens}

    # Another process's

    def news(self, version: int) -> "Entries":
        """Marks and answers that are newer than ``version``."""
        with self.lock:
            fresh = [entry for number, entry in self._log if number > version]
            return Entries(
                version=self._version,
                marks=tuple(entry for entry in fresh if isinstance(entry, Mark)),
                answers=tuple(entry for entry in fresh if isinstance(entry, Answer)),
            )

    def backlog(self) -> "Backlog":
        """All there is, for another process that begins to follow."""
        with self.lock:
            dump = {name: Track(*series.dump()) for name, series in self.history.all_series().items()}
            entries = Entries(version=self._version, marks=self.history.marks(), answers=tuple(self._answers))
            return Backlog(tracks=dump, clock=self.history.clock(), entries=entries)

    def take_over(self, backlog: "Backlog") -> None:
        """Become a copy of another process's tape."""
        with self.lock:
            self.history = History(hold=HOLD)
            self._answers.clear()
            for name, track in backlog.tracks.items():
                self.history.series(name).restore(track.times, track.values)
            for time, wall in backlog.clock:
                self.history.set_clock(time, wall)
            self.take(backlog.entries)

    def take(self, entries: "Entries") -> None:
        """Another process's marks and answers."""
        with self.lock:
            for mark in entries.marks:
                self._write(self.history.mark(mark.time, mark.event, mark.note))
            for answer in entries.answers:
                self._keep(answer)


class Track(msgspec.Struct, frozen=True, array_like=True):
    """One series: doubles in this machine's byte order."""

    times: bytes
    values: bytes


class Entries(msgspec.Struct, frozen=True, kw_only=True):
    """Marks and answers up to a version of the tape."""

    version: int = 0
    marks: tuple[Mark, ...] = ()
    answers: tuple[Answer, ...] = ()


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """A whole tape."""

    tracks: dict[str, Track]
    clock: tuple[tuple[float, float], ...]
    entries: Entries
