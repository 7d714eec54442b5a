"""A session over workers that behave."""

import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from offtui.engine.session import Session
from offtui.engine.state import Phase, WorkerEnded, WorkerSpawned
from offtui.protocol.events import Hello, Loaded, LoadFailed, Piece, Tokenized, TurnEnded, TurnFailed, TurnStarted
from offtui.protocol.spec import LoadSpec, Message, Sampling
from tests.engine.harness import FAKE, PATIENCE, Harness, children, until


def test_loads_and_answers(start):
    life = start()
    state = life.load("good.gguf", n_gpu_layers=4)
    assert state.phase is Phase.READY
    assert state.loaded
    assert state.loaded.layers.got == 4
    assert state.last_good == state.loaded.spec
    life.ask()
    life.wait_for(TurnEnded)
    state = life.wait_phase(Phase.READY)
    assert life.text() == "word0 word1 word2 word3 word4 "
    assert state.turn is None
    assert state.last_timings
    assert state.last_timings.tokens == 5
    assert state.n_past == 25


def test_tokens_are_counted_while_a_model_is_up_and_not_otherwise(start):
    life = start()
    life.session.count(1, "nobody is there")
    life.load()
    life.session.count(2, "one two three")
    life.wait_for(Tokenized)
    assert life.of(Tokenized) == [Tokenized(2, 3)]


def test_another_load_is_another_process_and_the_old_one_is_reaped_first(start):
    life = start()
    life.load("one.gguf")
    first = life.of(Hello)[0].pid
    life.load("two.gguf")
    assert life.state.epoch == 2
    assert life.of(Hello)[1].pid != first
    assert not psutil.pid_exists(first)
    order = [type(o) for _, o in life.seen if isinstance(o, (WorkerEnded, WorkerSpawned))]
    assert order == [WorkerSpawned, WorkerEnded, WorkerSpawned]


def test_the_latest_wish_wins(start):
    life = start("--pause", "0.02")
    for layers in range(8):
        life.session.want(LoadSpec(model="a.gguf", n_gpu_layers=layers))
    state = life.wait(lambda s: s.loaded and s.loaded.layers.got == 7)
    assert state.wanted
    assert state.wanted.n_gpu_layers == 7
    assert len(life.of(Loaded)) == 1


def test_wanting_what_is_loaded_changes_nothing(start):
    life = start()
    state = life.load("a.gguf")
    life.session.want(LoadSpec(model="a.gguf"))
    life.session.want(state.last_good)
    life.ask()
    life.wait_for(TurnEnded)
    assert life.state.epoch == 1
    assert len(life.of(Loaded)) == 1


def test_a_load_during_a_turn_stops_the_turn_and_keeps_what_it_gave(start):
    life = start("--pause", "0.02", "--pieces", "100000")
    life.load("one.gguf")
    life.ask()
    life.wait_for(Piece, 3)
    state = life.load("two.gguf")
    assert state.phase is Phase.READY
    assert life.of(TurnEnded)[0].stop == "cancelled"
    kinds = [type(o) for _, o in life.seen]
    assert kinds.index(TurnEnded) < kinds.index(WorkerEnded)


def test_a_stop_ends_the_turn_and_the_model_stays(start):
    life = start("--pause", "0.02", "--pieces", "100000")
    life.load()
    life.ask()
    life.wait_for(Piece)
    life.session.stop()
    life.session.stop()
    life.wait_phase(Phase.READY)
    assert life.of(TurnEnded)[0].stop == "cancelled"
    assert life.state.epoch == 1
    life.ask(2, max_tokens=2)
    life.wait_for(TurnEnded, 2)
    assert life.of(TurnEnded)[1].stop == "end"


def test_a_stop_ends_the_load_and_the_last_good_one_can_be_had_again(start):
    life = start("--pause", "0.2")
    good = life.load("good.gguf").last_good
    life.session.want(LoadSpec(model="slow.gguf"))
    life.wait(lambda s: s.phase is Phase.LOADING and s.progress)
    life.session.stop()
    state = life.wait_phase(Phase.CRASHED)
    assert state.failure
    assert state.failure.kind == "cancelled"
    assert state.last_good == good
    life.session.want(good)
    assert life.wait_phase(Phase.READY).loaded.spec == good


def test_a_turn_while_loading_or_answering_comes_back_as_failed(start):
    life = start("--pause", "0.05", "--pieces", "20")
    life.ask(1)
    life.wait_for(TurnFailed, 1)
    assert life.of(TurnFailed)[-1].failure.message == "No model is loaded."
    life.session.want(LoadSpec(model="a.gguf"))
    life.ask(2)
    life.wait_for(TurnFailed, 2)
    assert life.of(TurnFailed)[-1].failure.message == "The model is still loading."
    life.wait_phase(Phase.READY)
    life.ask(3)
    life.ask(4)
    life.wait_for(TurnFailed, 3)
    assert life.of(TurnFailed)[-1].turn == 4
    life.wait_for(TurnEnded)
    assert life.of(TurnEnded)[0].turn == 3


def test_a_turn_that_cannot_be_answered_leaves_the_model_loaded(start):
    life = start()
    life.load()
    life.ask(1, "too long")
    life.wait_for(TurnFailed)
    assert life.wait_phase(Phase.READY).failure.kind == "prompt_too_long"
    life.ask(2)
    life.wait_for(TurnEnded)
    assert life.state.failure is None


def test_a_text_with_lone_surrogates_fails_the_turn_and_nothing_else(start):
    life = start()
    life.load()
    life.ask(1, "\udc80")
    life.wait_for(TurnFailed)
    life.ask(2)
    life.wait_for(TurnEnded)


def test_a_path_with_lone_surrogates_fails_the_load_and_nothing_else(start):
    life = start()
    state = life.load("bad\udcff.gguf")
    assert state.phase is Phase.CRASHED
    assert life.load("good.gguf").phase is Phase.READY


def test_what_a_worker_repeats_is_cleaned(start):
    life = start()
    state = life.load()
    life.ask(1, "dirty")
    life.wait_for(TurnEnded)
    texts = [life.text(), state.loaded.model.name, *state.loaded.notices, *(d.description for d in state.memory)]
    failed = life.load("load:unsupported")
    texts.append(failed.failure.message)
    assert len(texts) == 6
    for text in texts:
        assert "dirty" in text or "127" in text
        assert not set(text) & {"\x1b", "\x07", "\u202e"}


def test_a_spare_is_ready_before_the_next_load(start):
    life = start(spare=True)
    life.load("one.gguf")
    until(lambda: len(children()) == 2)
    spare = next(process.pid for process in children() if process.pid != life.of(Hello)[0].pid)
    life.load("two.gguf")
    assert life.state.epoch == 2
    assert spare in {process.pid for process in children()}
    until(lambda: len(children()) == 2)
    assert life.session._supervisor.worker.pid == spare
    assert [hello.pid for hello in life.of(Hello)][1:] == [spare]


def test_without_a_spare_there_is_one_process(start):
    life = start()
    life.load()
    assert len(children()) == 1


def test_closing_ends_worker_and_spare_and_says_so(start):
    life = start(spare=True)
    life.load()
    until(lambda: len(children()) == 2)
    life.session.close()
    assert children() == []
    assert life.state.phase is Phase.CLOSED
    life.session.close()
    life.session.want(LoadSpec(model="late.gguf"))
    life.session.stop()
    assert life.state.phase is Phase.CLOSED


def test_closing_in_the_middle_of_a_load_and_of_a_turn(start):
    loading = start("--pause", "0.5")
    loading.session.want(LoadSpec(model="a.gguf"))
    loading.wait_phase(Phase.LOADING)
    loading.session.close()
    answering = start("--pause", "0.05", "--pieces", "100000")
    answering.load()
    answering.ask()
    answering.wait_for(Piece)
    answering.session.close()
    assert children() == []


def test_closing_from_the_listener_does_not_deadlock():
    done = threading.Event()
    sessions: list[Session] = []

    def listen(state, occurrence):
        if isinstance(occurrence, Loaded):
            sessions[0].close()
        if state.phase is Phase.CLOSED:
            done.set()

    sessions.append(Session(listen, command=(sys.executable, str(FAKE)), spare=False))
    sessions[0].want(LoadSpec(model="a.gguf"))
    assert done.wait(PATIENCE)
    sessions[0].close()
    assert children() == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_listener_that_raises_leaves_no_process_behind():
    def listen(state, occurrence):
        if isinstance(occurrence, Loaded):
            raise RuntimeError("a mistake in the screen")

    session = Session(listen, command=(sys.executable, str(FAKE)), spare=False)
    session.want(LoadSpec(model="a.gguf"))
    session._thread.join(PATIENCE)
    assert session.state.phase is Phase.CLOSED
    assert children() == []
    session.close()


def test_a_flood_of_events_does_not_delay_a_stop(start):
    life = start("--do", "started:flood", "--pieces", "100000")
    life.load()
    life.ask()
    life.wait_for(TurnStarted)
    life.session.stop()
    life.wait_phase(Phase.READY)


def test_a_long_log_is_cut_to_its_tail(start):
    life = start("--do", "turn:print")
    life.load()
    life.ask()
    life.wait_for(TurnEnded)
    worker = life.session._supervisor.worker
    assert os.fstat(worker._log.fileno()).st_size == 8192
    assert worker.log_tail().endswith("y\n")


def test_a_long_conversation_goes_through_a_small_socket(start):
    life = start()
    life.load()
    life.session.submit(1, [Message("user", "word " * 2_000_000)], Sampling())
    life.wait_for(TurnEnded)
    assert life.state.phase is Phase.READY


def test_a_command_that_cannot_be_run_is_a_failure(start):
    life = start(python="/nonexistent/python")
    state = life.load()
    assert state.phase is Phase.CRASHED
    assert "No such file" in state.failure.message


def test_an_interpreter_that_exits_without_closing_leaves_nobody(tmp_path):
    script = tmp_path / "forgetful.py"
    script.write_text(
        "import sys, threading\n"
        "from offtui.engine.session import Session\n"
        "from offtui.engine.state import Phase\n"
        "from offtui.protocol.events import Loaded\n"
        "from offtui.protocol.spec import LoadSpec\n"
        "loaded = threading.Event()\n"
        "s = Session(lambda state, o: isinstance(o, Loaded) and loaded.set(), command=(sys.executable, sys.argv[1]))\n"
        "s.want(LoadSpec(model='a.gguf'))\n"
        "assert loaded.wait(20)\n"
        "while s._supervisor.crew.spare is None: threading.Event().wait(0.01)\n"
        "print(s._supervisor.worker.pid, s._supervisor.crew.spare.child.pid, flush=True)\n"
    )
    done = subprocess.run([sys.executable, script, FAKE], capture_output=True, text=True, timeout=60, check=True)
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert done.stderr == ""


def test_a_parent_that_is_killed_takes_its_workers_along(tmp_path):
    script = tmp_path / "victim.py"
    script.write_text(
        "import os, signal, sys, threading\n"
        "from offtui.engine.session import Session\n"
        "from offtui.protocol.events import Hello\n"
        "from offtui.protocol.spec import LoadSpec\n"
        "up = threading.Event()\n"
        "s = Session(lambda state, o: isinstance(o, Hello) and up.set(), command=(sys.executable, sys.argv[1]))\n"
        "s.want(LoadSpec(model='a.gguf'))\n"
        "assert up.wait(20)\n"
        "print(s._supervisor.worker.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, script, FAKE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    _gone, alive = psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=PATIENCE)
    assert alive == []


def test_ctrl_c_in_the_terminal_does_not_reach_the_worker(start):
    life: Harness = start()
    life.load()
    worker = children()[0]
    assert os.getsid(worker.pid) == worker.pid
    assert os.getpgid(worker.pid) != os.getpgid(0)
    assert isinstance(life.state.loaded, Loaded)
    assert not life.of(LoadFailed)
