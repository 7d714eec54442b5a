"""Moves for which there is no room, and a file that is cut while the next worker reads it: provoked for real."""

import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from offtui.engine import parcel
from offtui.engine.moves import MoveEnded, MoveStepped
from offtui.engine.overlap import beside
from offtui.engine.session import Session
from offtui.engine.state import Occurrence, Phase, SessionState
from offtui.protocol.events import Hello, Loaded, TurnResumed, TurnStarted
from offtui.protocol.requests import Load
from offtui.protocol.spec import LoadSpec, Message, Sampling
from tests.fakes.worker_client import WorkerClient
from tests.real.test_moves import QUESTION, Life, spec_of, start

__all__ = ["start"]
LITTLE = 64 * 1024
"""Bytes that a worker may write to one file."""

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="limits another process"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def wanted(tiny_model: Path) -> str:
    """The answer without any move; the model says again and again the same, so that no rounding can change it."""
    with WorkerClient() as worker:
        worker.send(Load(spec_of(tiny_model, 0)))
        worker.wait_for(Loaded)
        return worker.turn(1, QUESTION, Sampling(temperature=0.0, max_tokens=1000))[0]


@pytest.mark.parametrize(
    ("place", "overlap"),
    [("shared memory", beside), ("shared memory", None), ("a file", None), ("nowhere", None)],
    ids=["shared-memory-beside", "shared-memory", "a-file", "nowhere"],
)
def test_a_cache_without_room_is_evaluated_again_and_that_is_said(
    start: Callable[..., Life],
    tiny_model: Path,
    wanted: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    place: str,
    overlap: object,
) -> None:
    """The limit of the size of files acts on shared memory too, and needs no rights: it is full at once."""
    folder = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    life = start(overlap)
    life.session.want(spec_of(tiny_model, 0))
    life.wait(lambda s: s.phase is Phase.READY)
    life.session.submit(1, QUESTION, Sampling(temperature=0.0, max_tokens=6000))
    life.wait(lambda s: s.turn is not None and s.turn.tokens >= 50)
    if place != "shared memory":  # it is written into a file then
        monkeypatch.setattr(parcel, "ram_available", lambda: 0)
    if place == "nowhere":
        shutil.rmtree(folder, ignore_errors=True)
        folder.touch()
    else:
        resource.prlimit(life.of(Hello)[-1].pid, resource.RLIMIT_FSIZE, (LITTLE, LITTLE))
    life.session.want(spec_of(tiny_model, 0, n_ctx=7168))
    life.wait(lambda s: s.turn is not None and s.turn.moves == 1 and s.turn.last_token)
    life.session.stop()
    life.wait(lambda s: s.last_timings is not None)
    moved = life.of(MoveEnded)[0].moved
    assert (moved.failure, moved.tokens, moved.beside) == (None, 0, overlap is not None)
    assert ("no room" if place != "nowhere" else "could not be kept") in moved.why
    (resumed,) = life.of(TurnResumed)
    assert resumed.kept_tokens == 0
    shorter = min(len(life.text()), len(wanted))
    assert life.text()[:shorter] == wanted[:shorter]


def test_a_file_that_is_cut_while_it_is_read_leaves_the_old_session(varied_model: Path, tmp_path: Path) -> None:
    """The worker that reads it is halted at its first step, and goes on once the file is shorter."""
    model = tmp_path / "cut.gguf"
    shutil.copy2(varied_model, model)
    whole = os.stat(model)
    cut: list[int] = []

    class Cutting(Life):
        def __init__(self) -> None:
            super().__init__()
            self.session.close()
            self.session = Session(self._listen, spare=False)

        def _listen(self, state: SessionState, occurrence: Occurrence) -> None:
            stepped = isinstance(occurrence, MoveStepped) and occurrence.progress is not None
            if stepped and not cut and self.of(Loaded):
                main = self.of(Hello)[-1].pid
                workers = [process.pid for process in psutil.Process().children() if "offtui.worker" in _line(process)]
                (pid,) = [pid for pid in workers if pid != main]
                os.kill(pid, signal.SIGSTOP)
                os.truncate(model, whole.st_size // 2)
                os.kill(pid, signal.SIGCONT)
                cut.append(pid)
            super()._listen(state, occurrence)

    def spec(n_ctx: int) -> LoadSpec:
        return spec_of(model, 0, n_ctx=n_ctx, use_mmap=False)

    life = Cutting()
    try:
        life.session.want(spec(2048))
        life.wait(lambda s: s.phase is Phase.READY)
        life.session.submit(1, QUESTION, Sampling(temperature=0.0, max_tokens=50))
        life.wait(lambda s: s.phase is Phase.READY and s.last_timings is not None)
        for more in range(1, 21):
            before = life.session.state
            life.session.want(spec(2048 + 256 * more))
            life.wait(lambda s, before=before: s.moved is not before.moved and s.move is None)
            assert cut
            if life.session.state.failure is not None:
                break
            # it had read all of it by then
            shutil.copyfile(varied_model, model)
            os.utime(model, ns=(whole.st_atime_ns, whole.st_mtime_ns))
            cut.clear()
        state = life.session.state
        assert state.failure is not None
        assert state.failure.kind == "truncated", state.failure
        assert state.phase is Phase.READY
        assert state.loaded is not None
        assert state.loaded.n_ctx == before.loaded.n_ctx
        talk = (*QUESTION, Message("assistant", life.text()), Message("user", "And then?"))
        life.session.submit(2, talk, Sampling(temperature=0.0, max_tokens=5))
        life.wait(lambda s: len(life.of(TurnStarted)) == 2)
        assert life.of(TurnStarted)[1].reused_tokens == before.n_past
    finally:
        life.session.close()


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
