"""The planner beside a real session: llama.cpp on a real second device."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from offtui.engine.session import Session
from offtui.engine.state import Occurrence, Phase, SessionState
from offtui.planner.planner import Planner, Tools
from offtui.planner.view import NoPlan, PlanView
from offtui.protocol.events import TurnEnded
from offtui.protocol.facts import Learned
from offtui.protocol.spec import LoadSpec, Message, Sampling
from offtui.store.measurements import Store
from offtui.units import MIB
from tests.fakes import gguf_shapes as shapes
from tests.fakes.device import RunningDevice


def until(predicate: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def is_up(state: SessionState, spec: LoadSpec) -> bool:
    loaded = state.loaded
    if state.phase is not Phase.READY or state.move is not None or loaded is None:
        return False
    found = (loaded.spec.model, loaded.layers.got, loaded.spec.placement)
    return found == (spec.model, spec.n_gpu_layers, spec.placement)


def test_loads_are_as_planned_and_answers_are_measured(
    tiny_model: Path, swa_model: Path, device: RunningDevice, tmp_path: Path
) -> None:
    views: list[PlanView] = []
    ended: list[TurnEnded] = []
    planner = Planner(views.append, Tools(store=lambda: Store(tmp_path / "m.db"), bandwidth=lambda: None), quiet=0.1)

    def listen(state: SessionState, occurrence: Occurrence) -> None:
        planner.hear(state, occurrence)
        if isinstance(occurrence, TurnEnded):
            ended.append(occurrence)

    session = Session(listen, spare=False)
    try:
        for model in (tiny_model, swa_model):
            for layers in (0, 1, 5, 8, 9):
                spec = LoadSpec(model=str(model), n_gpu_layers=layers, n_ctx=2048, n_threads=1, rpc=(device.endpoint,))
                session.want(spec)
                until(lambda spec=spec: is_up(session.state, spec))
                path, count = str(model), len(ended)
                until(lambda path=path: bool(views) and views[-1].spec.model == path and bool(views[-1].truth))
                until(lambda layers=layers: views[-1].rows[layers].exact)
                assert views[-1].bugs == ()
                session.submit(count, [Message("user", "hello")], Sampling(max_tokens=20, temperature=0.0))
                until(lambda count=count: len(ended) > count)
                if ended[-1].timings.tokens >= 16:
                    until(lambda layers=layers: views[-1].rows[layers].runs > 0)
        assert sum(row.runs for row in views[-1].rows) + sum(entry.timings.tokens < 16 for entry in ended) >= 5
    finally:
        session.close()
        planner.close()
    assert not [child for child in psutil.Process().children() if "offtui.worker" in " ".join(child.cmdline())]


def test_loads_of_other_placements_are_as_planned_too(tiny_model: Path, device: RunningDevice, tmp_path: Path) -> None:
    views: list[PlanView] = []
    moe = shapes.write_random(tmp_path / "moe.gguf", shapes.tiny_experts())

    def deliver(said: PlanView | NoPlan) -> None:
        assert isinstance(said, PlanView), said
        views.append(said)

    planner = Planner(deliver, Tools(store=lambda: Store(tmp_path / "m.db"), bandwidth=lambda: None), quiet=0.1)
    session = Session(planner.hear, spare=False)
    dense, sparse = (str(tiny_model), "ffn"), (str(moe), "experts")
    wishes = [(*dense, 1), (*dense, 5), (*dense, 8), (str(tiny_model), "layers", 5), (*sparse, 2), (*sparse, 7)]
    try:
        for model, placement, layers in wishes:
            spec = LoadSpec(
                model=model,
                n_gpu_layers=layers,
                placement=placement,  # type: ignore[arg-type]
                n_ctx=2048,
                n_threads=1,
                rpc=(device.endpoint,),
            )
            session.want(spec)
            until(lambda spec=spec: is_up(session.state, spec))
            until(lambda s=spec: bool(views) and (views[-1].spec.model, views[-1].placement) == (s.model, s.placement))
            until(lambda at=layers: views[-1].rows[at].exact and bool(views[-1].truth))
            assert views[-1].bugs == ()
            own, plain = views[-1].rows[layers].compute, views[-1].rows[layers].formula
            assert all(abs(a - b) <= 5 * MIB for a, b in zip(own, plain, strict=True))
    finally:
        session.close()
        planner.close()


def test_what_was_learned_of_the_devices_reaches_the_choice_of_a_load(tiny_model: Path, device: RunningDevice) -> None:
    asked: list[int] = []
    said = [None, 10**15]

    def learned() -> Learned:
        asked.append(len(asked))
        return Learned(said=said[len(asked) - 1])

    session = Session(lambda _state, _occurrence: None, spare=False, learned=learned)
    try:
        for count, n_ctx in ((13, 1024), (0, 2048)):
            session.want(LoadSpec(model=str(tiny_model), n_ctx=n_ctx, n_threads=1, rpc=(device.endpoint,)))
            until(lambda n=n_ctx: session.state.loaded is not None and session.state.loaded.n_ctx == n)
            loaded = session.state.loaded
            assert loaded is not None
            assert loaded.layers.got == count
        session.want(LoadSpec(model=str(tiny_model), n_gpu_layers=4, n_ctx=1024, n_threads=1, rpc=(device.endpoint,)))
        until(lambda: session.state.loaded is not None and session.state.loaded.layers.got == 4)
        assert asked == [0, 1]  # a number that is given needs no choice
    finally:
        session.close()
