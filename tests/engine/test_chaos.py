"""A session over workers that stall, garble, freeze and die, at every point of their lives."""

import os
import signal
import time

import psutil
import pytest
from msgspec.structs import replace

from offtui.engine.state import Phase
from offtui.protocol.events import Hello, Loaded, LoadFailed, LoadProgress, Piece, TurnEnded, TurnFailed, TurnStarted
from offtui.protocol.spec import LoadSpec
from tests.engine.harness import PATIENCE, QUICK, Harness, children, until

LOAD_POINTS = ("load", "progress", "loaded")
TURN_POINTS = ("turn", "started", "piece")


def crash_in_load(start, order: str) -> Harness:
    """A load that goes wrong, as ``order`` says, with nothing up before; then the same after a good one.

    The first is a crash, after which a good one can be had. After the second the good one comes back by itself.
    """
    life = start(deadlines=QUICK)
    state = life.load(order)
    assert state.phase is Phase.CRASHED
    assert state.failure is not None
    assert state.loaded is None
    life.wait(lambda s: not s.has_worker)
    good = life.load("good.gguf").last_good
    life.failure = state.failure
    again = life.load(order)
    assert again.phase is Phase.READY
    assert again.failure is not None
    assert again.failure.kind == state.failure.kind
    assert again.wanted == again.last_good == good
    assert again.loaded.spec == good
    return life


def crash_in_turn(start, order: str, *args: str) -> Harness:
    life = start(*args, deadlines=QUICK)
    good = life.load(order).last_good
    life.ask()
    state = life.wait_phase(Phase.CRASHED)
    assert state.turn is None
    assert state.loaded is None
    assert state.last_good == good
    life.failure = state.failure
    life.wait(lambda s: not s.has_worker)
    life.session.want(LoadSpec(model="good.gguf"))
    life.wait_phase(Phase.READY)
    life.ask(2)
    life.wait_for(TurnEnded)
    return life


@pytest.mark.parametrize("point", LOAD_POINTS)
@pytest.mark.parametrize(("action", "says"), [("kill", "SIGKILL"), ("abort", "SIGABRT"), ("segv", "SIGSEGV")])
def test_death_by_signal_in_a_load(start, point, action, says):
    failure = crash_in_load(start, f"{point}:{action}").failure
    assert failure.kind == "crashed"
    assert says in failure.message
    assert f"while loading {point}:{action}" in failure.message


@pytest.mark.parametrize("point", TURN_POINTS)
@pytest.mark.parametrize(("action", "says"), [("kill", "SIGKILL"), ("abort", "SIGABRT"), ("segv", "SIGSEGV")])
def test_death_by_signal_in_a_turn(start, point, action, says):
    failure = crash_in_turn(start, f"{point}:{action}").failure
    assert failure.kind == "crashed"
    assert says in failure.message
    assert "while answering" in failure.message


@pytest.mark.parametrize("point", LOAD_POINTS)
@pytest.mark.parametrize("action", ["stall", "freeze"])
def test_a_load_without_progress_is_ended(start, point, action):
    assert crash_in_load(start, f"{point}:{action}").failure.kind == "timeout"


@pytest.mark.parametrize("action", ["stall", "freeze"])
def test_a_turn_that_is_not_taken_up_is_ended(start, action):
    assert crash_in_turn(start, f"turn:{action}").failure.kind == "timeout"


@pytest.mark.parametrize("action", ["stall", "freeze"])
@pytest.mark.parametrize("point", ["started", "piece"])
def test_a_turn_that_hangs_is_ended_by_a_stop(start, point, action):
    life = start(deadlines=QUICK)
    life.load(f"{point}:{action}")
    life.ask()
    life.wait_for(TurnStarted if point == "started" else Piece)
    life.session.stop()
    state = life.wait_phase(Phase.CRASHED)
    assert state.failure.kind == "timeout"
    assert "did not stop" in state.failure.message


def test_a_frozen_load_is_ended_by_a_stop(start):
    life = start(deadlines=QUICK)
    life.session.want(LoadSpec(model="progress:freeze"))
    life.wait_for(LoadProgress)
    life.session.stop()
    state = life.wait_phase(Phase.CRASHED)
    assert state.failure.kind == "cancelled"


def test_a_worker_that_dies_of_a_stop_in_its_load_counts_as_cancelled(start):
    life = start("--pause", "0.05", "--do", "cancel:abort", deadlines=QUICK)
    life.session.want(LoadSpec(model="a.gguf"))
    life.wait_for(LoadProgress)
    life.session.stop()
    assert life.wait_phase(Phase.CRASHED).failure.kind == "cancelled"


def test_a_frozen_worker_makes_place_for_another_load(start):
    life = start(deadlines=QUICK)
    life.load("piece:freeze")
    life.ask()
    life.wait_for(Piece)
    state = life.load("two.gguf")
    assert state.phase is Phase.READY
    assert life.of(TurnFailed)[0].failure.kind == "timeout"


def test_a_frozen_worker_does_not_block_the_session(start):
    """Its socket fills up; the session goes on hearing intents."""
    life = start(deadlines=QUICK)
    life.load("good.gguf")
    os.kill(life.of(Hello)[0].pid, signal.SIGSTOP)
    began = time.monotonic()
    life.ask(1, "word " * 1_000_000)
    life.ask(2)
    life.wait_for(TurnFailed)
    assert time.monotonic() - began < PATIENCE / 2
    assert life.wait_phase(Phase.CRASHED).failure.kind == "timeout"


def test_no_handshake(start):
    life = start("--do", "start:stall", deadlines=replace(QUICK, hello=0.3))
    state = life.load()
    assert state.phase is Phase.CRASHED
    assert state.failure.kind == "timeout"
    assert "did not start" in state.failure.message


@pytest.mark.parametrize("action", ["garble", "nonsense"])
@pytest.mark.parametrize("point", ["start", *LOAD_POINTS])
def test_garbled_frames_in_a_load(start, point, action):
    life = start(*(("--do", f"start:{action}") if point == "start" else ()))
    state = life.load(f"{point}:{action}")
    assert state.phase is Phase.CRASHED
    assert state.failure.kind == "internal"
    assert "cannot be understood" in state.failure.message


@pytest.mark.parametrize("action", ["garble", "nonsense"])
def test_garbled_frames_in_a_turn(start, action):
    assert crash_in_turn(start, f"piece:{action}").failure.kind == "internal"


@pytest.mark.parametrize("point", [*LOAD_POINTS])
def test_a_socket_that_is_closed_by_a_living_worker(start, point):
    failure = crash_in_load(start, f"{point}:hang-up").failure
    assert failure.kind == "crashed"


def test_half_a_frame_and_the_end(start):
    assert crash_in_load(start, "load:half").failure.kind == "crashed"


@pytest.mark.parametrize("kind", ["not_found", "truncated", "out_of_memory", "out_of_range"])
def test_a_load_that_fails_says_why_and_the_worker_is_reaped(start, kind):
    life = crash_in_load(start, f"load:{kind}")
    assert life.failure.kind == kind
    assert len(children()) == 1


def test_out_of_memory_in_the_log(start):
    failure = crash_in_load(start, "progress:oom").failure
    assert failure.kind == "out_of_memory"
    assert "5121.50 MiB" in failure.evidence
    assert "fewer layers" in failure.advice


def test_out_of_memory_in_decode(start):
    failure = crash_in_turn(start, "piece:oom-decode").failure
    assert failure.kind == "out_of_memory"
    assert failure.evidence == "CUDA error: out of memory"


def test_a_lost_rpc_device(start):
    failure = crash_in_turn(start, "piece:rpc-gone").failure
    assert failure.kind == "device_lost"
    assert "offtui device" in failure.advice


def test_python_errors_are_named(start):
    failure = crash_in_load(start, "load:raise").failure
    assert failure.kind == "internal"
    assert failure.evidence == "RuntimeError: the ledger does not add up"


def test_a_missing_llama_cpp_is_named(start):
    life = start("--do", "start:no-llama")
    state = life.load()
    assert "llama-cpp-python cannot be imported" in state.failure.message
    assert "pip install" in state.failure.advice


def test_a_worker_that_is_killed_while_ready_is_noticed_at_once(start):
    life = start(deadlines=QUICK)
    life.load("good.gguf")
    os.kill(life.of(Hello)[0].pid, signal.SIGKILL)
    state = life.wait_phase(Phase.CRASHED)
    assert "SIGKILL" in state.failure.message
    life.session.want(state.last_good)
    life.wait_phase(Phase.READY)
    life.ask()
    life.wait_for(TurnEnded)


def test_a_spare_that_is_killed_is_not_missed(start):
    life = start(spare=True, deadlines=QUICK)
    life.load("one.gguf")
    until(lambda: len(children()) == 2)
    spare = next(process for process in children() if process.pid != life.of(Hello)[0].pid)
    spare.kill()
    until(lambda: not psutil.pid_exists(spare.pid))
    assert life.state.phase is Phase.READY
    assert life.load("two.gguf").phase is Phase.READY


def test_a_frozen_spare_is_given_up_when_it_is_needed(start):
    life = start(spare=True, deadlines=QUICK)
    life.load("one.gguf")
    crew = life.session._supervisor.crew
    until(lambda: crew.spare is not None and crew.spare.child.hello)
    os.kill(crew.spare.child.pid, signal.SIGSTOP)
    state = life.load("two.gguf")
    assert state.failure.kind == "timeout"
    assert life.load("three.gguf").phase is Phase.READY


def test_a_spare_helps_after_a_crash(start):
    life = start(spare=True, deadlines=QUICK)
    life.load("one.gguf")
    until(lambda: len(children()) == 2)
    spare = next(process.pid for process in children() if process.pid != life.of(Hello)[0].pid)
    os.kill(life.of(Hello)[0].pid, signal.SIGKILL)
    good = life.wait_phase(Phase.CRASHED).last_good
    life.session.want(good)
    life.wait_phase(Phase.READY)
    assert life.session._supervisor.worker.pid == spare


def test_a_worker_deaf_to_quit_and_term_is_killed(start):
    life = start("--deaf", "--stubborn", deadlines=QUICK)
    life.load("one.gguf")
    assert life.load("two.gguf").phase is Phase.READY
    assert len(children()) == 1
    life.session.close()
    assert children() == []


def test_a_frozen_worker_is_killed_by_close(start):
    life = start(spare=True, deadlines=QUICK)
    life.load()
    until(lambda: len(children()) == 2)
    for process in children():
        process.suspend()
    life.session.close()
    assert children() == []


def test_esc_between_two_loads_gives_up_the_second(start):
    life = start("--deaf", "--stubborn", deadlines=QUICK)
    good = life.load("one.gguf").last_good
    life.session.want(LoadSpec(model="two.gguf"))
    life.wait_phase(Phase.STOPPING)
    life.session.stop()
    state = life.wait_phase(Phase.CRASHED)
    assert state.failure.kind == "cancelled"
    assert state.last_good == good
    life.wait(lambda s: not s.has_worker)
    assert [loaded.spec for loaded in life.of(Loaded)] == [good]
    assert len(life.of(LoadFailed)) == 1


def test_many_lives_leave_nothing_behind(start):
    life = start(spare=True, deadlines=QUICK)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(6):
        life.load(f"model{number}.gguf")
        life.load(f"load:{'abort' if number % 2 else 'unsupported'}")
    life.session.close()
    assert children() == []
    assert len(os.listdir("/proc/self/fd")) <= before
