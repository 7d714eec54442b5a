"""What the session's thread does with worker processes. Never blocks, and reads no clock: ``now`` is handed in.

At most one worker is *the* worker: it has an epoch, and what it says becomes an occurrence. Besides it there may be a
spare (imports done, nothing loaded), and workers on their way out. A worker answers one load in its life, so another
load is: give back the turn, end the worker, reap it, then load in the next one.
"""

import selectors
from collections.abc import Callable, Sequence

import msgspec

from offtui.engine.autopsy import explanation
from offtui.engine.checking import Checker
from offtui.engine.child import Child, Deadlines
from offtui.engine.cleaning import clean_event
from offtui.engine.crew import Crew
from offtui.engine.ending import Ending, Stage
from offtui.engine.mover import CANCELLED, Mover, Overlap
from offtui.engine.moves import WorkerRetired
from offtui.engine.overlap import can_move, same_model
from offtui.engine.state import (
    CloseWanted,
    LoadWanted,
    Occurrence,
    Phase,
    SessionState,
    StopWanted,
    WorkerEnded,
    WorkerSpawned,
    advance,
    holds,
    stays,
)
from offtui.engine.turns import Turns
from offtui.engine.waiting import (
    NO_PATH,
    CountAsked,
    Due,
    GoOnAsked,
    Order,
    TurnAsked,
    Wait,
    garbled,
    last_line,
    not_started,
    overdue,
    stall,
)
from offtui.errors import ProtocolError
from offtui.protocol.events import (
    Checkpointed,
    DeviceMemory,
    Event,
    HeaderRead,
    Hello,
    Loaded,
    LoadFailed,
    LoadProgress,
    Piece,
    PromptProgress,
    Reserved,
    StateRestored,
    StateSaved,
    Tokenized,
    TurnEnded,
    TurnFailed,
    TurnPaused,
    TurnResumed,
    TurnStarted,
)
from offtui.protocol.facts import Failure, Learned
from offtui.protocol.requests import Cancel, CancelLoad, Load, Request, Tokenize
from offtui.protocol.spec import LoadSpec


class Supervisor:
    """Carries out intents on worker processes and tells the listener every occurrence."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        listener: Callable[[SessionState, Occurrence], None],
        command: Sequence[str],
        deadlines: Deadlines,
        keep_spare: bool,
        overlap: Overlap | None,
        learned: Callable[[], Learned],
    ) -> None:
        self.state = SessionState()
        self._listener = listener
        self._learned = learned
        self._deadlines = deadlines
        self.crew = Crew(selector, command, deadlines, keep_spare)
        self._mover = Mover(self, overlap, deadlines)
        self._checker = Checker(self, deadlines, self._replace)
        self._turns = Turns(self, deadlines)
        self._next: LoadSpec | None = None
        """Wanted, and not yet given to a worker."""
        self.worker: Child | None = None
        self.due: Due | None = None
        """The one answer that is waited for from the worker."""

    @property
    def finished(self) -> bool:
        """Whether the session is closed and nothing is left of its processes."""
        return self.state.phase is Phase.CLOSED and self.crew.is_empty

    def patience(self, now: float) -> float | None:
        """Seconds until ``on_time`` has something to do; ``None``: only a worker or an intent can bring it."""
        waits = self.crew.patience(now)
        if self.due is not None:
            waits.append(self.due.time - now)
        waits += self._mover.patience(now) + self._checker.patience(now)
        return max(0.0, min(waits)) if waits else None

    def on_intent(self, intent: Order, now: float) -> None:
        """Begin to do what is wanted."""
        if self.state.phase is Phase.CLOSED:
            return
        match intent:
            case LoadWanted():
                self._want(intent, now)
            case TurnAsked():
                self._turns.ask(intent, now)
            case GoOnAsked():
                needed = self._turns.rescue.go_on(intent, now)
                if needed is not None:
                    self._want(LoadWanted(needed), now)
            case CountAsked(number=number, text=text):
                if self.worker is not None and self.state.loaded is not None:
                    self.send(self.worker, Tokenize(number, text))
            case StopWanted():
                self._stop(intent, now)
            case CloseWanted():
                self._next = None
                self._checker.drop(now)
                self._mover.give_up(now)
                self.end_worker(Stage.QUIT, now)
                self.tell(intent)
                self._turns.rescue.close()
                self.crew.drop_spare(Stage.QUIT, now)

    def on_ready(self, child: Child, mask: int, now: float) -> None:
        """Read from and write to a worker whose socket is ready."""
        for event in self.crew.exchange(child, mask):
            # Of spares and of workers on their way out, nothing else matters. The worker may become one right here.
            if child is self.worker:
                self._hear(clean_event(event), now)
            elif child is self._mover.beside:
                self._mover.hear_beside(clean_event(event), now)
            elif child is self._checker.child:
                self._checker.hear(event, now)
        if child.eof or child.garbled:
            self._lose(child, now)

    def on_time(self, now: float) -> None:
        """Enforce the deadlines, reap, and load what is wanted next once there is place for it."""
        if self.due is not None and now >= self.due.time:
            self._overdue(self.due.wait, now)
        for ending in self.crew.step(now):
            self._bury(ending, now)
        self._mover.on_time(now)
        self._checker.on_time(now)
        if self._next is not None and self.worker is None and self.crew.has_place:
            self._load(self._next, now)

    def kill_everything(self) -> None:
        """SIGKILL and reap all processes, at once. For the end of the thread, whatever ended it."""
        self.crew.kill_everything(self.worker, self._mover.beside, self._checker.child)
        self._turns.rescue.close()
        self.worker = None
        self.state = advance(self.state, CloseWanted())

    # Intents

    def _want(self, wanted: LoadWanted, now: float) -> None:
        if wanted.spec == self._checker.spec:
            return
        self._checker.drop(now)
        if staying := stays(self.state, wanted.spec):
            self._next = None
        if staying or holds(self.state, wanted.spec):
            self.tell(wanted)
            return
        if self._mover.active:
            if self._mover.want_instead(wanted.spec, now):
                return
        elif can_move(self.state, wanted.spec):
            self._mover.begin(wanted.spec, now)
            return
        loaded = self.state.loaded
        if loaded is not None and not self.state.replacing and not same_model(loaded, wanted.spec):
            self._checker.begin(wanted.spec, now)
        else:
            self._replace(wanted.spec, now)

    def _replace(self, spec: LoadSpec, now: float) -> None:
        """Load this in the place of whatever is up."""
        self._checker.make_place()
        self._next = spec
        self.tell(LoadWanted(spec))
        if self.state.turn is not None:
            self._turns.cancel(now)
        else:
            self.end_worker(Stage.QUIT, now)

    def _stop(self, stop: StopWanted, now: float) -> None:
        if self._checker.cancel(now) or self._mover.stop(now):
            return
        self._checker.settled()
        self._turns.rescue.call_off()
        before = self.state
        self.tell(stop)
        if before.turn is not None and before.loaded is not None:
            # Where a load was waiting for the turn to end, the load is given up, and the old worker stays.
            self._next = None
            self._turns.cancel(now)
        elif self._next is not None:
            self._next = None
            self.tell(LoadFailed(CANCELLED))
        elif before.phase is Phase.LOADING:
            self.order_stop(CancelLoad(), now)

    # The worker

    def _load(self, spec: LoadSpec, now: float) -> None:
        self._next = None
        epoch = self.state.epoch + 1
        try:
            worker, hello_due = self.crew.take(now)
        except OSError as error:
            self.tell(WorkerSpawned(epoch))
            self.tell(WorkerEnded(epoch, not_started(error)))
            return
        self.worker = worker
        self.tell(WorkerSpawned(epoch))
        self.due = Due(Wait.HELLO, hello_due)
        if worker.hello is not None:
            # A spare has introduced itself before it had a listener; each life tells its Hello once.
            self._hear(clean_event(worker.hello), now)
        try:
            self._mover.load(worker, spec)
        except (ProtocolError, UnicodeError):
            self._fail_load(NO_PATH)
            self.end_worker(Stage.QUIT, now)

    def _hear(self, event: Event, now: float) -> None:
        stopping = self.due is not None and self.due.wait is Wait.STOP
        match event:
            case Hello() | LoadProgress():
                self.tell(event)
                if not stopping and self.state.phase is Phase.LOADING:
                    self._expect_progress(now)
            case Loaded():
                if self.state.loaded is None:
                    self.due = None
                    self._checker.settled()
                    self.tell(event)
                    self.crew.keep_a_spare(now)
                    self._mover.loaded(now)
                    self._turns.rescue.loaded(now)
            case LoadFailed():
                if self.state.loaded is None:
                    self._fail_load(event.failure)
                    self.end_worker(Stage.QUIT, now)
            case TurnStarted() | PromptProgress() | Piece() | TurnResumed():
                self._turns.hear(event)
            case TurnPaused():
                if self._turns.hear(event):
                    self._mover.hear(event, now)
            case TurnEnded() | TurnFailed():
                if self._turns.hear(event):
                    if self.state.replacing:
                        self.end_worker(Stage.QUIT, now)
                    self._mover.turn_over(now)
            case DeviceMemory() | HeaderRead() | Tokenized():
                self.tell(event)
            case Checkpointed():
                self._turns.rescue.copied(event)
            case Reserved() | StateSaved() | StateRestored():
                if self._mover.active:
                    self._mover.hear(event, now)
                else:
                    self.tell(event)

    def _expect_progress(self, now: float) -> None:
        progress = self.state.progress
        self.due = Due(Wait.LOAD, now + stall(None if progress is None else progress.step, self._deadlines))

    def _overdue(self, wait: Wait, now: float) -> None:
        worker, turn, failure = self.worker, self.state.turn, None
        evidence = "" if worker is None else last_line(worker.log_tail())
        match wait:
            case Wait.HELLO | Wait.LOAD | Wait.TURN_START:
                failure = overdue(wait, self._deadlines, evidence)
            case Wait.STOP if turn is None or self.state.loaded is None:
                self._fail_load(CANCELLED)
            case Wait.STOP:
                failure = overdue(wait, self._deadlines, evidence)
                if self.state.replacing and turn is not None:
                    self.tell(TurnFailed(turn.turn, failure))
        self.end_worker(Stage.KILL, now, failure=failure)

    def _lose(self, child: Child, now: float) -> None:
        """The worker closed its socket, or what it says is garbage."""
        spare = self.crew.spare
        if spare is not None and child is spare.child:
            self.crew.drop_spare(Stage.NOTHING if child.eof else Stage.KILL, now)
        if child is self._mover.beside:
            self._mover.lose_beside(now, Stage.NOTHING if child.eof else Stage.KILL)
        if child is self._checker.child:
            self._checker.lose(Stage.NOTHING if child.eof else Stage.KILL, now)
        if child is not self.worker:
            return
        if self.state.phase is Phase.STOPPING and self.state.loaded is None and not self.state.replacing:
            self._fail_load(CANCELLED)
            self.end_worker(Stage.KILL, now)
        elif child.garbled is not None:
            self.end_worker(Stage.KILL, now, failure=garbled(child.garbled))
        else:
            self.end_worker(Stage.NOTHING, now, explain=True)

    def end_worker(self, stage: Stage, now: float, *, failure: Failure | None = None, explain: bool = False) -> None:
        """Put the worker on its way out."""
        worker, self.worker, self.due = self.worker, None, None
        if worker is None:
            return
        if stage is Stage.QUIT:
            # It reads Quit only when it has nothing else to do.
            if self.state.loaded is None:
                self.send(worker, CancelLoad())
            elif self.state.turn is not None:
                self.send(worker, Cancel(self.state.turn.turn))
        self.crew.end(worker, stage, now, epoch=self.state.epoch, failure=failure, explain=explain)

    def _fail_load(self, failure: Failure) -> None:
        """A load failed: what was up before comes back by itself."""
        if not self._mover.load_failed(failure) and not self._checker.load_failed(failure):
            self.tell(LoadFailed(failure))

    def _bury(self, ending: Ending, now: float) -> None:
        child, failure = ending.child, explanation(ending, self.state.phase, self.state.wanted)
        child.close()
        if ending.beside and failure is not None:
            self._mover.buried(child, failure, now)
        if ending.epoch is None:
            return
        if self._mover.in_place and (failure is None or self._mover.load_failed(failure)):
            self.tell(WorkerRetired(ending.epoch))
            return
        self._mover.give_up(now)
        if failure is not None and self._checker.load_failed(failure):
            failure = None
        self.tell(WorkerEnded(ending.epoch, failure))
        self._checker.buried()

    # For its parts

    def load_next(self, spec: LoadSpec | None) -> None:
        """Have this loaded as soon as there is place."""
        self._next = spec

    def take_over(self, child: Child) -> Child | None:
        """Make this the session's worker; the one it was until now."""
        old, self.worker, self.due = self.worker, child, None
        return old

    def resume(self, state: bytes, now: float) -> None:
        """Have the worker take up the turn that was halted, where one is."""
        self._turns.resume(state, now)

    def order_stop(self, order: Cancel | CancelLoad, now: float) -> None:
        """Have the worker stop what it does, and wait for that."""
        if self.worker is not None:
            self.send(self.worker, order)
            self.due = Due(Wait.STOP, now + self._deadlines.stop)

    def again(self, spec: LoadSpec | None, stop: bool, now: float) -> None:
        """Carry out what was wanted while a hand-over could not be interrupted."""
        if spec is not None:
            self._want(LoadWanted(spec), now)
        if stop:
            self._stop(StopWanted(), now)

    # Plumbing

    def send(self, child: Child, request: Request, descriptor: int | None = None) -> None:
        """Send a request to a worker; what earlier loads taught goes with a load that leaves the layers open."""
        if isinstance(request, Load) and (request.spec.n_gpu_layers is None or request.spec.placement == "best"):
            request = msgspec.structs.replace(request, learned=self._learned())
        child.send(request, descriptor)
        self.crew.watch(child)

    def tell(self, occurrence: Occurrence) -> None:
        """Advance the state, and tell the listener."""
        self.state = advance(self.state, occurrence)
        self._listener(self.state, occurrence)
        self._turns.rescue.settle()
