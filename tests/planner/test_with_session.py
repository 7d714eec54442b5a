"""The planner beside a real session: llama.cpp on a real second device."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from offtui.engine.session import Session
from offtui.engine.state import Occurrence, Phase, SessionState
from offtui.planner.planner import Planner, Tools
from offtui.planner.view import PlanView
from offtui.protocol.events import TurnEnded
from offtui.protocol.spec import LoadSpec, Message, Sampling
from offtui.store.measurements import Store
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
    return (loaded.spec.model, loaded.layers.got) == (spec.model, spec.n_gpu_layers)


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
