"""An answer whose worker dies goes on in another one, exactly where it broke off."""

import os
import signal

import pytest
from msgspec.structs import replace

from offtui.engine.state import Phase, TurnBroken, WorkerEnded
from offtui.protocol.events import (
    Hello,
    Loaded,
    Piece,
    StateRestored,
    TurnEnded,
    TurnFailed,
    TurnResumed,
    TurnStarted,
)
from offtui.protocol.spec import LoadSpec
from tests.engine.harness import QUICK, SLOW, WHOLE, Harness, Start, caches, children, until


def broken_off(start: Start, pieces: int, *args: str, **options: object) -> Harness:
    """A session whose worker was killed in the middle of an answer."""
    life = start(*SLOW, *args, **options)
    life.load("good.gguf", n_gpu_layers=4)
    life.ask()
    life.wait_for(Piece, pieces)
    os.kill(life.of(Hello)[-1].pid, signal.SIGKILL)
    life.wait_phase(Phase.CRASHED)
    life.wait_for(TurnBroken)
    return life


def test_it_goes_on_in_a_new_load_of_the_same_and_nothing_is_said_twice(start: Start) -> None:
    life = broken_off(start, 25)
    broken = life.state.broken
    assert broken is not None
    assert broken.turn == 1
    assert 29 <= broken.kept < broken.total
    begun = life.text()
    life.session.go_on(1, 1)
    life.wait_for(TurnEnded)
    assert life.text() == WHOLE
    assert life.text().startswith(begun)
    assert life.of(Loaded)[-1].spec.n_gpu_layers == 4
    (restored,) = life.of(StateRestored)
    assert restored.tokens == broken.kept == life.of(TurnResumed)[0].kept_tokens
    assert len(life.of(TurnStarted)) == 1
    assert life.state.broken is None


def test_without_a_copy_it_is_evaluated_again(start: Start) -> None:
    life = broken_off(start, 3)
    assert life.state.broken is not None
    assert life.state.broken.kept == 0
    life.session.go_on(1, 1)
    life.wait_for(TurnEnded)
    assert life.text() == WHOLE
    assert not life.of(StateRestored)


def test_a_copy_that_was_half_written_is_not_used(start: Start) -> None:
    """The worker dies between writing the third copy and telling of it: the second one counts."""
    life = start(*SLOW, "--die-in-copy", "3")
    life.load("good.gguf", n_gpu_layers=4)
    life.ask()
    life.wait_for(TurnBroken)
    assert life.state.broken is not None
    assert life.state.broken.kept == 39
    life.session.go_on(1, 1)
    life.wait_for(StateRestored)
    assert life.of(StateRestored)[0].tokens == 39
    life.wait_for(TurnEnded)
    assert life.text() == WHOLE


def test_it_may_go_on_under_another_split_and_wait_for_its_load(start: Start) -> None:
    life = broken_off(start, 25, "--pause", "0.02")
    life.session.want(LoadSpec(model="good.gguf", n_gpu_layers=9))
    life.session.go_on(1, 1)
    life.wait_for(TurnEnded)
    assert life.text() == WHOLE
    assert life.of(Loaded)[-1].spec.n_gpu_layers == 9


def test_after_a_move_it_goes_on_where_it_had_moved_to(start: Start) -> None:
    life = start(*SLOW, "--pause", "0.02")
    life.load("good.gguf", n_gpu_layers=4)
    life.ask()
    life.wait_for(Piece, 3)
    life.session.want(LoadSpec(model="good.gguf", n_gpu_layers=9))
    life.wait_for(TurnResumed)
    os.kill(life.of(Hello)[-1].pid, signal.SIGKILL)
    life.wait_for(TurnBroken)
    life.session.go_on(1, 1)
    life.wait_for(TurnEnded)
    assert life.text() == WHOLE
    assert life.of(Loaded)[-1].spec.n_gpu_layers == 9


def test_it_may_break_off_again_and_again(start: Start) -> None:
    life = broken_off(start, 12)
    for number in (2, 3):
        life.session.go_on(1, 1)
        life.wait_for(TurnResumed, number - 1)
        before = len(life.of(Piece))
        life.wait(lambda _, least=before + 5: len(life.of(Piece)) >= least)
        life.session.go_on(1, 1)  # once more, while it goes on already
        os.kill(life.of(Hello)[-1].pid, signal.SIGKILL)
        life.wait_for(WorkerEnded, number)
        life.wait(lambda state: state.broken is not None)
    life.session.go_on(1, 1)
    life.wait_for(TurnEnded)
    assert life.text() == WHOLE


@pytest.mark.parametrize("order", ["restore:kill", "restore:stall", "resume:kill", "load:unsupported"])
def test_where_going_on_fails_it_can_be_tried_again(start: Start, order: str) -> None:
    deadlines = replace(QUICK, save=0.8, restore=0.8)
    life = broken_off(start, 25, "--do-layers", f"9:{order}", deadlines=deadlines)
    life.session.want(LoadSpec(model="good.gguf", n_gpu_layers=9))
    life.session.go_on(1, 1)
    life.wait(lambda _: len(life.of(Hello)) >= 2)
    life.wait_phase(Phase.CRASHED)
    life.wait(lambda s: not s.has_worker and s.broken is not None)
    life.session.want(LoadSpec(model="good.gguf", n_gpu_layers=4))
    life.session.go_on(1, 1)
    life.wait_for(TurnEnded)
    assert life.text() == WHOLE


def test_a_stop_calls_it_off(start: Start) -> None:
    life = broken_off(start, 25, "--pause", "0.02")
    life.session.go_on(1, 1)
    life.wait_phase(Phase.LOADING)
    life.session.stop()
    life.wait_phase(Phase.CRASHED)
    life.wait(lambda s: not s.has_worker)
    assert not life.of(TurnResumed)
    assert life.state.broken is not None


def test_another_question_forgets_it(start: Start) -> None:
    life = broken_off(start, 25)
    life.load("good.gguf", n_gpu_layers=4)
    life.ask(2)
    life.wait_for(TurnEnded)
    assert life.state.broken is None
    life.session.go_on(1, 1)
    life.wait_for(TurnFailed)
    assert "Nothing is kept" in life.of(TurnFailed)[0].failure.message


def test_after_a_move_the_new_worker_makes_the_copies(start: Start) -> None:
    life = start(*SLOW, overlap=None)
    life.load("good.gguf", n_gpu_layers=4)
    life.ask()
    life.wait_for(Piece, 5)
    life.session.want(LoadSpec(model="good.gguf", n_gpu_layers=9))
    life.wait_for(TurnResumed)
    before = len(life.of(Piece))
    life.wait(lambda _: len(life.of(Piece)) >= before + 15)
    os.kill(life.of(Hello)[-1].pid, signal.SIGKILL)
    life.wait_for(TurnBroken)
    assert life.state.broken is not None
    assert life.state.broken.kept > 0
    life.session.go_on(1, 1)
    life.wait_for(TurnEnded)
    assert life.text() == WHOLE


def test_no_descriptor_is_left(start: Start) -> None:
    before = len(os.listdir("/proc/self/fd"))
    life = broken_off(start, 25)
    life.session.go_on(1, 1)
    life.wait_for(TurnEnded)
    life.session.close()
    assert children() == []
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize("end", ["dies", "is replaced"])
def test_the_copies_of_a_worker_that_is_gone_take_no_memory(start: Start, end: str) -> None:
    """The model that is loaded next may need it."""
    before = caches()
    life = start()
    life.load("good.gguf", n_gpu_layers=4)
    life.ask()
    life.wait_for(TurnEnded)
    life.wait_phase(Phase.READY)
    assert caches() == before + 2
    if end == "dies":
        os.kill(life.of(Hello)[-1].pid, signal.SIGKILL)
        life.wait_for(WorkerEnded)
    else:
        life.session.want(LoadSpec(model="load:stall"))
        life.wait_for(WorkerEnded)
        life.wait_phase(Phase.LOADING)
    until(lambda: caches() == before)


@pytest.mark.parametrize("seed", range(3))
def test_after_a_stop_it_goes_on_all_the_same(start: Start, seed: int) -> None:
    life = broken_off(start, 25, "--do-layers", "4:progress:slow")
    life.session.go_on(1, 2)
    life.wait_phase(Phase.LOADING)
    life.wait(lambda s, seed=seed: seed < 1 or s.progress is not None)
    life.session.stop()
    life.wait_phase(Phase.CRASHED)
    if seed == 2:
        life.wait(lambda s: not s.has_worker)
    life.session.go_on(2, 3)
    life.wait_for(TurnEnded)
    assert life.text() == WHOLE
