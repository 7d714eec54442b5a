"""Placements, the dial's cursor and models that are not loaded: what the planner delivers and whom it asks."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from offtui.engine.state import Phase, SessionState
from offtui.gguf.header import Header
from offtui.plan.placement import for_llama_cpp
from offtui.plan.probe import DevicesReply, DryRequest, DryResult
from offtui.protocol.facts import Failure
from offtui.protocol.spec import LoadSpec
from offtui.units import GIB, MIB
from tests.fakes import gguf_shapes as shapes
from tests.planner.scene import Scene, facts, header_at, loaded_as_planned


@pytest.fixture
def header(tmp_path: Path) -> Header:
    return header_at(tmp_path / "m.gguf")


@pytest.fixture
def scene(tmp_path: Path, header: Header) -> Iterator[Scene]:
    with Scene(tmp_path / "m.db", {header.path: header}) as found:
        yield found


def own(request: DryRequest) -> list[DryResult]:
    """llama.cpp says 100 MiB and one for every pattern or layer."""
    return [
        DryResult(point, {"CUDA0": (100 + point.n_gpu_layers + 10 * len(point.on_cpu)) * MIB}, 45 * MIB)
        for point in request.points
    ]


def test_every_placement_is_planned_and_the_loads_own_is_looked_at(scene: Scene, header: Header) -> None:
    scene.load(loaded_as_planned(header, 20, placement="ffn"))
    scene.until(lambda: bool(scene.views))
    view = scene.view
    assert view.placements == ("layers", "ffn")
    assert view.placement == "ffn"
    assert view.bugs == ()
    assert view.truth
    assert view.rows[20].exact
    assert not view.under("layers").rows[20].exact
    assert view.rows[20].vram > view.under("layers").rows[20].vram
    assert view.under("experts").placement == "layers"
    assert view.under("ffn") is view


def test_a_mixture_of_experts_keeps_experts_in_ram_at_best(tmp_path: Path) -> None:
    header = header_at(tmp_path / "moe.gguf", shapes.qwen3_30b_a3b())
    with Scene(tmp_path / "m.db", {header.path: header}) as scene:
        scene.load(loaded_as_planned(header, 10))
        scene.until(lambda: bool(scene.views))
        assert scene.view.placements == ("layers", "experts")
        assert scene.view.best.placement == "experts"
        assert scene.view.best.rate > scene.view.under("layers").ladder.rate


def test_measurements_belong_to_their_placement_and_the_ends_to_each(scene: Scene, header: Header) -> None:
    most = header.n_layer + 1
    for layers, tps in ((20, 9.0), (most, 40.0)):
        scene.load(loaded_as_planned(header, layers, placement="ffn"))
        scene.answer(tps)
        scene.until(lambda at=layers: bool(scene.views) and scene.view.rows[at].runs == 1)
    whole = scene.view.under("layers")
    assert whole.rows[20].runs == 0
    assert whole.rows[20].rate.source == "fit"
    assert round(whole.rows[most].rate.value, 3) == 40.0
    scene.load(loaded_as_planned(header, 20))
    scene.answer(5.0)
    scene.until(lambda: scene.view.under("layers").rows[20].runs == 1)
    assert round(scene.view.under("ffn").rows[20].rate.value, 3) == 9.0


def test_llama_cpp_is_asked_about_the_choices_of_all_placements(tmp_path: Path, header: Header) -> None:
    with Scene(tmp_path / "m.db", {header.path: header}, own) as scene:
        scene.load(loaded_as_planned(header, 20))
        scene.until(lambda: bool(scene.views) and all(at.rows[at.choice].exact for at in scene.view.ladders))
        for ladder in scene.view.ladders:
            assert all(row.exact for row in ladder.rows[ladder.choice - 1 : ladder.choice + 2])
        asked = [(point.n_gpu_layers, point.on_cpu) for request in scene.asked for point in request.points]
        assert len(asked) == len(set(asked))
        choice = next(ladder.choice for ladder in scene.view.ladders if ladder.placement == "ffn")
        assert for_llama_cpp("ffn", choice, header.n_layer) in asked


def test_where_the_dial_rests_llama_cpp_is_asked_and_once(tmp_path: Path, header: Header) -> None:
    with Scene(tmp_path / "m.db", {header.path: header}, own) as scene:
        scene.load(loaded_as_planned(header, 20))
        scene.until(lambda: bool(scene.views) and scene.view.rows[0].exact)
        count = len(scene.asked)
        for layers in (2, 3, 4, 5):
            scene.planner.rest("ffn", layers)
        scene.until(lambda: scene.view.under("ffn").rows[5].exact)
        assert len(scene.asked) == count + 1
        (point,) = scene.asked[-1].points
        assert (point.n_gpu_layers, point.on_cpu) == for_llama_cpp("ffn", 5, header.n_layer)
        scene.planner.rest("ffn", 5)
        scene.planner.rest("layers", 20)  # the load itself has told
        assert not any(threading.Event().wait(0.03) or len(scene.asked) > count + 1 for _ in range(4))
        scene.planner.rest("layers", 3)
        scene.until(lambda: scene.view.under("layers").rows[3].exact)


def test_nobody_is_asked_while_an_answer_is_written(tmp_path: Path, header: Header) -> None:
    with Scene(tmp_path / "m.db", {header.path: header}, own) as scene:
        scene.load(loaded_as_planned(header, 20))
        scene.until(lambda: bool(scene.views) and scene.view.rows[0].exact)
        fact = loaded_as_planned(header, 20)
        count = len(scene.asked)
        busy = SessionState(phase=Phase.GENERATING, wanted=fact.spec, loaded=fact, memory=fact.memory)
        scene.planner.hear(busy, fact)
        scene.planner.rest("layers", 5)
        assert not any(threading.Event().wait(0.03) or len(scene.asked) > count for _ in range(4))
        scene.load(fact)
        scene.until(lambda: len(scene.asked) == count + 1)


def test_counts_between_have_the_formula_with_what_their_neighbours_taught(tmp_path: Path, header: Header) -> None:
    with Scene(tmp_path / "m.db", {header.path: header}) as plain:
        plain.load(loaded_as_planned(header, 0))
        plain.until(lambda: bool(plain.views))
        formula = [row.devices[0].compute for row in plain.view.rows]

    def off(request: DryRequest) -> list[DryResult]:
        more = {5: 100 * MIB, 9: 20 * MIB}
        return [
            DryResult(point, {"CUDA0": formula[point.n_gpu_layers] + more[point.n_gpu_layers]})
            for point in request.points
            if point.n_gpu_layers in more and not point.on_cpu
        ]

    with Scene(tmp_path / "n.db", {header.path: header}, off) as scene:
        scene.load(loaded_as_planned(header, 0))
        for layers in (5, 9):
            scene.until(lambda: bool(scene.views))
            scene.planner.rest("layers", layers)
            scene.until(lambda at=layers: scene.view.rows[at].exact)
        rows = scene.view.rows
        last = len(rows) - 1
        found = [row.devices[0].compute - plain for row, plain in zip(rows, formula, strict=True)]
        assert [round(value / MIB) for value in found[1:13]] == [0, 0, 100, 100, 100, 80, 60, 40, 20, 20, 20, 20]
        sources = [rows[at].source for at in (0, 2, 3, 5, 7, last)]
        assert sources == ["own", "formula", "between", "own", "between", "formula"]
        assert (found[1], found[last]) == (0, 0)
        assert rows[7].formula[0] == formula[7]


def test_a_model_is_planned_without_a_load(scene: Scene, header: Header) -> None:
    spec = LoadSpec(model=header.path, placement="best")
    scene.planner.study(spec)
    scene.until(lambda: bool(scene.views))
    view = scene.view
    assert view.spec.model == header.path
    assert view.placement == view.best.placement
    assert view.truth == ()
    assert view.budget is not None
    assert 0 < view.budget < 8 * GIB


def test_a_study_beside_a_load_and_back(scene: Scene, header: Header, tmp_path: Path) -> None:
    other = header_at(tmp_path / "other.gguf", shapes.qwen3_8b())
    scene.headers[other.path] = other
    scene.load(loaded_as_planned(header, 20))
    scene.until(lambda: bool(scene.views))
    budget = scene.view.budget
    scene.planner.study(LoadSpec(model=other.path))
    scene.until(lambda: scene.view.spec.model == other.path)
    assert scene.view.budget == budget  # what is up is counted as given back
    scene.answer(7.0)
    scene.planner.study(None)
    scene.until(lambda: scene.view.spec.model == header.path)
    assert scene.view.rows[20].runs == 1  # what was learned meanwhile is not lost


def test_a_study_of_nothing_says_why(scene: Scene, tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"nothing")
    scene.planner.study(LoadSpec(model=str(bad)))
    scene.until(lambda: len(scene.refusals) == 1)
    assert scene.refusals[0].why == "It is no GGUF."
    scene.planner.study(LoadSpec(model=str(tmp_path / "gone.gguf")))
    scene.until(lambda: len(scene.refusals) == 2)
    assert scene.refusals[1].why == "The file is not there."
    scene.devices = DevicesReply(devices=(), failure=Failure("rpc_busy", "It is busy.", advice="Wait."))
    scene.planner.study(LoadSpec(model=str(bad), rpc=("127.0.0.1:1",)))
    scene.until(lambda: len(scene.refusals) == 3)
    assert scene.refusals[2].why == "It is busy. Wait."
    assert scene.views == []


def test_a_budget_counts_in_a_study(tmp_path: Path, header: Header) -> None:
    with Scene(tmp_path / "m.db", {header.path: header}) as scene:
        scene.devices = DevicesReply(devices=facts())
        scene.planner.study(LoadSpec(model=header.path, vram_budget=4 * GIB))
        scene.until(lambda: bool(scene.views))
        usual = scene.view.budget
        assert usual is not None
        assert usual < 4 * GIB
        scene.planner.study(LoadSpec(model=header.path, vram_budget=4 * GIB, vram_margin=1 * GIB))
        scene.until(lambda: scene.view.spec.vram_margin == GIB)
        assert scene.view.budgets[0].margin == GIB
        assert (scene.view.budget or 0) < usual
