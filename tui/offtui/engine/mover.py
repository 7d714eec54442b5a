"""Moves a conversation from one load of a model to another: its KV cache, and the answer in its middle.

A transaction. Where both loads fit, the next worker loads beside the old one, which goes on answering until the hand-
over (make before break). Where they do not, the old one halts and hands its cache over first (break before make). What
goes wrong with the next worker leaves the old one answering, or has it loaded again with its cache. The parent's
memory holds the cache meanwhile, so that the death of any worker loses nothing that was saved.

Never blocks, and reads no clock; like the supervisor, whose part it is.
"""

from msgspec.structs import replace

from offtui.engine.child import Child, Deadlines
from offtui.engine.cleaning import clean_event
from offtui.engine.ending import Stage
from offtui.engine.handover import announce, ask_for_cache, give_cache, load_in_place, make_room, note, overdue, reserve
from offtui.engine.moves import HandedOver, MoveBegan, MoveEnded, MoveFailed, MoveStep, MoveStepped, Progress
from offtui.engine.overlap import same_model
from offtui.engine.slots import Slots
from offtui.engine.transfer import CANCELLED, Host, Overlap, Transfer, outcome
from offtui.engine.waiting import stall
from offtui.protocol.events import (
    Event,
    Hello,
    Loaded,
    LoadFailed,
    LoadProgress,
    Reserved,
    StateRestored,
    StateSaved,
    TurnFailed,
    TurnPaused,
)
from offtui.protocol.facts import Failure
from offtui.protocol.requests import CancelLoad, Load
from offtui.protocol.spec import LoadSpec


class Mover:
    """At most one move at a time."""

    def __init__(self, host: Host, overlap: Overlap | None, deadlines: Deadlines) -> None:
        self._host = host
        self._overlap = overlap
        self._deadlines = deadlines
        self._transfer: Transfer | None = None
        self._slots = Slots()

    @property
    def active(self) -> bool:
        """Whether a move is under way."""
        return self._transfer is not None

    @property
    def beside(self) -> Child | None:
        """The worker that is loading, or loaded, beside the session's."""
        return None if self._transfer is None else self._transfer.child

    @property
    def in_place(self) -> bool:
        """Whether the next worker takes the old one's place: what the session's worker does is part of the move."""
        move = self._transfer
        return move is not None and move.child is None and move.step in (MoveStep.LOADING, MoveStep.RESTORING)

    def patience(self, now: float) -> list[float]:
        """Seconds until ``on_time`` has something to do."""
        move = self._transfer
        return [] if move is None or move.due is None else [move.due - now]

    # What is wanted

    def begin(self, spec: LoadSpec, now: float, before: LoadSpec | None = None) -> None:
        """Move what is up, which was loaded for the wish ``before``, to ``spec``, which is of the same model."""
        state = self._host.state
        assert state.loaded is not None
        beside = self._overlap(state, spec, self._slots.used) if self._overlap is not None else None
        if beside is not None and self._slots.are_none(beside.rpc):
            beside = None
        self._transfer = move = Transfer(state.loaded, before or state.wanted, spec, MoveStep.BESIDE, beside=beside)
        self._host.tell(MoveBegan(spec, beside is not None))
        if beside is not None:
            reserve(self._host, move)
            self._load_beside(move, now)
        elif not make_room(self._host, move, self._deadlines, now):
            self._save(move, now)

    def want_instead(self, spec: LoadSpec, now: float) -> bool:
        """Another wish during a move. False: the move is given up, and the supervisor shall see to it."""
        move = self._transfer
        assert move is not None
        if move.step is MoveStep.SAVING or move.step is MoveStep.RESTORING:
            move.later, move.stop_later = spec, False
            return True
        if move.step.goes_on:
            self._end_beside(move, now)
            move.close()
            self._transfer = None
            if same_model(move.origin, spec) and not move.is_back(spec):
                self.begin(spec, now, move.before)
                return True
            self._host.tell(MoveFailed(CANCELLED))
            self._host.tell(MoveEnded(outcome(move)))
            return move.is_back(spec)
        if not same_model(move.origin, spec):
            self.give_up(now, Failure("cancelled", "Another model was wanted before the answer could go on."))
            return False
        move.target, move.failure = spec, None
        self._host.tell(MoveBegan(spec, False))
        self._host.tell(MoveStepped(MoveStep.LOADING))
        self._host.end_worker(Stage.QUIT, now)
        self._host.load_next(spec)
        return True

    def stop(self, now: float) -> bool:
        """Esc during a move. False: what is to be stopped is the session's worker's."""
        move = self._transfer
        if move is None or (move.step is MoveStep.RESTORING and move.child is None and move.dying is None):
            return False
        match move.step:
            case MoveStep.PREPARING | MoveStep.BESIDE:
                self._end_beside(move, now)
                self._refuse(move, CANCELLED)
            case MoveStep.SAVING | MoveStep.RESTORING:
                move.stop_later = True
            case MoveStep.LOADING:
                if self._host.worker is not None:
                    return False
                self._host.load_next(None)
                if not self.load_failed(CANCELLED):
                    self._host.tell(LoadFailed(CANCELLED))
        return True

    def give_up(self, now: float, failure: Failure | None = None) -> None:
        """Forget the move: its cache and its turn are lost, which ``failure`` says."""
        move, self._transfer = self._transfer, None
        if move is None:
            return
        self._end_beside(move, now)
        move.close()
        turn = self._host.state.turn
        if failure is not None and turn is not None:
            self._host.tell(TurnFailed(turn.turn, failure))
        if failure is not None:
            self._host.tell(MoveEnded(outcome(move)))

    # What the session's worker says

    def hear(self, event: Reserved | TurnPaused | StateSaved | StateRestored, now: float) -> None:
        """The old worker has room, halts and saves; the next one, in its place, restores."""
        move = self._transfer
        if move is None:
            return
        match event:
            case Reserved():
                self._prepared(now)
            case TurnPaused() | StateSaved():
                if note(move, event):
                    self._saved(move, now)
            case StateRestored():
                if move.step is MoveStep.RESTORING and move.child is None:
                    self._finish(move, event, now)

    def turn_over(self, now: float) -> None:
        """The turn ended instead of halting."""
        move = self._transfer
        if not self._prepared(now) and move is not None and move.step is MoveStep.SAVING and move.parcel is None:
            self._saved(move, now)

    def loaded(self, now: float) -> None:
        """The next worker has loaded in the old one's place."""
        move, worker = self._transfer, self._host.worker
        if move is not None and move.step is MoveStep.LOADING and worker is not None:
            self._restore(move, worker, now)

    def load(self, worker: Child, spec: LoadSpec) -> None:
        """Have the session's next worker load ``spec``.

        Raises:
            ProtocolError: the request is too long.
            UnicodeEncodeError: a text in it has lone surrogates.
        """
        left, self._slots.used = self._slots.lend(spec.rpc), spec.rpc
        load_in_place(self._host, self._transfer, worker, spec, left)

    def load_failed(self, failure: Failure) -> bool:
        """The load in the old one's place failed. True: the old one is loaded again; False: the move is over."""
        move = self._transfer
        if move is None or not self.in_place:
            return False
        if move.failure is not None:
            self._transfer = None
            move.close()
            return False
        move.failure, move.step, move.due = failure, MoveStep.LOADING, None
        self._host.tell(MoveFailed(failure))
        self._host.tell(MoveStepped(MoveStep.LOADING))
        self._host.load_next(move.origin.spec)
        return True

    # What the worker beside says

    def hear_beside(self, event: Event, now: float) -> None:
        """The worker that loads beside the session's has something to say."""
        move = self._transfer
        if move is None or move.child is None:
            return
        match event:
            case Hello():
                move.due = now + self._deadlines.load_stall
            case LoadProgress(step=step, fraction=fraction):
                move.due = now + stall(step, self._deadlines)
                self._host.tell(MoveStepped(MoveStep.BESIDE, Progress(step, min(1.0, max(0.0, fraction)))))
            case Loaded() if move.step is MoveStep.BESIDE:
                move.loaded = replace(event, spec=replace(event.spec, rpc=move.target.rpc))
                self._save(move, now)
            case LoadFailed(failure=failure):
                self._end_beside(move, now)
                self._beside_failed(move, failure, now)
            case StateRestored() if move.step is MoveStep.RESTORING:
                self._hand_over(move, event, now)
            case _:
                pass

    def lose_beside(self, now: float, stage: Stage = Stage.NOTHING) -> None:
        """It closed its socket, or talks nonsense, or is silent; the autopsy says why once it is reaped."""
        move = self._transfer
        if move is not None and move.child is not None:
            move.dying, move.child = move.child, None
            if move.step is not MoveStep.SAVING:  # for which the old worker has its time still
                move.due = None
            self._host.crew.end(move.dying, stage, now, beside=True, explain=True)

    def buried(self, child: Child, failure: Failure, now: float) -> None:
        """A worker that loaded beside the session's died."""
        move = self._transfer
        if move is not None and move.dying is child:
            move.dying = None
            if move.step is not MoveStep.LOADING:  # the old one died too, and is loaded again
                self._beside_failed(move, failure, now)

    def on_time(self, now: float) -> None:
        """Enforce the deadlines; load beside the session's worker once there is place."""
        move = self._transfer
        if move is None:
            return
        if move.step is MoveStep.BESIDE and move.child is None and move.dying is None and self._host.crew.has_place:
            self._load_beside(move, now)
        elif move.due is not None and now >= move.due:
            self._overdue(move, now)

    # Steps

    def _load_beside(self, move: Transfer, now: float) -> None:
        assert move.beside is not None
        if not self._host.crew.has_place:
            return
        try:
            move.child, move.due = self._host.crew.take(now)
        except OSError:
            move.beside = None
            self._save(move, now)  # where no process can be started, the load in the old one's place will say so
            return
        if move.child.hello is not None:
            move.due = now + self._deadlines.load_stall
        left = self._slots.lend(move.beside.rpc)
        self._host.send(move.child, Load(move.beside, move.origin.flash_attn, left=left))
        announce(self._host, move, move.child)
        self._host.crew.keep_a_spare(now)

    def _prepared(self, now: float) -> bool:
        """There is room for the cache, or no more time for that. False: it was not waited for."""
        move = self._transfer
        if move is None or move.step is not MoveStep.PREPARING:
            return False
        self._save(move, now)
        return True

    def _save(self, move: Transfer, now: float) -> None:
        """Have the old worker halt its answer, and hand its cache over."""
        if not ask_for_cache(self._host, move, self._deadlines, now):
            self._saved(move, now)

    def _saved(self, move: Transfer, now: float) -> None:
        if move.child is not None:
            self._restore(move, move.child, now)
            return
        if move.beside is not None:  # it died meanwhile: of what, is or will be known
            move.step, move.due = MoveStep.RESTORING, None
            if move.lost is not None:
                self._beside_failed(move, move.lost, now)
            return
        if move.is_back(move.later) and not move.why:
            move.later = None
            self._stay(move, CANCELLED, now)
            return
        move.step, move.due = MoveStep.LOADING, None
        self._host.tell(MoveStepped(MoveStep.LOADING))
        self._host.load_next(move.target)
        self._host.end_worker(Stage.QUIT, now)

    def _restore(self, move: Transfer, child: Child, now: float) -> None:
        """Give the next worker the cache, and the turn behind it."""
        if give_cache(self._host, move, child, self._deadlines, now):
            return
        nothing = StateRestored(0, 0, 0.0, move.why)
        if move.child is not None:
            self._hand_over(move, nothing, now)
        else:
            self._finish(move, nothing, now)

    def _hand_over(self, move: Transfer, restored: StateRestored, now: float) -> None:
        """The worker beside becomes the session's."""
        child, loaded = move.child, move.loaded
        assert child is not None
        assert child.hello is not None
        assert loaded is not None
        assert move.beside is not None
        host = self._host
        old = host.take_over(child)
        move.child = None
        self._slots.used = move.beside.rpc
        host.tell(HandedOver(host.state.epoch + 1))
        host.tell(clean_event(child.hello))
        host.tell(loaded)
        if old is not None:
            host.crew.end(old, Stage.QUIT, now, beside=True)
        self._finish(move, restored, now)

    def _finish(self, move: Transfer, restored: StateRestored, now: float) -> None:
        """The next worker is the session's, with the cache or without; the turn goes on in it."""
        self._transfer = None
        host = self._host
        if restored.size:
            host.tell(restored)
        host.tell(MoveEnded(outcome(move, restored)))
        move.close()
        if move.paused is not None:
            host.resume(move.paused.state, now)
        host.crew.keep_a_spare(now)
        host.again(move.later, move.stop_later, now)

    def _beside_failed(self, move: Transfer, failure: Failure, now: float) -> None:
        if move.step is MoveStep.SAVING:
            move.lost = failure  # the old worker can do nothing else before it has halted
            return
        if failure.kind in ("rpc_busy", "rpc_unreachable", "rpc_mismatch") and move.beside is not None:
            # The device has no second slot after all: the load takes the old one's place.
            if move.beside.rpc != move.target.rpc:
                self._slots.note_none(move.beside.rpc)
            move.beside = None
            self._host.tell(MoveBegan(move.target, False))
            if move.step is MoveStep.BESIDE:
                self._save(move, now)
            else:
                self._saved(move, now)
            return
        self._stay(move, failure, now)

    def _stay(self, move: Transfer, failure: Failure, now: float) -> None:
        self._refuse(move, failure)
        if move.paused is not None:
            self._host.resume(move.paused.state, now)
        self._host.again(move.later, move.stop_later, now)

    def _refuse(self, move: Transfer, failure: Failure) -> None:
        """The target is not to be had, and the old worker is up as before."""
        self._transfer = None
        move.failure = failure
        move.close()
        self._host.tell(MoveFailed(failure))
        self._host.tell(MoveEnded(outcome(move)))

    def _overdue(self, move: Transfer, now: float) -> None:
        move.due = None
        if self._prepared(now):
            return
        if move.child is not None and move.step is not MoveStep.SAVING:
            self._end_beside(move, now, Stage.KILL)
            self._beside_failed(move, overdue(move.step), now)
            return
        saving = move.step is MoveStep.SAVING
        if saving and (self._host.state.turn is None or move.paused is not None):
            # Nothing but the cache is missing: it is evaluated again.
            move.close()
            move.why = "The worker did not hand its KV cache over in time."
            self._saved(move, now)
            return
        if saving:
            self.give_up(now)
        self._host.end_worker(Stage.KILL, now, failure=overdue(move.step))

    def _end_beside(self, move: Transfer, now: float, stage: Stage = Stage.QUIT) -> None:
        child, move.child = move.child, None
        if move.step is not MoveStep.SAVING:
            move.due = None
        if child is not None:
            if stage is Stage.QUIT and move.loaded is None:
                self._host.send(child, CancelLoad())
            self._host.crew.end(child, stage, now, beside=True)
        move.dying = None
