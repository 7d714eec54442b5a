"""Another model is wanted: its file is looked at first, and what is up makes place only for one that may load."""

import os
import signal

import pytest
from msgspec.structs import replace

from offtui.engine.moves import MoveFailed
from offtui.engine.state import LoadWanted, Phase, WorkerEnded
from offtui.protocol.events import Hello, Loaded, LoadFailed, Piece, TurnEnded, TurnFailed, TurnStarted
from offtui.protocol.spec import LoadSpec
from tests.engine.harness import QUICK, Start, children, until

BAD = {
    "header:not_found": "not_found",
    "header:truncated": "truncated",
    "header:not_gguf": "not_gguf",
    "header:mmproj": "no_tokenizer",
    "header:embedding": "no_tokenizer",
    "header:unsupported": "unsupported",
    "header:segv": "crashed",
    "header:exit": "crashed",
    "header:garble": "crashed",
    "header:freeze": "timeout",
    "header:stall": "timeout",
    "\udcff.gguf": "not_found",
}


@pytest.mark.parametrize("spare", [True, False], ids=["spare", "no spare"])
@pytest.mark.parametrize("model", BAD, ids=ascii)
def test_a_bad_file_costs_the_wish_and_nothing_else(start: Start, model: str, spare: bool) -> None:
    life = start("--pause", "0.01", "--pieces", "100000", spare=spare, deadlines=QUICK)
    up = life.load("good.gguf", n_gpu_layers=4).loaded
    life.ask()
    life.wait_for(Piece, 2)
    life.session.want(LoadSpec(model=model))
    life.wait_for(MoveFailed)
    state = life.state
    assert (state.phase, state.loaded, state.wanted) == (
        Phase.GENERATING,
        up,
        LoadSpec(model="good.gguf", n_gpu_layers=4),
    )
    assert state.failure is not None
    assert state.failure == life.of(MoveFailed)[0].failure
    assert state.failure.kind == BAD[model]
    assert state.failure.message.isprintable()
    before = len(life.of(Piece))
    life.wait(lambda _: len(life.of(Piece)) > before + 2)
    assert len(life.of(Hello)) == len(life.of(MoveFailed)) == 1
    assert not [o for _, o in life.seen if isinstance(o, (TurnEnded, TurnFailed, WorkerEnded, LoadFailed))]
    assert life.load("two.gguf").loaded.model.path == "two.gguf"
    until(lambda: len(children()) == 1 + spare)


def test_the_process_that_looked_is_the_one_that_loads(start: Start) -> None:
    life = start(spare=True)
    life.load("one.gguf")
    crew = life.session._supervisor.crew
    until(lambda: crew.spare is not None and crew.spare.child.hello)
    spare = crew.spare.child.pid
    life.load("two.gguf")
    assert life.of(Hello)[-1].pid == spare
    assert not life.of(MoveFailed)


def test_the_latest_wish_is_the_one_that_is_looked_at(start: Start) -> None:
    life = start(spare=True)
    life.load("one.gguf")
    life.session.want(LoadSpec(model="header:stall"))
    life.session.want(LoadSpec(model="header:stall"))
    assert life.load("two.gguf").loaded.model.path == "two.gguf"
    life.session.want(LoadSpec(model="header:stall"))
    life.session.want(LoadSpec(model="two.gguf", n_gpu_layers=3))
    life.wait(lambda s: s.loaded and s.loaded.layers.got == 3 and s.move is None)
    life.session.want(LoadSpec(model="header:stall"))
    wishes = len(life.of(LoadWanted))
    life.session.want(life.state.loaded.spec)
    life.wait_for(LoadWanted, wishes + 1)
    assert life.session._supervisor._checker.child is None
    assert not life.of(MoveFailed)


def test_esc_gives_up_the_wish_and_then_the_answer(start: Start) -> None:
    life = start("--pause", "0.01", "--pieces", "100000")
    life.load("one.gguf")
    life.ask()
    life.wait_for(Piece)
    life.session.want(LoadSpec(model="header:stall"))
    life.session.stop()
    life.wait_for(MoveFailed)
    assert life.state.failure.kind == "cancelled"
    assert life.state.phase is Phase.GENERATING
    life.session.stop()
    assert life.wait_phase(Phase.READY).loaded.model.path == "one.gguf"


def test_closing_while_a_file_is_looked_at_leaves_nobody(start: Start) -> None:
    life = start(spare=True)
    life.load("one.gguf")
    life.session.want(LoadSpec(model="header:stall"))
    life.session.close()
    assert children() == []


def test_a_worker_that_dies_while_a_file_is_looked_at_makes_place(start: Start) -> None:
    life = start("--do", "header:freeze", spare=False, deadlines=replace(QUICK, check=20.0))
    life.load("one.gguf")
    life.session.want(LoadSpec(model="two.gguf"))
    until(lambda: life.session._supervisor._checker.child is not None)
    checker = life.session._supervisor._checker.child
    os.kill(life.of(Hello)[0].pid, signal.SIGKILL)
    life.wait_phase(Phase.CRASHED)
    until(lambda: checker.hello is not None)
    until(lambda: any(process.status() == "stopped" for process in children()))
    os.kill(checker.pid, signal.SIGCONT)
    assert life.wait_phase(Phase.READY).loaded.model.path == "two.gguf"


@pytest.mark.parametrize("order", ["load:oom", "load:unsupported", "progress:kill", "progress:freeze", "loaded:garble"])
def test_where_the_load_fails_all_the_same_the_old_one_comes_back(start: Start, order: str) -> None:
    life = start(spare=True, deadlines=QUICK)
    life.load("good.gguf", n_gpu_layers=4)
    state = life.load(order)
    assert state.phase is Phase.READY
    assert state.loaded.model.path == "good.gguf"
    assert state.loaded.layers.got == 4
    assert state.wanted == state.loaded.spec
    assert state.failure == life.of(MoveFailed)[0].failure
    assert len(life.of(Loaded)) == 2
    assert not life.of(LoadFailed)
    life.ask()
    life.wait_for(TurnStarted)
    assert life.wait(lambda s: s.last_timings).failure is None


def test_where_the_old_one_does_not_come_back_either_it_is_a_crash(start: Start) -> None:
    life = start(deadlines=QUICK)
    life.load("good.gguf")
    crew = life.session._supervisor.crew
    crew._command = (*crew._command, "--do", "load:oom")
    life.session.want(LoadSpec(model="other.gguf"))
    assert life.wait_phase(Phase.CRASHED).failure.kind == "out_of_memory"
    life.wait(lambda s: not s.has_worker)
    assert len(life.of(MoveFailed)) == 1


def test_wanting_back_what_only_gives_back_its_turn_keeps_it(start: Start) -> None:
    life = start("--pause", "0.01", "--pieces", "100000", "--do", "cancel:freeze")
    spec = life.load("one.gguf").loaded.spec
    life.ask()
    life.wait_for(Piece)
    life.session.want(LoadSpec(model="two.gguf"))
    life.wait(lambda s: s.replacing)
    life.session.want(spec)
    state = life.wait(lambda s: not s.replacing)
    assert state.wanted == spec
    until(lambda: any(process.status() == "stopped" for process in children()))
    os.kill(life.of(Hello)[0].pid, signal.SIGCONT)
    state = life.wait_phase(Phase.READY)
    assert state.loaded.spec == spec
    assert state.epoch == 1
