"""`advance`, line by line, and as a machine that hypothesis drives."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
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
    WorkerRetired,
)
from offtui.engine.state import (
    CloseWanted,
    LoadWanted,
    Phase,
    SessionState,
    StopWanted,
    TurnState,
    TurnWanted,
    WorkerEnded,
    WorkerSpawned,
    advance,
    holds,
)
from offtui.protocol.events import (
    DeviceMemory,
    HeaderRead,
    Hello,
    LoadFailed,
    LoadProgress,
    Piece,
    PromptProgress,
    StateRestored,
    TurnEnded,
    TurnFailed,
    TurnPaused,
    TurnResumed,
    TurnStarted,
)
from offtui.protocol.facts import DeviceFacts, Failure
from offtui.protocol.spec import LoadSpec
from tests.fakes.worker import loaded, timings

A, B = LoadSpec(model="a.gguf"), LoadSpec(model="b.gguf")
UP = loaded(A)
UP_9 = replace(UP.spec, n_gpu_layers=9)
WRONG = Failure("crashed", "It died.")
CANCELLED = Failure("cancelled", "Cancelled.")

EMPTY = SessionState()
WAITING = SessionState(phase=Phase.LOADING, wanted=A)
LOADING = SessionState(phase=Phase.LOADING, wanted=A, epoch=1, has_worker=True)
GIVING_UP = replace(LOADING, phase=Phase.STOPPING)
READY = SessionState(
    phase=Phase.READY, wanted=A, epoch=1, has_worker=True, loaded=UP, last_good=UP.spec, memory=UP.memory
)
GENERATING = replace(READY, phase=Phase.GENERATING, turn=TurnState(7))
STOPPING = replace(GENERATING, phase=Phase.STOPPING)
REPLACING = replace(READY, phase=Phase.STOPPING, wanted=B, replacing=True)
REPLACING_TURN = replace(REPLACING, turn=TurnState(7))
FAILED = SessionState(phase=Phase.CRASHED, wanted=A, epoch=1, has_worker=True, failure=WRONG)
CRASHED = replace(FAILED, has_worker=False)
MOVING = replace(GENERATING, wanted=UP_9, move=Move(origin=UP.spec, target=UP_9, beside=True, step=MoveStep.BESIDE))
HANDING = replace(MOVING, phase=Phase.STOPPING, move=replace(MOVING.move, step=MoveStep.SAVING))
HALTED = replace(HANDING, turn=TurnState(7, paused=True))
IN_PLACE = replace(
    HALTED,
    phase=Phase.LOADING,
    loaded=None,
    memory=(),
    has_worker=False,
    move=replace(HANDING.move, step=MoveStep.LOADING, beside=False),
)
NEXT = replace(IN_PLACE, epoch=2, has_worker=True)
OUTCOME = Moved(origin=UP.spec, target=UP_9, beside=True, tokens=20)
CLOSED = SessionState(phase=Phase.CLOSED, epoch=1, wanted=A, last_good=A)

GONE = {"turn": None, "move": None, "loaded": None, "memory": (), "has_worker": False}
TABLE = [
    # state, occurrence, what changes
    (GENERATING, MoveBegan(UP_9, True), {"wanted": UP_9, "move": MOVING.move}),
    (MOVING, LoadWanted(UP_9), {}),
    (MOVING, MoveStepped(MoveStep.SAVING), {"phase": Phase.STOPPING, "move": HANDING.move}),
    (GENERATING, MoveStepped(MoveStep.SAVING), {}),
    (MOVING, MoveFailed(WRONG), {"wanted": UP.spec, "move": replace(MOVING.move, target=UP.spec, failure=WRONG)}),
    (MOVING, WorkerEnded(1, WRONG), {**GONE, "phase": Phase.CRASHED, "failure": WRONG}),
    (HANDING, TurnPaused(7, b"", 20), {"turn": HALTED.turn, "n_past": 20}),
    (HANDING, TurnEnded(7, "end", timings(3)), {"turn": None, "last_timings": timings(3), "n_past": 23}),
    (HALTED, HandedOver(2), {"epoch": 2, "loaded": None}),
    (HALTED, TurnResumed(7, 21, 20), {"turn": TurnState(7, moves=1), "n_past": 20}),
    (HALTED, MoveEnded(OUTCOME), {"phase": Phase.GENERATING, "move": None, "moved": OUTCOME}),
    (HALTED, StateRestored(20, 9, 0.1), {"n_past": 20}),
    (
        replace(HALTED, move=IN_PLACE.move),
        WorkerRetired(1),
        {"phase": Phase.LOADING, "loaded": None, "memory": (), "has_worker": False},
    ),
    (NEXT, WorkerRetired(1), {}),
    (
        NEXT,
        UP,
        {"phase": Phase.GENERATING, "loaded": UP, "last_good": UP.spec, "memory": UP.memory, "failure": None},
    ),
    (NEXT, LoadFailed(WRONG), {"phase": Phase.CRASHED, "failure": WRONG, "turn": None, "move": None}),
    (EMPTY, LoadWanted(A), {"phase": Phase.LOADING, "wanted": A}),
    (CRASHED, LoadWanted(B), {"phase": Phase.LOADING, "wanted": B, "failure": None}),
    (FAILED, LoadWanted(B), {"phase": Phase.STOPPING, "wanted": B, "replacing": True, "failure": None}),
    (LOADING, LoadWanted(A), {}),
    (LOADING, LoadWanted(B), {"phase": Phase.STOPPING, "wanted": B, "replacing": True}),
    (WAITING, LoadWanted(B), {"wanted": B}),
    (READY, LoadWanted(A), {}),
    (READY, LoadWanted(UP.spec), {"wanted": UP.spec}),
    (READY, LoadWanted(B), {"phase": Phase.STOPPING, "wanted": B, "replacing": True}),
    (GENERATING, LoadWanted(B), {"phase": Phase.STOPPING, "wanted": B, "replacing": True}),
    (REPLACING, LoadWanted(A), {"wanted": A}),
    (GIVING_UP, LoadWanted(A), {"phase": Phase.STOPPING, "replacing": True}),
    (READY, TurnWanted(7), {"phase": Phase.GENERATING, "turn": TurnState(7)}),
    (LOADING, TurnWanted(7), {}),
    (GENERATING, TurnWanted(8), {}),
    (CRASHED, TurnWanted(7), {}),
    (EMPTY, StopWanted(), {}),
    (READY, StopWanted(), {}),
    (WAITING, StopWanted(), {}),
    (WAITING, LoadFailed(CANCELLED), {"phase": Phase.CRASHED, "failure": CANCELLED}),
    (WAITING, UP, {}),
    (CRASHED, DeviceMemory(UP.memory, 1.0), {}),
    (LOADING, StopWanted(), {"phase": Phase.STOPPING}),
    (GENERATING, StopWanted(), {"phase": Phase.STOPPING}),
    (REPLACING, StopWanted(), {}),
    (REPLACING_TURN, StopWanted(), {"replacing": False, "wanted": UP.spec}),
    (READY, CloseWanted(), {"phase": Phase.CLOSED, "loaded": None, "memory": ()}),
    (WAITING, WorkerSpawned(1), {"epoch": 1, "has_worker": True}),
    (LOADING, WorkerSpawned(2), {}),
    (EMPTY, WorkerSpawned(1), {}),
    (LOADING, Hello(1, "0", ()), {}),
    (LOADING, WorkerEnded(0, WRONG), {}),
    (LOADING, WorkerEnded(1, WRONG), {"phase": Phase.CRASHED, "failure": WRONG, "has_worker": False}),
    (
        GENERATING,
        WorkerEnded(1, WRONG),
        {"phase": Phase.CRASHED, "failure": WRONG, "turn": None, "loaded": None, "memory": (), "has_worker": False},
    ),
    (FAILED, WorkerEnded(1, None), {"has_worker": False}),
    (CRASHED, WorkerEnded(1, None), {}),
    (READY, WorkerEnded(1, None), {"phase": Phase.EMPTY, "loaded": None, "memory": (), "has_worker": False}),
    (
        REPLACING,
        WorkerEnded(1, None),
        {"phase": Phase.LOADING, "replacing": False, "loaded": None, "memory": (), "has_worker": False},
    ),
    (
        REPLACING_TURN,
        WorkerEnded(1, WRONG),
        {
            "phase": Phase.LOADING,
            "replacing": False,
            "loaded": None,
            "turn": None,
            "memory": (),
            "has_worker": False,
        },
    ),
    (READY, LoadProgress("weights", 0.5), {}),
    (LOADING, LoadFailed(WRONG), {"phase": Phase.CRASHED, "failure": WRONG}),
    (GIVING_UP, LoadFailed(CANCELLED), {"phase": Phase.CRASHED, "failure": CANCELLED}),
    (
        REPLACING,
        LoadFailed(CANCELLED),
        {"phase": Phase.CRASHED, "failure": CANCELLED, "replacing": False, "loaded": None, "memory": ()},
    ),
    (READY, LoadFailed(WRONG), {}),
    (LOADING, UP, {"phase": Phase.READY, "loaded": UP, "last_good": UP.spec, "memory": UP.memory}),
    (GIVING_UP, UP, {"phase": Phase.READY, "loaded": UP, "last_good": UP.spec, "memory": UP.memory}),
    (READY, UP, {}),
    (replace(REPLACING, loaded=None), UP, {}),
    (READY, DeviceMemory((), 1.0), {"memory": ()}),
    (GENERATING, TurnStarted(8, 20, 5), {}),
    (
        GENERATING,
        TurnStarted(7, 20, 5),
        {"turn": TurnState(7, prompt_tokens=20, reused_tokens=5, prompt_done=5), "n_past": 5},
    ),
    (GENERATING, PromptProgress(7, 9, 20), {"turn": TurnState(7, prompt_tokens=20, prompt_done=9), "n_past": 9}),
    (
        GENERATING,
        Piece(7, "answer", "x", 2, 22, 3.0),
        {"turn": TurnState(7, tokens=2, first_token=3.0, first_tokens=2, last_token=3.0), "n_past": 22},
    ),
    (STOPPING, Piece(8, "answer", "x", 2, 22, 3.0), {}),
    (
        GENERATING,
        TurnEnded(7, "end", timings(5)),
        {"phase": Phase.READY, "turn": None, "last_timings": timings(5), "n_past": 25},
    ),
    (
        STOPPING,
        TurnEnded(7, "cancelled", timings(5)),
        {"phase": Phase.READY, "turn": None, "last_timings": timings(5), "n_past": 25},
    ),
    (REPLACING_TURN, TurnEnded(7, "cancelled", timings(5)), {"turn": None, "last_timings": timings(5), "n_past": 25}),
    (GENERATING, TurnEnded(6, "end", timings(5)), {}),
    (GENERATING, TurnFailed(7, WRONG), {"phase": Phase.READY, "turn": None, "failure": WRONG}),
    (REPLACING_TURN, TurnFailed(7, WRONG), {"turn": None, "failure": WRONG}),
    (READY, TurnFailed(9, WRONG), {}),
    (READY, HeaderRead("x", None, WRONG), {}),
    (CLOSED, LoadWanted(B), {}),
    (CLOSED, UP, {}),
    (CLOSED, WorkerEnded(1, WRONG), {}),
]


@pytest.mark.parametrize(("state", "occurrence", "changes"), TABLE)
def test_advance(state, occurrence, changes):
    assert advance(state, occurrence) == replace(state, **changes)


def test_progress_is_shown_within_its_bounds():
    for told, shown in ((0.25, 0.25), (-1.0, 0.0), (7.0, 1.0)):
        state = advance(LOADING, LoadProgress("weights", told))
        assert state.progress
        assert state.progress.fraction == shown


def test_speed_counts_what_came_after_the_first_text():
    state = GENERATING
    assert state.turn.tps is None
    for tokens, when in ((3, 10.0), (4, 10.5), (7, 12.0)):
        state = advance(state, Piece(7, "answer", "x", tokens, 20 + tokens, when))
    assert state.turn.tps == 2.0


SPECS = st.sampled_from([LoadSpec(model=name, n_gpu_layers=layers) for name in "ab" for layers in (0, 4)])
TURNS = st.integers(1, 3)
EPOCHS = st.integers(0, 6)
FAILURES = st.sampled_from([WRONG, CANCELLED])
ANY_OCCURRENCE = st.one_of(
    st.builds(LoadWanted, SPECS),
    st.builds(TurnWanted, TURNS),
    st.just(StopWanted()),
    st.builds(WorkerSpawned, EPOCHS),
    st.builds(WorkerEnded, EPOCHS, st.none() | FAILURES),
    st.builds(LoadProgress, st.sampled_from(["plan", "weights"]), st.floats(0, 1)),
    st.builds(loaded, SPECS),
    st.builds(LoadFailed, FAILURES),
    st.builds(TurnStarted, TURNS, st.just(20), st.just(5)),
    st.builds(PromptProgress, TURNS, st.just(10), st.just(20)),
    st.builds(Piece, TURNS, st.just("answer"), st.text(), st.integers(1, 9), st.just(30), st.floats(0, 1e6)),
    st.builds(TurnEnded, TURNS, st.just("end"), st.builds(timings, st.integers(0, 9))),
    st.builds(TurnFailed, TURNS, FAILURES),
    st.builds(DeviceMemory, st.just((DeviceFacts("CPU", "cpu", "", None, None),)), st.just(1.0)),
)


class AnyStory(RuleBasedStateMachine):
    """Occurrences in any order, sensible or not: the state never contradicts itself."""

    def __init__(self) -> None:
        super().__init__()
        self.state = SessionState()
        self.before = self.state

    @rule(occurrence=ANY_OCCURRENCE)
    def happens(self, occurrence) -> None:
        self.before, self.state = self.state, advance(self.state, occurrence)

    @rule(spec=SPECS)
    def a_wish_is_remembered(self, spec) -> None:
        held = holds(self.state, spec)
        self.before, self.state = self.state, advance(self.state, LoadWanted(spec))
        assert (self.state == replace(self.before, wanted=spec)) if held else (self.state.wanted == spec)

    @precondition(lambda self: self.state.has_worker)
    @rule(failure=st.none() | FAILURES)
    def the_worker_ends(self, failure) -> None:
        self.before, self.state = self.state, advance(self.state, WorkerEnded(self.state.epoch, failure))
        assert not self.state.has_worker
        assert self.state.loaded is None
        assert self.state.phase in (Phase.LOADING, Phase.EMPTY, Phase.CRASHED)

    @precondition(lambda self: self.state.phase is Phase.LOADING and not self.state.has_worker)
    @rule(fine=st.booleans())
    def the_load_ends(self, fine) -> None:
        state = advance(self.state, WorkerSpawned(self.state.epoch + 1))
        outcome = loaded(state.wanted) if fine else LoadFailed(WRONG)
        self.before, self.state = self.state, advance(state, outcome)
        assert self.state.phase is (Phase.READY if fine else Phase.CRASHED)

    @invariant()
    def consistent(self) -> None:
        state = self.state
        match state.phase:
            case Phase.EMPTY:
                assert not state.has_worker
                assert state.loaded is None
                assert state.turn is None
            case Phase.LOADING:
                assert state.wanted is not None
                assert state.loaded is None
                assert state.turn is None
                assert state.failure is None
            case Phase.READY:
                assert state.loaded is not None
                assert state.has_worker
                assert state.turn is None
            case Phase.GENERATING:
                assert state.loaded is not None
                assert state.has_worker
                assert state.turn is not None
            case Phase.STOPPING:
                assert state.has_worker
                assert state.replacing or state.turn is not None or state.loaded is None
            case Phase.CRASHED:
                assert state.failure is not None
                assert state.loaded is None
                assert state.turn is None
            case Phase.CLOSED:
                raise AssertionError("nobody closed it")
        assert not state.replacing or state.phase is Phase.STOPPING

    @invariant()
    def nothing_good_is_forgotten(self) -> None:
        assert self.state.last_good is not None or self.before.last_good is None
        assert self.state.epoch >= self.before.epoch

    def teardown(self) -> None:
        closed = advance(self.state, CloseWanted())
        assert closed.phase is Phase.CLOSED
        assert advance(closed, LoadWanted(A)) == closed


TestAnyStory = AnyStory.TestCase
TestAnyStory.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
