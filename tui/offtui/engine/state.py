"""The state of a session and how it changes: frozen values and one pure function."""

import enum
from typing import assert_never

import msgspec
from msgspec.structs import replace

from offtui.engine.moves import (
    HandedOver,
    Move,
    MoveBegan,
    Moved,
    MoveEnded,
    MoveFailed,
    MoveStep,
    MoveStepped,
    Moving,
    Progress,
    WorkerRetired,
)
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
from offtui.protocol.facts import DeviceFacts, Failure, Timings
from offtui.protocol.spec import LoadSpec


class Phase(enum.StrEnum):
    """What the session is doing."""

    EMPTY = "empty"
    LOADING = "loading"
    READY = "ready"
    GENERATING = "generating"
    STOPPING = "stopping"
    """Esc was pressed, or the worker is being ended for another load."""
    CRASHED = "crashed"
    """The worker died or the load failed; ``failure`` says why. Nothing of the conversation is lost."""
    CLOSED = "closed"


class TurnState(msgspec.Struct, frozen=True):
    """The turn being answered: how far it is, by the worker's clock."""

    turn: int
    prompt_tokens: int | None = None
    """``None`` until the prompt is tokenized."""
    reused_tokens: int = 0
    prompt_done: int = 0
    tokens: int = 0
    first_token: float | None = None
    """``time.monotonic()`` of the first and the newest text."""
    first_tokens: int = 0
    """Tokens there were at ``first_token``."""
    last_token: float | None = None
    paused: bool = False
    """Halted at a token boundary, to go on in another worker."""
    moves: int = 0
    """How often it has gone to another worker; ``tps`` counts from the last time on."""

    @property
    def tps(self) -> float | None:
        """Generation speed so far."""
        if self.first_token is None or self.last_token is None:
            return None
        tokens, seconds = self.tokens - self.first_tokens, self.last_token - self.first_token
        return tokens / seconds if tokens > 0 and seconds > 0 else None


class Broken(msgspec.Struct, frozen=True):
    """A turn whose worker died, and that can go on in another one."""

    turn: int
    model: str
    """Path of the one that wrote it."""
    kept: int
    """Tokens of it in a copy of the KV cache; the others are evaluated again."""
    total: int


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a screen needs to know of the session."""

    phase: Phase = Phase.EMPTY
    epoch: int = 0
    """Lives of a worker so far; facts of an older one are dropped."""
    wanted: LoadSpec | None = None
    loaded: Loaded | None = None
    """The truth about the load that is up now; ``None`` while nothing is."""
    last_good: LoadSpec | None = None
    """The newest spec that loaded, to go back to."""
    progress: Progress | None = None
    turn: TurnState | None = None
    last_timings: Timings | None = None
    n_past: int = 0
    """Tokens in the KV cache."""
    has_worker: bool = False
    """A process of this epoch is there; from its spawn until it is reaped."""
    replacing: bool = False
    """The worker that is up is being ended to make place for ``wanted``."""
    memory: tuple[DeviceFacts, ...] = ()
    failure: Failure | None = None
    """Of the last load, turn or worker; cleared when the next one begins."""
    move: Move | None = None
    """To another load of the same model, the conversation kept; ``None`` while none is under way."""
    moved: Moved | None = None
    """The last one that came to an end."""
    broken: Broken | None = None
    """What can go on where it broke off."""


class LoadWanted(msgspec.Struct, frozen=True):
    """Intent: have this loaded."""

    spec: LoadSpec


class TurnWanted(msgspec.Struct, frozen=True):
    """Intent: answer a conversation."""

    turn: int


class StopWanted(msgspec.Struct, frozen=True):
    """Intent: stop the turn or the load that is running."""


class CloseWanted(msgspec.Struct, frozen=True):
    """Intent: end everything."""


class WorkerSpawned(msgspec.Struct, frozen=True):
    """A process was started for ``wanted``; it has shaken hands, or not yet."""

    epoch: int


class WorkerEnded(msgspec.Struct, frozen=True):
    """The worker of that epoch is reaped. ``failure`` is ``None`` where the end was wanted."""

    epoch: int
    failure: Failure | None


class TurnBroken(msgspec.Struct, frozen=True):
    """The turn is gone without having ended; what came of it is kept, and it can go on."""

    broken: Broken


Intent = LoadWanted | TurnWanted | StopWanted | CloseWanted
Occurrence = Intent | WorkerSpawned | WorkerEnded | TurnBroken | Moving | Event


def holds(state: SessionState, spec: LoadSpec) -> bool:
    """Whether ``spec`` is loaded already, or on its way."""
    if state.phase is Phase.LOADING or state.replacing or state.move is not None:
        return spec == state.wanted
    if state.loaded is None or state.wanted is None:
        return False
    # or what was left open, filled in as it turned out
    up, wanted = state.loaded.spec, state.wanted
    layers = replace(wanted, n_gpu_layers=up.n_gpu_layers, placement=up.placement)
    return spec in (wanted, up, layers, replace(wanted, n_ctx=up.n_ctx), replace(layers, n_ctx=up.n_ctx))


def stays(state: SessionState, spec: LoadSpec) -> bool:
    """Whether ``spec`` is what is up, which was to make place but only gives back its turn as yet: it stays."""
    return state.replacing and state.turn is not None and state.loaded is not None and spec == state.loaded.spec


def advance(state: SessionState, occurrence: Occurrence) -> SessionState:
    """The state after ``occurrence``. Pure, and total: what makes no sense in a state leaves it as it is."""
    if state.phase is Phase.CLOSED:
        return state
    match occurrence:
        case LoadWanted(spec=spec):
            return _load_wanted(state, spec)
        case TurnWanted(turn=turn):
            if state.phase is not Phase.READY:
                return state
            return replace(state, phase=Phase.GENERATING, turn=TurnState(turn), failure=None, broken=None)
        case StopWanted():
            return _stop_wanted(state)
        case CloseWanted():
            return replace(_without_worker(state), phase=Phase.CLOSED, replacing=False)
        case WorkerSpawned(epoch=epoch):
            if epoch <= state.epoch or state.has_worker or state.phase is not Phase.LOADING:
                return state
            return replace(state, epoch=epoch, has_worker=True)
        case WorkerEnded(epoch=epoch, failure=failure):
            return _worker_ended(state, failure) if state.has_worker and epoch == state.epoch else state
        case TurnBroken(broken=broken):
            return replace(state, broken=broken) if state.turn is None else state
        case LoadProgress(step=step, fraction=fraction):
            if state.phase is not Phase.LOADING:
                return state
            return replace(state, progress=Progress(step, min(1.0, max(0.0, fraction))))
        case Loaded():
            return _loaded(state, occurrence)
        case LoadFailed(failure=failure):
            if state.phase not in (Phase.LOADING, Phase.STOPPING) or _answering(state):
                return state
            return replace(_without_worker(state), phase=Phase.CRASHED, replacing=False, failure=failure)
        case DeviceMemory(devices=devices):
            return replace(state, memory=devices) if state.has_worker else state
        case MoveBegan() | MoveStepped() | HandedOver() | WorkerRetired() | MoveFailed() | MoveEnded():
            return _moving(state, occurrence)
        case StateRestored(tokens=tokens):
            return replace(state, n_past=tokens) if state.loaded is not None else state
        case TurnStarted() | PromptProgress() | Piece() | TurnPaused() | TurnResumed() | TurnEnded() | TurnFailed():
            if state.turn is None or state.turn.turn != occurrence.turn:
                return state
            return _turn(state, state.turn, occurrence)
        case Hello() | HeaderRead() | Reserved() | StateSaved() | Checkpointed() | Tokenized():
            return state
        case _:
            assert_never(occurrence)


def _without_worker(state: SessionState) -> SessionState:
    return replace(state, loaded=None, progress=None, turn=None, n_past=0, memory=(), move=None)


def _moving(state: SessionState, occurrence: Moving) -> SessionState:
    move = state.move
    match occurrence:
        case MoveBegan(target=target, beside=beside):
            origin = move.origin if move is not None else state.loaded.spec if state.loaded is not None else target
            step = MoveStep.BESIDE if beside else MoveStep.SAVING
            began = Move(origin=origin, target=target, beside=beside, step=step)
            return replace(state, wanted=target, failure=None, move=began)
        case MoveStepped(step=step, progress=progress):
            if move is None:
                return state
            phase = Phase.STOPPING if step is MoveStep.SAVING else state.phase
            return replace(state, phase=phase, move=replace(move, step=step, progress=progress))
        case HandedOver(epoch=epoch):
            return replace(state, epoch=epoch, has_worker=True, loaded=None, progress=None, phase=Phase.STOPPING)
        case WorkerRetired(epoch=epoch):
            if epoch != state.epoch or not state.has_worker:
                return state
            return replace(
                _without_worker(state), phase=Phase.LOADING, has_worker=False, turn=state.turn, move=move, n_past=0
            )
        case MoveFailed(failure=failure):
            if move is None:
                return replace(state, failure=failure)
            return replace(state, wanted=move.origin, move=replace(move, target=move.origin, failure=failure))
        case MoveEnded(moved=moved):
            phase = state.phase
            if phase is Phase.STOPPING and state.loaded is not None:
                phase = Phase.READY if state.turn is None else Phase.GENERATING
            return replace(state, phase=phase, move=None, moved=moved, failure=moved.failure or state.failure)
        case _:
            assert_never(occurrence)


def _load_wanted(state: SessionState, spec: LoadSpec) -> SessionState:
    if holds(state, spec):
        return replace(state, wanted=spec)
    if stays(state, spec):
        return replace(state, replacing=False, wanted=spec, failure=None)
    phase = Phase.STOPPING if state.has_worker else Phase.LOADING
    return replace(state, phase=phase, wanted=spec, replacing=state.has_worker, progress=None, failure=None)


def _stop_wanted(state: SessionState) -> SessionState:
    if state.has_worker and state.phase in (Phase.LOADING, Phase.GENERATING):
        return replace(state, phase=Phase.STOPPING)
    if state.replacing and state.turn is not None and state.loaded is not None:
        # The old worker is still up, giving back its turn: it stays.
        return replace(state, replacing=False, wanted=state.loaded.spec)
    return state


def _worker_ended(state: SessionState, failure: Failure | None) -> SessionState:
    gone = replace(_without_worker(state), has_worker=False)
    if state.replacing:
        return replace(gone, phase=Phase.LOADING, replacing=False, failure=None)
    if failure is not None:
        return replace(gone, phase=Phase.CRASHED, failure=failure)
    return gone if state.phase is Phase.CRASHED else replace(gone, phase=Phase.EMPTY)


def _loaded(state: SessionState, loaded: Loaded) -> SessionState:
    waited_for = state.phase in (Phase.LOADING, Phase.STOPPING) and not state.replacing
    if not state.has_worker or not waited_for or state.loaded is not None:
        return state
    return replace(
        state,
        phase=Phase.READY if state.turn is None else Phase.GENERATING,
        loaded=loaded,
        last_good=loaded.spec,
        progress=None,
        n_past=0,
        memory=loaded.memory,
        # Of a wish that failed, so that this one was loaded again; all others were cleared when the load began.
        failure=None if state.move is not None else state.failure,
    )


def _answering(state: SessionState) -> bool:
    """Whether a worker is at a turn; one that is on its way from one to another waits."""
    return state.turn is not None and not state.turn.paused


def _leaving(state: SessionState) -> bool:
    """Whether the worker that is up takes no more turns."""
    return state.replacing or (state.move is not None and state.move.step is MoveStep.SAVING)


def _turn(
    state: SessionState,
    turn: TurnState,
    event: TurnStarted | PromptProgress | Piece | TurnPaused | TurnResumed | TurnEnded | TurnFailed,
) -> SessionState:
    match event:
        case TurnPaused():
            return replace(state, turn=replace(turn, paused=True), n_past=event.n_past)
        case TurnResumed():
            again = replace(turn, paused=False, moves=turn.moves + 1, first_token=None, last_token=None)
            phase = Phase.GENERATING if state.phase is not Phase.STOPPING or state.move is None else state.phase
            return replace(state, phase=phase, turn=again, n_past=event.kept_tokens)
        case TurnStarted():
            progress = replace(
                turn,
                prompt_tokens=event.prompt_tokens,
                reused_tokens=event.reused_tokens,
                prompt_done=event.reused_tokens,
            )
            return replace(state, turn=progress, n_past=event.reused_tokens)
        case PromptProgress():
            return replace(
                state, turn=replace(turn, prompt_done=event.done, prompt_tokens=event.total), n_past=event.done
            )
        case Piece():
            if turn.first_token is None:
                turn = replace(turn, first_token=event.time, first_tokens=event.tokens)
            progress = replace(turn, tokens=event.tokens, last_token=event.time)
            return replace(state, turn=progress, n_past=event.n_past)
        case TurnEnded():
            phase = Phase.STOPPING if _leaving(state) else Phase.READY
            return replace(state, phase=phase, turn=None, last_timings=event.timings, n_past=event.timings.n_past)
        case TurnFailed():
            phase = Phase.STOPPING if _leaving(state) else Phase.READY
            return replace(state, phase=phase, turn=None, failure=event.failure)
        case _:
            assert_never(event)
