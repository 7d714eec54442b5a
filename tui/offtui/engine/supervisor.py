"""What the session's thread does with worker processes. Never blocks, and reads no clock: ``now`` is handed in.

At most one worker is *the* worker: it has an epoch, and what it says becomes an occurrence. Besides it there may be a
spare (imports done, nothing loaded), and workers on their way out. A worker answers one load in its life, so another
load is: give back the turn, end the worker, reap it, then load in the next one.
"""

import enum
import selectors
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from offtui.engine.autopsy import autopsy
from offtui.engine.child import Child, Deadlines
from offtui.engine.cleaning import clean_event
from offtui.engine.crew import Crew
from offtui.engine.ending import Ending, Stage
from offtui.engine.state import (
    CloseWanted,
    LoadWanted,
    Occurrence,
    Phase,
    SessionState,
    StopWanted,
    TurnWanted,
    WorkerEnded,
    WorkerSpawned,
    advance,
    holds,
)
from offtui.errors import ProtocolError
from offtui.protocol.events import (
    DeviceMemory,
    Event,
    HeaderRead,
    Hello,
    Loaded,
    LoadFailed,
    LoadProgress,
    Piece,
    PromptProgress,
    StateRestored,
    StateSaved,
    TurnEnded,
    TurnFailed,
    TurnPaused,
    TurnResumed,
    TurnStarted,
)
from offtui.protocol.facts import Failure
from offtui.protocol.requests import Cancel, CancelLoad, Generate, Load
from offtui.protocol.spec import LoadSpec, Message, Sampling
from offtui.text import clean_line

_CANCELLED = Failure("cancelled", "The load was cancelled.")


class TurnAsked(msgspec.Struct, frozen=True):
    """A turn with all that the worker needs for it."""

    turn: int
    messages: tuple[Message, ...]
    sampling: Sampling


class _Wait(enum.Enum):
    HELLO = enum.auto()
    LOAD = enum.auto()
    TURN_START = enum.auto()
    STOP = enum.auto()


class _Due(NamedTuple):
    wait: _Wait
    time: float


class Supervisor:
    """Carries out intents on worker processes and tells the listener every occurrence."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        listener: Callable[[SessionState, Occurrence], None],
        command: Sequence[str],
        deadlines: Deadlines,
        keep_spare: bool,
    ) -> None:
        self.state = SessionState()
        self._listener = listener
        self._deadlines = deadlines
        self._crew = Crew(selector, command, deadlines)
        self._keep_spare = keep_spare
        self._next: LoadSpec | None = None
        """Wanted, and not yet given to a worker."""
        self._worker: Child | None = None
        self._due: _Due | None = None
        """The one answer that is waited for from the worker."""

    @property
    def finished(self) -> bool:
        """Whether the session is closed and nothing is left of its processes."""
        return self.state.phase is Phase.CLOSED and self._crew.is_empty

    def patience(self, now: float) -> float | None:
        """Seconds until ``on_time`` has something to do; ``None``: only a worker or an intent can bring it."""
        waits = self._crew.patience(now)
        if self._due is not None:
            waits.append(self._due.time - now)
        return max(0.0, min(waits)) if waits else None

    def on_intent(self, intent: LoadWanted | TurnAsked | StopWanted | CloseWanted, now: float) -> None:
        """Begin to do what is wanted."""
        if self.state.phase is Phase.CLOSED:
            return
        match intent:
            case LoadWanted():
                self._want(intent, now)
            case TurnAsked():
                self._ask(intent, now)
            case StopWanted():
                self._stop(intent, now)
            case CloseWanted():
                self._next = None
                self._end_worker(Stage.QUIT, now)
                self._tell(intent)
                self._crew.drop_spare(Stage.QUIT, now)

    def on_ready(self, child: Child, mask: int, now: float) -> None:
        """Read from and write to a worker whose socket is ready."""
        if mask & selectors.EVENT_WRITE:
            child.flush()
            self._crew.watch(child)
        if not mask & selectors.EVENT_READ:
            return
        for event in child.receive():
            if isinstance(event, Hello):
                child.hello = event
            # Of spares and of workers on their way out, nothing else matters. The worker may become one right here.
            if child is self._worker:
                self._hear(clean_event(event), now)
        if child.eof:
            self._crew.unwatch(child)
        if child.eof or child.garbled:
            self._lose(child, now)

    def on_time(self, now: float) -> None:
        """Enforce the deadlines, reap, and load what is wanted next once there is place for it."""
        if self._due is not None and now >= self._due.time:
            self._overdue(self._due.wait, now)
        for ending in self._crew.step(now):
            self._bury(ending)
        if self._next is not None and self._worker is None and self._crew.has_place:
            self._load(self._next, now)

    def kill_everything(self) -> None:
        """SIGKILL and reap all processes, at once. For the end of the thread, whatever ended it."""
        self._crew.kill_everything(self._worker)
        self._worker = None
        self.state = advance(self.state, CloseWanted())

    # Intents

    def _want(self, wanted: LoadWanted, now: float) -> None:
        if holds(self.state, wanted.spec):
            self._tell(wanted)
            return
        self._next = wanted.spec
        self._tell(wanted)
        if self.state.turn is not None:
            self._cancel_turn(self.state.turn.turn, now)
        else:
            self._end_worker(Stage.QUIT, now)

    def _ask(self, asked: TurnAsked, now: float) -> None:
        worker = self._worker
        if worker is None or self.state.phase is not Phase.READY:
            self._tell(TurnFailed(asked.turn, Failure("internal", _not_ready(self.state.phase))))
            return
        self._tell(TurnWanted(asked.turn))
        try:
            self._send(worker, Generate(asked.turn, asked.messages, asked.sampling))
        except (ProtocolError, UnicodeError) as error:
            message = f"The conversation cannot be sent to the worker: {clean_line(str(error))}"
            self._tell(TurnFailed(asked.turn, Failure("internal", message)))
            return
        self._due = _Due(_Wait.TURN_START, now + self._deadlines.turn_start)

    def _stop(self, stop: StopWanted, now: float) -> None:
        before = self.state
        self._tell(stop)
        if before.turn is not None:
            # Where a load was waiting for the turn to end, the load is given up, and the old worker stays.
            self._next = None
            self._cancel_turn(before.turn.turn, now)
        elif self._next is not None:
            self._next = None
            self._tell(LoadFailed(_CANCELLED))
        elif before.phase is Phase.LOADING and self._worker is not None:
            self._send(self._worker, CancelLoad())
            self._due = _Due(_Wait.STOP, now + self._deadlines.stop)

    def _cancel_turn(self, turn: int, now: float) -> None:
        if self._worker is not None and (self._due is None or self._due.wait is not _Wait.STOP):
            self._send(self._worker, Cancel(turn))
            self._due = _Due(_Wait.STOP, now + self._deadlines.stop)

    # The worker

    def _load(self, spec: LoadSpec, now: float) -> None:
        self._next = None
        epoch = self.state.epoch + 1
        try:
            worker, hello_due = self._crew.take(now)
        except OSError as error:
            self._tell(WorkerSpawned(epoch))
            message = f"No worker process can be started: {clean_line(error.strerror or str(error))}."
            self._tell(WorkerEnded(epoch, Failure("internal", message)))
            return
        self._worker = worker
        self._tell(WorkerSpawned(epoch))
        self._due = _Due(_Wait.HELLO, hello_due)
        if worker.hello is not None:
            # A spare has introduced itself before it had a listener; each life tells its Hello once.
            self._hear(clean_event(worker.hello), now)
        try:
            self._send(worker, Load(spec))
        except (ProtocolError, UnicodeError):
            self._tell(LoadFailed(Failure("not_found", "The model's path is not text that can be sent to a worker.")))
            self._end_worker(Stage.QUIT, now)

    def _hear(self, event: Event, now: float) -> None:
        stopping = self._due is not None and self._due.wait is _Wait.STOP
        match event:
            case Hello() | LoadProgress():
                self._tell(event)
                if not stopping and self.state.phase is Phase.LOADING:
                    self._expect_progress(now)
            case Loaded():
                if self.state.loaded is None:
                    self._due = None
                    self._tell(event)
                    if self._keep_spare:
                        self._crew.keep_a_spare(now)
            case LoadFailed():
                if self.state.loaded is None:
                    self._tell(event)
                    self._end_worker(Stage.QUIT, now)
            case TurnStarted() | PromptProgress() | Piece():
                if self._is_current(event.turn):
                    self._due = self._due if stopping else None
                    self._tell(event)
            case TurnEnded() | TurnFailed():
                if self._is_current(event.turn):
                    self._due = None
                    if self._worker is not None:
                        self._worker.trim_log()
                    self._tell(event)
                    if self.state.replacing:
                        self._end_worker(Stage.QUIT, now)
            case DeviceMemory() | HeaderRead():
                self._tell(event)
            case TurnPaused() | TurnResumed() | StateSaved() | StateRestored():
                pass  # nobody asks for them yet

    def _is_current(self, turn: int) -> bool:
        return self.state.turn is not None and self.state.turn.turn == turn

    def _expect_progress(self, now: float) -> None:
        progress = self.state.progress
        reading = progress is not None and progress.step in ("weights", "warmup")
        seconds = self._deadlines.weights_stall if reading else self._deadlines.load_stall
        self._due = _Due(_Wait.LOAD, now + seconds)

    def _overdue(self, wait: _Wait, now: float) -> None:
        worker, turn, failure = self._worker, self.state.turn, None
        evidence = "" if worker is None else _last_line(worker.log_tail())
        match wait:
            case _Wait.HELLO:
                message = f"The worker did not start within {self._deadlines.hello:g} s and was ended."
                failure = Failure("timeout", message, evidence, "Try again; `offtui doctor` says what may be wrong.")
            case _Wait.LOAD:
                message = "The load made no progress any more and was ended."
                failure = Failure("timeout", message, evidence, "Try again; look whether the file's disk answers.")
            case _Wait.TURN_START:
                message = f"The worker did not take up the turn within {self._deadlines.turn_start:g} s and was ended."
                failure = Failure("timeout", message, evidence, "Load again.")
            case _Wait.STOP if turn is None:
                self._tell(LoadFailed(_CANCELLED))
            case _Wait.STOP:
                message = f"The worker did not stop within {self._deadlines.stop:g} s and was ended."
                failure = Failure("timeout", message, evidence, "Load again.")
                if self.state.replacing and turn is not None:
                    self._tell(TurnFailed(turn.turn, failure))
        self._end_worker(Stage.KILL, now, failure=failure)

    def _lose(self, child: Child, now: float) -> None:
        """The worker closed its socket, or what it says is garbage."""
        spare = self._crew.spare
        if spare is not None and child is spare.child:
            self._crew.drop_spare(Stage.NOTHING if child.eof else Stage.KILL, now)
        if child is not self._worker:
            return
        if self.state.phase is Phase.STOPPING and self.state.loaded is None and not self.state.replacing:
            self._tell(LoadFailed(_CANCELLED))
            self._end_worker(Stage.KILL, now)
        elif child.garbled is not None:
            message = "The worker sent something that cannot be understood and was ended."
            failure = Failure("internal", message, clean_line(str(child.garbled)), "Load again, and report it.")
            self._end_worker(Stage.KILL, now, failure=failure)
        else:
            self._end_worker(Stage.NOTHING, now, explain=True)

    def _end_worker(self, stage: Stage, now: float, *, failure: Failure | None = None, explain: bool = False) -> None:
        worker, self._worker, self._due = self._worker, None, None
        if worker is None:
            return
        if stage is Stage.QUIT:
            # It reads Quit only when it has nothing else to do.
            if self.state.turn is not None:
                self._send(worker, Cancel(self.state.turn.turn))
            elif self.state.loaded is None:
                self._send(worker, CancelLoad())
        self._crew.end(worker, stage, now, epoch=self.state.epoch, failure=failure, explain=explain)

    def _bury(self, ending: Ending) -> None:
        child, failure = ending.child, ending.failure
        if ending.explain:
            code = None if ending.killed else ending.returncode
            failure = autopsy(
                code, child.log_tail(), self.state.phase, self.state.wanted, oom_killed=child.oom_killed()
            )
        child.close()
        if ending.epoch is not None:
            self._tell(WorkerEnded(ending.epoch, failure))

    # Plumbing

    def _send(self, child: Child, request: Load | CancelLoad | Generate | Cancel) -> None:
        child.send(request)
        self._crew.watch(child)

    def _tell(self, occurrence: Occurrence) -> None:
        self.state = advance(self.state, occurrence)
        self._listener(self.state, occurrence)


def _not_ready(phase: Phase) -> str:
    match phase:
        case Phase.LOADING:
            return "The model is still loading."
        case Phase.GENERATING | Phase.STOPPING:
            return "The last answer has not ended yet."
        case _:
            return "No model is loaded."


def _last_line(log_tail: str) -> str:
    return next((line for raw in reversed(log_tail.splitlines()) if (line := clean_line(raw))), "")
