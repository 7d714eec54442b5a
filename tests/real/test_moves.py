"""The live re-offload for real: a session over llama.cpp, on the CPU and on a second device with two slots."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from offtui.engine import handover
from offtui.engine.moves import MoveEnded
from offtui.engine.overlap import beside
from offtui.engine.session import Session
from offtui.engine.state import Occurrence, Phase, SessionState
from offtui.protocol.events import Loaded, Piece, TurnEnded, TurnResumed, TurnStarted
from offtui.protocol.spec import LoadSpec, Message, Sampling
from tests.fakes import gguf_shapes
from tests.fakes.device import RunningDevice

QUESTION = (Message("user", "What is GPU offloading?"),)
PATIENCE = 180.0

pytestmark = pytest.mark.timeout(600)


class Life:
    """A session and all that it told."""

    def __init__(self, overlap: object = beside) -> None:
        self.seen: list[tuple[SessionState, Occurrence]] = []
        self._changed = threading.Condition()
        self.session = Session(self._listen, overlap=overlap)  # type: ignore[arg-type]

    def _listen(self, state: SessionState, occurrence: Occurrence) -> None:
        with self._changed:
            self.seen.append((state, occurrence))
            self._changed.notify_all()

    def wait(self, predicate: Callable[[SessionState], object]) -> SessionState:
        with self._changed:
            done = self._changed.wait_for(lambda: predicate(self.session.state), PATIENCE)
            assert done, "\n".join(f"{s.phase:>10} {str(o)[:300]}" for s, o in self.seen[-30:])
        return self.session.state

    def of(self, kind: type) -> list:
        return [occurrence for _, occurrence in self.seen if isinstance(occurrence, kind)]

    def text(self) -> str:
        return "".join(piece.text for piece in self.of(Piece))

    def up(self, spec: LoadSpec) -> SessionState:
        return self.wait(lambda s: s.move is None and s.loaded is not None and s.wanted == spec)


@pytest.fixture
def start() -> Iterator[Callable[..., Life]]:
    lives: list[Life] = []

    def make(overlap: object = beside) -> Life:
        lives.append(Life(overlap))
        return lives[-1]

    yield make
    for life in lives:
        life.session.close()
    assert not [
        p for p in psutil.Process().children(recursive=True) if "offtui.worker" in p.cmdline() and "--fd" in p.cmdline()
    ]


def spec_of(model: Path, layers: int, device: RunningDevice | None = None, **change: object) -> LoadSpec:
    rpc = (device.endpoint,) if device else ()
    return LoadSpec(model=str(model), **{"n_gpu_layers": layers, "n_ctx": 8192, "n_threads": 1, "rpc": rpc, **change})  # type: ignore[arg-type]


_UNMOVED: dict[tuple[LoadSpec, Sampling], str] = {}


def unmoved(start: Callable[..., Life], spec: LoadSpec, sampling: Sampling) -> str:
    if (spec, sampling) in _UNMOVED:
        return _UNMOVED[spec, sampling]
    life = start()
    life.session.want(spec)
    life.wait(lambda s: s.phase is Phase.READY)
    life.session.submit(1, QUESTION, sampling)
    life.wait(lambda s: s.last_timings is not None)
    life.session.close()
    _UNMOVED[spec, sampling] = life.text()
    return life.text()


@pytest.mark.parametrize(
    ("overlap", "reserve_from"),
    [(beside, handover.RESERVE_FROM), (beside, 1), (None, 1)],
    ids=["beside", "beside, memory made ready", "in place"],
)
def test_a_long_answer_moved_four_times_equals_the_unmoved_one(
    start: Callable[..., Life],
    varied_model: Path,
    device: RunningDevice,
    monkeypatch: pytest.MonkeyPatch,
    overlap: object,
    reserve_from: int,
) -> None:
    monkeypatch.setattr(handover, "RESERVE_FROM", reserve_from)
    sampling = Sampling(temperature=0.0, max_tokens=4000)
    wanted = unmoved(start, spec_of(varied_model, 0, device), sampling)
    life = start(overlap)
    life.session.want(spec_of(varied_model, 0, device))
    life.wait(lambda s: s.phase is Phase.READY)
    life.session.submit(1, QUESTION, sampling)
    for number, layers in enumerate((13, 0, 4, 13), 1):
        life.wait(lambda s, moves=number - 1: s.turn and s.turn.moves == moves and s.turn.last_token)
        life.session.want(spec_of(varied_model, layers, device))
        state = life.up(spec_of(varied_model, layers, device))
        assert state.loaded is not None
        assert state.loaded.layers.got == layers
    state = life.wait(lambda s: s.last_timings is not None)
    assert state.last_timings is not None
    assert (state.last_timings.tokens, state.last_timings.moves) == (4000, 4)
    assert life.text() == wanted
    assert all(event.kept_tokens == event.total_tokens - 1 for event in life.of(TurnResumed))
    ended = [event.moved for event in life.of(MoveEnded)]
    assert [(moved.failure, moved.why, moved.beside) for moved in ended] == [(None, "", overlap is not None)] * 4


def test_the_next_question_evaluates_none_of_the_old_tokens(
    start: Callable[..., Life], swa_model: Path, device: RunningDevice
) -> None:
    life = start()
    life.session.want(spec_of(swa_model, 0, device, n_ctx=2048))
    life.wait(lambda s: s.phase is Phase.READY)
    life.session.submit(1, QUESTION, Sampling(temperature=0.0, max_tokens=50))
    state = life.wait(lambda s: s.phase is Phase.READY and s.last_timings is not None)
    n_past = state.n_past
    life.session.want(spec_of(swa_model, 3, device, n_ctx=4096))
    state = life.up(spec_of(swa_model, 3, device, n_ctx=4096))
    assert (state.n_past, state.moved and state.moved.tokens) == (n_past, n_past)
    talk = (*QUESTION, Message("assistant", life.text()), Message("user", "And then?"))
    life.session.submit(2, talk, Sampling(temperature=0.0, max_tokens=5))
    life.wait(lambda s: len(life.of(TurnEnded)) == 2)
    assert life.of(TurnStarted)[1].reused_tokens == n_past


@pytest.mark.parametrize("overlap", [beside, None], ids=["beside", "in place"])
def test_a_load_that_cannot_succeed_leaves_the_answer_going(
    start: Callable[..., Life], varied_model: Path, overlap: object
) -> None:
    sampling = Sampling(temperature=0.0, max_tokens=3000)
    wanted = unmoved(start, spec_of(varied_model, 0), sampling)
    life = start(overlap)
    life.session.want(spec_of(varied_model, 0))
    life.wait(lambda s: s.phase is Phase.READY)
    life.session.submit(1, QUESTION, sampling)
    life.wait(lambda s: s.turn is not None and s.turn.last_token)
    life.session.want(spec_of(varied_model, 0, n_ctx=2_000_000_000))
    state = life.wait(lambda s: s.moved is not None)
    assert state.failure is not None
    assert state.failure.kind == "out_of_memory"
    life.wait(lambda s: s.last_timings is not None)
    assert life.text() == wanted


def test_a_file_cut_in_between_is_named_and_the_old_one_answers_on(
    start: Callable[..., Life], varied_model: Path, tmp_path: Path
) -> None:
    model = tmp_path / "cut.gguf"
    shutil.copy(varied_model, model)
    life = start()
    life.session.want(spec_of(model, 0, use_mmap=False))
    life.wait(lambda s: s.phase is Phase.READY)
    with model.open("r+b") as file:
        file.truncate(varied_model.stat().st_size // 2)
    life.session.want(spec_of(model, 0, n_ctx=4096, use_mmap=False))
    state = life.wait(lambda s: s.moved is not None and s.move is None)
    assert state.phase is Phase.READY
    assert state.failure is not None
    assert state.failure.kind == "truncated"
    life.session.submit(1, QUESTION, Sampling(max_tokens=5))
    life.wait(lambda s: s.last_timings is not None)


def test_a_device_with_one_slot_is_used_in_place(start: Callable[..., Life], varied_model: Path) -> None:
    with RunningDevice() as single:
        life = start()
        life.session.want(spec_of(varied_model, 2, single))
        life.wait(lambda s: s.phase is Phase.READY)
        life.session.submit(1, QUESTION, Sampling(temperature=0.0, max_tokens=3000))
        life.wait(lambda s: s.turn is not None and s.turn.last_token)
        for layers in (5, 9):
            life.session.want(spec_of(varied_model, layers, single))
            state = life.up(spec_of(varied_model, layers, single))
            assert state.moved is not None
            assert (state.moved.failure, state.moved.beside) == (None, False)
        life.wait(lambda s: s.last_timings is not None)
        assert len(life.of(Loaded)) == 3


@pytest.mark.parametrize("placement", ["ffn", "experts"])
def test_another_placement_is_loaded_beside_the_old_one(
    start: Callable[..., Life], tiny_model: Path, tmp_path: Path, device: RunningDevice, placement: str
) -> None:
    """All but the feed-forward matrices, or the experts, of the other layers goes to the device, and back."""
    model = tiny_model
    if placement == "experts":
        model = gguf_shapes.write_random(tmp_path / "experts.gguf", gguf_shapes.tiny_experts())
    life = start()
    life.session.want(spec_of(model, 4, device))
    life.wait(lambda s: s.phase is Phase.READY)
    life.session.submit(1, QUESTION, Sampling(temperature=0.0, max_tokens=50))
    n_past = life.wait(lambda s: s.phase is Phase.READY and s.last_timings is not None).n_past
    for target in (placement, "layers"):
        state = life.session.state
        before = state.loaded
        life.session.want(spec_of(model, 4, device, placement=target))
        state = life.up(spec_of(model, 4, device, placement=target))
        assert state.moved is not None
        assert (state.moved.failure, state.moved.why, state.moved.tokens) == (None, "", n_past)
        assert state.moved.beside
        assert state.loaded is not None
        assert state.loaded.spec.placement == target
        assert held(state.loaded) > held(before) if target == placement else held(state.loaded) < held(before)


def held(loaded: Loaded | None) -> int:
    """Bytes of weights on the device."""
    assert loaded is not None
    return sum(row.weights for row in loaded.devices if row.kind != "cpu")
