"""Moves from one load of a model to another: the conversation, its cache and the running answer go along."""

import contextlib
import os
import random
import signal
from collections.abc import Callable

import psutil
import pytest
from msgspec.structs import replace

from offtui.engine import handover
from offtui.engine.moves import HandedOver, MoveBegan, MoveEnded, MoveFailed, MoveStep, MoveStepped, WorkerRetired
from offtui.engine.parcel import Parcel, parcel
from offtui.engine.state import Phase, SessionState, WorkerEnded
from offtui.protocol.events import (
    Hello,
    Loaded,
    LoadFailed,
    Piece,
    StateRestored,
    TurnEnded,
    TurnFailed,
    TurnPaused,
    TurnResumed,
    TurnStarted,
)
from offtui.protocol.spec import LoadSpec, Message, Sampling
from tests.engine.harness import FAKE, PATIENT, QUICK, SLOW, WHOLE, Harness, Start, caches, children, until


def always(_state: SessionState, spec: LoadSpec, _used: object) -> LoadSpec | None:
    """Both fit."""
    return spec


OVERLAPS = pytest.mark.parametrize("overlap", [always, None], ids=["beside", "in place"])


def want(life: Harness, layers: int, model: str = "good.gguf", **options: object) -> None:
    life.session.want(LoadSpec(model=model, n_gpu_layers=layers, **options))


def up(layers: int) -> Callable[[SessionState], object]:
    def is_up(state: SessionState) -> bool:
        return state.move is None and state.loaded is not None and state.loaded.layers.got == layers

    return is_up


ENDLESS = ("--pause", "0.02", "--pieces", "20000")
"""However slow the machine, the answer has not ended before the move."""


def answering(start: Start, *args: str, **options: object) -> Harness:
    """A session in the middle of an answer that does not end by itself, 4 layers offloaded."""
    life = start(*ENDLESS, *args, **options)
    life.load("good.gguf", n_gpu_layers=4)
    life.ask()
    life.wait_for(Piece, 3)
    return life


def goes_on_and_stops(life: Harness) -> None:
    """The answer goes on, without a gap; it has not ended before it is stopped."""
    before = len(life.of(Piece))
    life.wait(lambda _: len(life.of(Piece)) >= before + 2)
    life.session.stop()
    life.wait_for(TurnEnded)
    assert life.text() == "".join(f"word{number} " for number in range(len(life.of(Piece))))
    assert (len(life.of(TurnStarted)), len(life.of(TurnEnded)), life.of(TurnFailed)) == (1, 1, [])
    assert life.of(TurnEnded)[0].stop == "cancelled"


@OVERLAPS
def test_an_answer_moves_four_times_and_is_whole(start: Start, overlap: object) -> None:
    life = answering(start, spare=True, overlap=overlap)
    for number, layers in enumerate((0, 13, 7, 2), 1):
        want(life, layers)
        life.wait(up(layers))
        life.wait_for(TurnResumed, number)
        before = len(life.of(Piece))
        life.wait(lambda _, least=before + 2: len(life.of(Piece)) >= least)
    goes_on_and_stops(life)
    assert life.wait_phase(Phase.READY).last_timings
    assert [moved.tokens > 0 and not moved.why for moved in moves(life)] == [True] * 4
    assert all(resumed.kept_tokens == resumed.total_tokens for resumed in life.of(TurnResumed))
    assert not life.of(WorkerEnded)
    assert life.state.epoch == 5


@pytest.mark.parametrize("end", ["moves", "esc", "another wish", "fails", "close"])
def test_memory_made_ready_for_a_cache_is_used_or_given_back(
    start: Start, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Workers keep it mapped, used or not: it is cut before it is closed."""
    monkeypatch.setattr(handover, "RESERVE_FROM", 1)
    made: list[Parcel] = []
    cut: list[Parcel] = []
    monkeypatch.setattr(handover, "parcel", lambda *args: made.append(parcel(*args)) or made[-1])
    monkeypatch.setattr(Parcel, "cut", lambda self: cut.append(self) or os.ftruncate(self.descriptor, 0))
    before = caches()
    life = answering(
        start, *("--do-layers", "7:progress:unsupported", "--do-layers", "8:progress:stall"), overlap=always
    )
    want(life, {"fails": 7, "esc": 8}.get(end, 9))
    life.wait(lambda s: (s.move is not None and s.move.progress is not None) or s.moved is not None)
    assert len(made) == 1
    if end == "moves":
        state = life.wait(up(9))
        assert (state.moved.tokens > 0, state.moved.why, cut) == (True, "", [])
    elif end == "esc":
        life.session.stop()
    elif end == "another wish":
        want(life, 3)
        assert life.wait(up(3)).moved.tokens > 0
    if end != "close":
        life.wait_for(MoveEnded)
        goes_on_and_stops(life)
    life.session.close()
    assert caches() == before
    assert all(memory.descriptor < 0 for memory in made)
    if end in ("esc", "fails"):
        assert cut == made


@pytest.mark.parametrize("end", ["moves", "silent", "esc", "another wish", "another model", "dies", "close"])
def test_in_place_the_answer_goes_on_until_there_is_room_for_its_cache(
    start: Start, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(handover, "RESERVE_FROM", 1)
    before = caches()
    orders = () if end == "moves" else ("--do-layers", "4:reserve:kill" if end == "dies" else "4:reserve:silent")
    patience = 0.5 if end == "silent" else 600.0
    life = answering(start, *orders, overlap=None, deadlines=replace(PATIENT, reserve=patience))
    want(life, 9)
    life.wait(lambda _: MoveStep.PREPARING in [stepped.step for stepped in life.of(MoveStepped)])
    if end not in ("moves", "silent", "dies"):
        written = len(life.of(Piece))
        state = life.wait(lambda _: len(life.of(Piece)) >= written + 3)
        assert state.phase is Phase.GENERATING
        assert state.move.step is MoveStep.PREPARING
    if end in ("moves", "silent"):
        assert life.wait(up(9)).moved.tokens > 0
        goes_on_and_stops(life)
    elif end == "esc":
        life.session.stop()
        life.wait_for(MoveEnded)
        assert life.state.loaded.layers.got == 4
        assert not life.of(WorkerRetired)
        goes_on_and_stops(life)
    elif end == "another wish":
        want(life, 4)  # what is up
        life.wait_for(MoveEnded)
        want(life, 9)
        want(life, 3)
        life.wait(lambda s: s.move is not None and s.move.target.n_gpu_layers == 3)
        life.session.stop()
        goes_on_and_stops(life)
    elif end == "another model":
        want(life, 4, "other.gguf")
        life.wait(lambda s: s.loaded is not None and s.loaded.spec.model == "other.gguf")
        assert life.of(TurnEnded)[0].stop == "cancelled"
    elif end == "dies":
        life.wait(lambda s: s.phase is Phase.CRASHED and s.broken is not None)
    life.session.close()
    assert caches() == before


def test_an_answer_that_ends_before_there_is_room_for_its_cache_is_kept(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "RESERVE_FROM", 1)
    deadlines = replace(PATIENT, reserve=600.0)
    life = start("--pause", "0.01", "--pieces", "60", "--do", "reserve:silent", overlap=None, deadlines=deadlines)
    life.load("good.gguf", n_gpu_layers=4)
    life.ask()
    life.wait_for(Piece, 3)
    want(life, 9)
    state = life.wait(up(9))
    assert state.moved.tokens == state.n_past
    assert len(life.of(TurnEnded)) == 1
    assert life.wait_phase(Phase.READY).turn is None


def test_the_time_for_restoring_is_not_that_of_the_load_after_it_failed(start: Start) -> None:
    """The old one's load, which takes longer, has its own."""
    orders = ("--do-layers", "9:restore:kill", "--do-layers", "4:progress:slow")
    life = answering(start, *orders, overlap=None, deadlines=replace(PATIENT, restore=2.0))
    want(life, 9)
    life.wait_for(MoveFailed)
    assert life.wait(up(4)).failure is not None
    goes_on_and_stops(life)


def moves(life: Harness) -> list:
    return [ended.moved for ended in life.of(MoveEnded)]


@OVERLAPS
def test_between_answers_the_cache_is_taken_over(start: Start, overlap: object) -> None:
    life = start(overlap=overlap)
    life.load("good.gguf", n_gpu_layers=4)
    life.ask()
    life.wait_for(TurnEnded)
    life.wait_phase(Phase.READY)
    want(life, 9)
    state = life.wait(up(9))
    assert state.phase is Phase.READY
    assert state.n_past == 25
    assert life.of(StateRestored)[0].tokens == state.n_past
    assert state.moved.tokens == state.n_past
    assert state.last_good.n_gpu_layers == 9


@OVERLAPS
def test_an_empty_conversation_needs_no_cache(start: Start, overlap: object) -> None:
    life = start(overlap=overlap)
    life.load("good.gguf", n_gpu_layers=4)
    want(life, 9)
    assert life.wait(up(9)).phase is Phase.READY
    assert not life.of(StateRestored)


def test_beside_the_old_worker_goes_on_answering_until_the_hand_over(start: Start) -> None:
    life = answering(start, overlap=always)
    want(life, 9)
    life.wait_for(TurnPaused)
    kinds = [type(occurrence) for _, occurrence in life.seen]
    began = kinds.index(MoveBegan)
    assert Piece in kinds[began : kinds.index(TurnPaused)]
    life.wait_for(HandedOver)
    life.wait(up(9))
    order = [kind for kind in (type(o) for _, o in life.seen) if kind in (TurnPaused, HandedOver, Loaded, TurnResumed)]
    assert order[1:4] == [TurnPaused, HandedOver, Loaded]
    assert {state.phase for state, o in life.seen if isinstance(o, MoveStepped)} <= {Phase.GENERATING, Phase.STOPPING}


def test_in_place_the_old_worker_is_gone_before_the_next_one_loads(start: Start) -> None:
    life = answering(start, overlap=None)
    want(life, 9)
    life.wait(up(9))
    kinds = [type(o) for _, o in life.seen]
    assert kinds.index(TurnPaused) < kinds.index(WorkerRetired) < len(kinds) - 1 - kinds[::-1].index(Loaded)


def test_types_that_differ_are_evaluated_again_and_it_is_said_why(start: Start) -> None:
    life = answering(start, overlap=always)
    want(life, 9, type_k="q8_0", type_v="q8_0")
    state = life.wait(up(9))
    assert "q8_0/q8_0" in state.moved.why
    goes_on_and_stops(life)
    assert life.of(TurnResumed)[0].kept_tokens == 0


@pytest.mark.parametrize(
    "order", ["load:oom", "load:unsupported", "progress:kill", "progress:garble", "loaded:abort", "progress:freeze"]
)
@OVERLAPS
def test_a_load_that_fails_leaves_or_brings_back_the_old_one(start: Start, overlap: object, order: str) -> None:
    life = answering(start, "--do-layers", f"9:{order}", overlap=overlap, deadlines=QUICK)
    want(life, 9)
    life.wait_for(MoveEnded)
    state = life.wait(up(4))
    assert state.failure is not None
    assert state.moved.failure == state.failure == life.of(MoveFailed)[0].failure
    assert state.wanted.n_gpu_layers == 4
    if "oom" in order:
        assert state.failure.kind == "out_of_memory"
        assert "5121.50 MiB" in state.failure.evidence or "5370281984" in state.failure.evidence
    goes_on_and_stops(life)
    assert not life.of(LoadFailed)
    assert not life.of(TurnFailed)
    life.wait_phase(Phase.READY)
    want(life, 7)
    life.wait(up(7))


@pytest.mark.parametrize("order", ["restore:kill", "restore:stall", "restore:garble"])
@OVERLAPS
def test_a_worker_that_fails_at_the_hand_over_loses_nothing(start: Start, overlap: object, order: str) -> None:
    life = answering(
        start, "--do-layers", f"9:{order}", overlap=overlap, deadlines=replace(QUICK, save=0.8, restore=0.8)
    )
    want(life, 9)
    life.wait_for(MoveEnded)
    assert life.wait(up(4)).failure is not None
    goes_on_and_stops(life)


def test_where_the_device_fails_the_one_beside_at_the_hand_over_its_cache_goes_the_other_way(start: Start) -> None:
    """Restored in place then, from what is saved already; nothing is saved twice, and nothing stays in memory."""
    before = caches()
    life = answering(start, "--do-layers", "9:restore:rpc_unreachable", overlap=always)
    want(life, 9)
    life.wait_for(TurnPaused)
    life.wait(lambda s: s.move is None)
    # as loads of 9 layers always fail to restore, the old one is back: with its cache
    state = life.wait(up(4))
    assert (state.moved.beside, state.moved.failure is None) == (False, False)
    assert state.moved.tokens > 0
    assert [stepped.step for stepped in life.of(MoveStepped)].count(MoveStep.SAVING) == 1
    goes_on_and_stops(life)
    life.session.close()
    assert caches() == before


@pytest.mark.parametrize("kind", ["kill", "rpc_unreachable"])
@pytest.mark.parametrize("old", ["pause", "save"])
def test_one_beside_that_dies_while_the_old_one_hands_over_leaves_it_answering(
    start: Start, old: str, kind: str
) -> None:
    """The old worker halts and saves at its own pace: what becomes of the move is decided when it has."""
    before = caches()
    orders = ("--do-layers", f"4:{old}:slow", "--do-layers", f"9:ready:{kind}")
    life = answering(start, *orders, overlap=always)
    want(life, 9)
    life.wait_for(MoveEnded)
    state = life.wait(lambda s: s.move is None)
    assert state.moved.failure is not None
    goes_on_and_stops(life)
    life.session.close()
    assert caches() == before


@OVERLAPS
def test_an_old_worker_that_does_not_hand_over_its_cache_in_time_costs_only_the_cache(
    start: Start, overlap: object
) -> None:
    life = answering(
        start, "--do-layers", "4:save:stall", overlap=overlap, deadlines=replace(QUICK, save=0.8, restore=0.8)
    )
    want(life, 9)
    state = life.wait(up(9))
    assert "in time" in state.moved.why
    assert (state.moved.tokens, state.failure) == (0, None)
    goes_on_and_stops(life)
    assert life.of(TurnResumed)[0].kept_tokens == 0


def test_the_time_for_a_cache_grows_with_it(start: Start) -> None:
    """A fake cache of 25 tokens is some kilobytes: at a thousand bytes per second that is patience enough."""
    life = start(
        "--pause", "0.01", "--do", "save:slow", overlap=None, deadlines=replace(QUICK, save=0.1, carry_rate=1000.0)
    )
    life.load("good.gguf", n_gpu_layers=4)
    life.ask()
    life.wait_for(TurnEnded)
    want(life, 9)
    state = life.wait(up(9))
    assert (state.moved.tokens, state.moved.why) == (25, "")


def test_wanting_back_what_still_hands_over_its_cache_keeps_it(start: Start) -> None:
    life = answering(start, "--do", "save:slow", overlap=None)
    origin = life.state.loaded.spec
    want(life, 9)
    life.wait_for(TurnPaused)
    life.session.want(origin)
    state = life.wait(lambda s: s.move is None)
    assert (state.epoch, state.wanted) == (1, origin)
    goes_on_and_stops(life)
    assert len(life.of(Loaded)) == 1


@pytest.mark.parametrize("order", ["pause:kill", "save:abort"])
@OVERLAPS
def test_an_old_worker_that_dies_while_it_hands_over_is_a_crash(start: Start, overlap: object, order: str) -> None:
    life = answering(
        start, "--do-layers", f"4:{order}", overlap=overlap, deadlines=replace(QUICK, save=0.8, restore=0.8)
    )
    want(life, 9)
    state = life.wait_phase(Phase.CRASHED)
    assert state.failure is not None
    assert state.turn is None
    assert state.move is None
    life.wait(lambda s: not s.has_worker)
    until(lambda: children() == [])
    life.session.want(LoadSpec(model="good.gguf", n_gpu_layers=1))
    life.wait(up(1))


def test_where_the_old_one_cannot_be_loaded_again_either_it_is_a_crash(start: Start) -> None:
    life = answering(start, "--do-layers", "9:load:oom", overlap=None, deadlines=QUICK)
    life.session._supervisor.crew._command = (*life.session._supervisor.crew._command, "--do", "load:oom")
    want(life, 9)
    state = life.wait_phase(Phase.CRASHED)
    assert state.failure.kind == "out_of_memory"
    assert state.turn is None
    assert state.move is None


@OVERLAPS
def test_ten_wishes_while_one_loads_make_one_more_load(start: Start, overlap: object) -> None:
    life = answering(start, overlap=overlap)
    want(life, 12)
    life.wait_for(MoveStepped)
    for layers in range(10):
        want(life, layers)
    life.wait(up(9))
    goes_on_and_stops(life)
    assert len(life.of(Loaded)) <= 3
    assert life.state.wanted.n_gpu_layers == 9


@OVERLAPS
def test_esc_gives_up_the_load_and_the_answer_goes_on(start: Start, overlap: object) -> None:
    life = answering(start, overlap=overlap)
    want(life, 9)
    life.wait(lambda s: s.move is not None and s.move.step in ("beside", "loading"))
    life.session.stop()
    life.wait_for(MoveEnded)
    life.wait(up(4))
    assert life.state.moved.failure.kind == "cancelled"
    goes_on_and_stops(life)


def test_a_second_esc_stops_the_answer(start: Start) -> None:
    life = answering(start, overlap=always)
    want(life, 9)
    life.wait_for(MoveBegan)
    life.session.stop()
    life.session.stop()
    life.wait_for(TurnEnded)
    assert life.of(TurnEnded)[0].stop == "cancelled"
    assert life.wait_phase(Phase.READY).loaded.layers.got == 4


@OVERLAPS
def test_another_model_ends_the_answer_and_the_move(start: Start, overlap: object) -> None:
    life = answering(start, overlap=overlap)
    want(life, 9)
    life.wait(lambda s: s.move is not None)
    life.session.want(LoadSpec(model="other.gguf"))
    state = life.wait(lambda s: s.loaded is not None and s.loaded.model.path == "other.gguf")
    assert state.phase is Phase.READY
    assert state.turn is None
    assert state.move is None
    assert len(life.of(TurnEnded)) + len(life.of(TurnFailed)) == 1


def test_wanting_back_what_is_up_ends_the_move(start: Start) -> None:
    life = answering(start, overlap=always)
    origin = life.state.loaded.spec
    want(life, 9)
    life.wait_for(MoveBegan)
    life.session.want(origin)
    life.wait(up(4))
    goes_on_and_stops(life)
    assert len(life.of(Loaded)) == 1


@OVERLAPS
def test_closing_in_the_middle_of_a_move_leaves_nobody(start: Start, overlap: object) -> None:
    life = answering(start, overlap=overlap, spare=True)
    before = len(os.listdir("/proc/self/fd"))
    want(life, 9)
    life.wait_for(MoveBegan)
    life.session.close()
    assert children() == []
    assert len(os.listdir("/proc/self/fd")) <= before


def test_forty_moves_leave_no_process_and_no_descriptor(start: Start) -> None:
    life = start("--pieces", "5", overlap=always, spare=True)
    life.load("good.gguf", n_gpu_layers=0)
    life.ask()
    life.wait_for(TurnEnded)
    life.wait_phase(Phase.READY)
    descriptors = len(os.listdir("/proc/self/fd"))
    for number in range(1, 41):
        want(life, number % 13)
        life.wait(up(number % 13))
    until(lambda: len(children()) <= 2)
    until(lambda: len(os.listdir("/proc/self/fd")) <= descriptors + 4)
    assert all(moved.tokens for moved in moves(life))


def test_a_broken_off_answer_is_resumed_by_evaluating_again(start: Start) -> None:
    life = start(*SLOW)
    life.load("good.gguf", n_gpu_layers=4)
    life.ask()
    life.wait_for(Piece, 3)
    os.kill(life.of(Hello)[0].pid, 9)
    life.wait_phase(Phase.CRASHED)
    life.wait(lambda s: not s.has_worker)
    begun = life.text()
    life.load("good.gguf", n_gpu_layers=2)
    life.session.resume(2, [Message("user", "Hello"), Message("assistant", begun)], Sampling())
    life.wait_for(TurnEnded)
    assert life.text() == WHOLE


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_killed_in_a_move_nothing_wrong_is_said_and_nobody_stays(start: Start, seed: int) -> None:
    """Wishes, stops and SIGKILL, SIGSTOP and SIGABRT to any worker, at random moments of an answer that moves."""
    chance = random.Random(seed)
    overlap = chance.choice([always, None])
    life = start(*SLOW, overlap=overlap, spare=True, deadlines=replace(QUICK, save=0.8, restore=0.8))
    life.load("good.gguf", n_gpu_layers=4)
    life.ask()
    life.wait_for(Piece, 1)
    for _ in range(6):
        match chance.randrange(5):
            case 0 | 1 | 2:
                want(life, chance.randrange(14))
            case 3:
                for process in children():
                    if chance.random() < 0.4:
                        with contextlib.suppress(psutil.NoSuchProcess):
                            # One stopped before its exec would hold its parent in the fork for ever.
                            if str(FAKE) in process.cmdline():
                                process.send_signal(chance.choice([signal.SIGKILL, signal.SIGABRT, signal.SIGSTOP]))
            case _:
                life.session.stop()
        least = len(life.seen) + chance.randrange(1, 6)
        life.glance(lambda _, least=least: len(life.seen) >= least)
    # a frozen worker that nothing is asked of says nothing: an order brings it to light
    want(life, 3)
    life.wait(lambda s: _at_rest(s) or s.phase is Phase.GENERATING)
    life.session.stop()
    life.wait(_at_rest)
    assert WHOLE.startswith(life.text())
    life.session.want(LoadSpec(model="good.gguf", n_gpu_layers=2))
    life.wait(lambda s: _at_rest(s))
    life.session.close()
    assert children() == []


def _at_rest(state: SessionState) -> bool:
    return state.phase in (Phase.READY, Phase.CRASHED, Phase.EMPTY) and state.move is None


def test_what_is_up_already_is_not_loaded_again(start: Start) -> None:
    """Layers that were left open, filled in as they turned out: from then on they are what is wanted."""
    life = start()
    life.load("good.gguf")
    for layers in (13, 13, None):
        want(life, layers)
        life.wait(lambda s, layers=layers: s.wanted.n_gpu_layers == layers and s.move is None)
        if layers:
            assert len(life.of(Loaded)) == 1
    # what was left open is to be found anew then
    life.wait(lambda s: s.move is None and len(life.of(Loaded)) == 2)
