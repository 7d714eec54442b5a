"""The planner: what it delivers, what it remembers, and whom it never disturbs."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from offtui.engine.state import Phase, SessionState, WorkerEnded
from offtui.gguf.header import Header
from offtui.plan.probe import DryRequest, DryResult
from offtui.planner.learning import learned
from offtui.planner.view import fit_line, need_line, part_of, rate_line, rough
from offtui.protocol.events import DeviceMemory
from offtui.protocol.facts import DeviceKind
from offtui.protocol.spec import LoadSpec
from offtui.store.measurements import Store
from offtui.units import GIB, MIB
from tests.fakes import gguf_shapes as shapes
from tests.planner.scene import RAM_FREE, Scene, header_at, loaded_as_planned


@pytest.fixture
def header(tmp_path: Path) -> Header:
    return header_at(tmp_path / "m.gguf")


@pytest.fixture
def scene(tmp_path: Path, header: Header) -> Iterator[Scene]:
    with Scene(tmp_path / "data" / "measurements.db", {header.path: header}) as found:
        yield found


def again(scene: Scene) -> Scene:
    """Another run of the program on the same data."""
    return Scene(scene.file, scene.headers)


def test_a_load_brings_a_plan_with_a_row_for_every_count(scene: Scene, header: Header) -> None:
    scene.load(loaded_as_planned(header, 20))
    scene.until(lambda: bool(scene.views))
    view = scene.view
    assert [row.n_gpu_layers for row in view.rows] == list(range(header.n_layer + 2))
    assert view.spec.model == header.path
    assert all(row.rate.low < row.rate.value < row.rate.high for row in view.rows)
    assert "layers" in view.why
    assert view.rows[view.choice].fit == "fits"


def test_the_budget_counts_in_what_the_running_model_gives_back(scene: Scene, header: Header) -> None:
    budgets: list[int | None] = []
    for layers in (0, 20):
        count = len(scene.views)
        scene.load(loaded_as_planned(header, layers))
        scene.until(lambda n=count: len(scene.views) > n)
        budgets.append(scene.view.budget)
    assert budgets[0] == budgets[1]


def test_too_many_layers_are_said_by_how_much(scene: Scene, header: Header) -> None:
    fact = loaded_as_planned(header, 4)
    small = (msgspec.structs.replace(fact.memory[0], free=1 * GIB, total=4 * GIB), fact.memory[1])
    scene.load(msgspec.structs.replace(fact, memory=small))
    scene.until(lambda: bool(scene.views))
    view = scene.view
    row = view.rows[-1]
    assert (row.fit, row.short_of) == ("too much", "CUDA0")
    assert row.excess == row.vram - (view.budget or 0)
    assert "too much for CUDA0" in fit_line(view, row)
    chosen = view.rows[view.choice]
    assert chosen.fit == "fits"
    assert fit_line(view, chosen) == f"fits, the most that does: {view.choice + 1} would not"


def test_a_device_that_does_not_tell_its_memory(scene: Scene, header: Header) -> None:
    fact = loaded_as_planned(header, 4)
    dumb = (msgspec.structs.replace(fact.memory[0], free=None, total=None), fact.memory[1])
    scene.load(msgspec.structs.replace(fact, memory=dumb))
    scene.until(lambda: bool(scene.views))
    assert scene.view.rows[5].fit == "unknown"
    assert "does not tell its memory" in fit_line(scene.view, scene.view.rows[5])
    assert scene.view.budget is None


def test_an_answer_is_remembered_shown_as_measured_and_narrows_the_rest(scene: Scene, header: Header) -> None:
    scene.load(loaded_as_planned(header, 20))
    scene.until(lambda: bool(scene.views))
    before = scene.view.rows[10].rate
    scene.answer(9.2)
    scene.until(lambda: scene.view.rows[20].runs == 1)
    row = scene.view.rows[20]
    assert rate_line(row) == "9.20 t/s measured"
    assert (row.rate.source, round(row.rate.value, 6)) == ("measured", 9.2)
    after = scene.view.rows[10].rate
    assert after.source == "fit"
    assert after.high / after.low < before.high / before.low
    assert rate_line(scene.view.rows[10]).startswith("~")
    with again(scene) as later:
        later.load(loaded_as_planned(header, 7))
        later.until(lambda: bool(later.views))
        assert later.view.rows[20].runs == 1
        assert later.read == []  # the header came from the store


def test_joules_are_kept_by_layer_count_and_unknown_where_none_were_measured(scene: Scene, header: Header) -> None:
    scene.load(loaded_as_planned(header, 20))
    scene.answer(9.2, tokens=100)
    scene.until(lambda: bool(scene.views) and scene.view.rows[20].runs == 1)
    assert {row.joules for row in scene.view.rows} == {None}
    scene.planner.pay(1, 250.0)
    scene.planner.pay(7, 9.0)  # of a turn that nothing is known of
    scene.until(lambda: scene.view.rows[20].joules is not None)
    scene.answer(9.4, tokens=50)
    scene.planner.pay(1, 50.0)
    scene.until(lambda: scene.view.rows[20].joules == 2.0)
    assert [row.n_gpu_layers for row in scene.view.rows if row.joules is not None] == [20]
    with again(scene) as later:
        later.load(loaded_as_planned(header, 7))
        later.until(lambda: bool(later.views))
        assert later.view.rows[20].joules == 2.0


def test_an_answer_too_short_says_nothing(scene: Scene, header: Header) -> None:
    scene.load(loaded_as_planned(header, 20))
    scene.answer(9.2, tokens=15)
    scene.answer(8.0, tokens=40)
    scene.until(lambda: bool(scene.views) and scene.view.rows[20].runs > 0)
    assert scene.view.rows[20].runs == 1
    assert round(scene.view.rows[20].rate.value, 6) == 8.0


def test_other_threads_are_another_measurement(scene: Scene, header: Header) -> None:
    fact = loaded_as_planned(header, 20)
    scene.load(fact)
    scene.answer(9.2)
    scene.until(lambda: bool(scene.views) and scene.view.rows[20].runs == 1)
    spec = msgspec.structs.replace(fact.spec, n_threads=1)
    scene.load(msgspec.structs.replace(fact, spec=spec))
    scene.until(lambda: scene.view.spec.n_threads == 1)
    assert scene.view.rows[20].runs == 0


def test_a_load_that_is_wanted_is_predicted_with_the_threads_it_will_run_with(scene: Scene, header: Header) -> None:
    scene.load(loaded_as_planned(header, 20))
    scene.until(lambda: bool(scene.views))
    scene.planner.study(LoadSpec(model=header.path))
    scene.until(lambda: scene.views[-1].spec.n_ctx is None)
    assert scene.view.spec.n_threads == 3


def test_a_load_that_is_as_planned_has_no_bug_and_its_residuals_are_kept(scene: Scene, header: Header) -> None:
    scene.load(loaded_as_planned(header, 20))
    scene.until(lambda: bool(scene.views))
    assert scene.view.truth
    assert scene.view.bugs == ()
    assert scene.view.rows[20].exact
    assert not scene.view.rows[3].exact
    connection = sqlite3.connect(scene.file)
    rows = connection.execute("SELECT device, purpose, planned = got FROM residuals").fetchall()
    connection.close()
    assert ("CUDA0", "weights", 1) in rows
    assert ("CPU", "kv", 1) in rows


def test_weights_that_are_not_as_planned_are_said(scene: Scene, header: Header) -> None:
    scene.load(loaded_as_planned(header, 20, extra=3 * MIB))
    scene.until(lambda: bool(scene.views))
    (bug,) = scene.view.bugs
    assert str(bug).startswith("weights on CUDA0: ")
    assert str(bug).endswith("(+3.0 MiB)")


def test_free_memory_that_moves_a_little_is_no_new_plan(scene: Scene, header: Header) -> None:
    fact = loaded_as_planned(header, 20)
    scene.load(fact)
    scene.until(lambda: bool(scene.views))
    gpu, cpu = fact.memory
    for change, count in ((10 * MIB, 1), (2 * GIB, 2)):
        less = msgspec.structs.replace(gpu, free=(gpu.free or 0) - change)
        state = msgspec.structs.replace(scene.state, memory=(less, cpu))
        scene.planner.hear(state, DeviceMemory((less, cpu), 1.0))
        scene.until(lambda n=count: len(scene.views) == n)


def test_another_model_is_planned_before_it_is_loaded(scene: Scene, header: Header, tmp_path: Path) -> None:
    other = header_at(tmp_path / "other.gguf", shapes.qwen3_8b())
    scene.headers[other.path] = other
    scene.load(loaded_as_planned(header, 20))
    scene.until(lambda: bool(scene.views))
    scene.want(other)
    scene.until(lambda: scene.view.spec.model == other.path)
    assert scene.view.most == other.n_layer + 1
    assert scene.view.truth == ()


def test_after_a_crash_the_plan_is_still_there(scene: Scene, header: Header) -> None:
    fact = loaded_as_planned(header, 20)
    scene.load(fact)
    scene.until(lambda: bool(scene.views))
    budget = scene.view.budget
    fallen = SessionState(phase=Phase.CRASHED, wanted=fact.spec)
    scene.planner.hear(fallen, WorkerEnded(1, None))
    scene.until(lambda: len(scene.views) > 1)
    assert scene.view.budget == budget


def test_a_file_that_is_no_model_and_one_that_stalls_hold_nothing_up(tmp_path: Path, header: Header) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"nothing")
    with Scene(tmp_path / "m.db", {header.path: header}) as scene:
        scene.load(loaded_as_planned(header_at(bad), 3))
        scene.load(loaded_as_planned(header, 20))
        scene.until(lambda: bool(scene.views))
        assert scene.view.spec.model == header.path


def test_llama_cpp_is_asked_when_it_is_quiet_and_wins(tmp_path: Path, header: Header) -> None:
    def dry(request: DryRequest) -> list[DryResult]:
        return [DryResult(point, {"CUDA0": 123 * MIB}, 45 * MIB) for point in request.points]

    with Scene(tmp_path / "m.db", {header.path: header}, dry) as scene:
        scene.load(loaded_as_planned(header, 20))
        scene.until(lambda: bool(scene.views) and scene.view.rows[0].exact)
        assert scene.view.rows[scene.view.choice].devices[0].compute == 123 * MIB
        first = len(scene.asked)
        assert 20 not in [point.n_gpu_layers for point in scene.asked[0].points]  # the load itself has told
        scene.answer(9.0)
        scene.until(lambda: scene.view.rows[20].runs == 1)
        assert len(scene.asked) == first  # what is known is not asked again


def test_the_ram_is_measured_when_it_is_quiet_and_the_best_counts(tmp_path: Path, header: Header) -> None:
    for bandwidth in (50e9, 20e9):
        with Scene(tmp_path / "m.db", {header.path: header}, bandwidth=bandwidth) as scene:
            scene.load(loaded_as_planned(header, 20))
            scene.until(lambda: scene.times_measured == 1)
            # more than three cores can multiply; the lesser figure would promise 4.3
            scene.until(lambda: scene.view.rows[0].rate.value > 4.7)
    store = Store(tmp_path / "m.db")
    assert store.constant("RAM", "bandwidth") == 50e9
    store.close()


def test_an_rpc_device_belongs_to_the_worker(tmp_path: Path, header: Header) -> None:
    with Scene(tmp_path / "m.db", {header.path: header}) as scene:
        scene.load(loaded_as_planned(header, 20, kind="rpc"))
        scene.until(lambda: bool(scene.views))
        for tps in (5.0, 6.0, 7.0):
            scene.answer(tps)
        scene.until(lambda: scene.view.rows[20].runs == 3)
        assert not any(threading.Event().wait(0.03) or scene.asked for _ in range(5))


def test_a_device_elsewhere_is_not_taken_for_a_card(tmp_path: Path, header: Header) -> None:
    speeds: list[float] = []
    kinds: tuple[DeviceKind, ...] = ("gpu", "rpc")
    for number, kind in enumerate(kinds):
        with Scene(tmp_path / f"{number}.db", {header.path: header}) as scene:
            scene.load(loaded_as_planned(header, 20, kind=kind))
            scene.until(lambda: bool(scene.views))
            speeds.append(scene.view.rows[-1].rate.value)
    assert speeds[1] < speeds[0] / 2


def test_the_shortest_round_trip_to_a_device_counts(scene: Scene, header: Header) -> None:
    """A longer one was met by something else that ran."""

    def load(trip: float, extra: int = 0) -> None:
        fact = loaded_as_planned(header, 20, kind="rpc", extra=extra)
        memory = tuple(
            msgspec.structs.replace(each, round_trip=trip if each.kind == "rpc" else None) for each in fact.memory
        )
        scene.load(msgspec.structs.replace(fact, memory=memory))

    load(0.5)
    scene.until(lambda: bool(scene.views))
    slow = scene.view.rows[20].rate.value
    load(1e-4)
    scene.until(lambda: scene.view.rows[20].rate.value > 1.5 * slow)
    quick, views = scene.view.rows[20].rate.value, len(scene.views)
    load(0.5, extra=GIB)
    scene.until(lambda: len(scene.views) > views)
    assert scene.view.rows[20].rate.value > 0.9 * quick


def test_the_constant_of_a_card_is_learned_from_a_load(scene: Scene, header: Header) -> None:
    fact = loaded_as_planned(header, 20)
    scene.load(fact)
    scene.until(lambda: bool(scene.views))
    assert (scene.view.budgets[0].context, scene.view.learned) == (350 * MIB, (False,))
    for overhead, kept in ((5 * GIB, 350), (-9 * MIB, 350), (120 * MIB, 120), (125 * MIB, 120), (40 * MIB, 40)):
        scene.load(msgspec.structs.replace(fact, overhead={"CUDA0": overhead}))
        scene.answer(5.0)
        count = scene.times_answered
        scene.until(lambda n=count: scene.view.rows[20].runs >= min(n, 5))
        assert scene.view.budgets[0].context == kept * MIB
    assert scene.view.learned == (True,)
    store = Store(scene.file)
    assert learned(store).contexts == {"A Card": 40 * MIB}
    assert learned(store, 7).said == 7
    store.close()


def test_what_a_person_says_of_the_backend_counts(tmp_path: Path, header: Header) -> None:
    with Scene(tmp_path / "m.db", {header.path: header}, overhead=77 * MIB) as scene:
        scene.load(msgspec.structs.replace(loaded_as_planned(header, 20), overhead={"CUDA0": 120 * MIB}))
        scene.until(lambda: bool(scene.views))
        assert scene.view.budgets[0].context == 77 * MIB


def test_closing_ends_a_reader_that_stalls(tmp_path: Path, header: Header) -> None:
    scene = Scene(tmp_path / "m.db", {header.path: header}, stall=threading.Event())
    scene.load(loaded_as_planned(header, 3))
    scene.until(lambda: scene.read == [header.path])
    assert scene.stall is not None
    scene.stall.set()
    scene.planner.close()
    scene.planner.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "offtui-planner"]


def test_a_mistake_is_written_down_and_the_next_plan_is_made(
    tmp_path: Path, header: Header, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    absurd = msgspec.structs.replace(header_at(tmp_path / "absurd.gguf"), metadata=None)  # type: ignore[arg-type]
    with Scene(tmp_path / "m.db", {header.path: header, absurd.path: absurd}) as scene:
        scene.want(absurd)
        scene.load(loaded_as_planned(header, 20))
        fact = loaded_as_planned(header, 20)
        broken = msgspec.structs.replace(fact, spec=msgspec.structs.replace(fact.spec, model=absurd.path))
        scene.load(broken)
        written = tmp_path / "state" / "offtui" / "logs" / "planner.txt"
        scene.until(lambda: written.exists() and "Traceback" in written.read_text())
        before = len(scene.views)
        scene.load(fact)
        scene.until(lambda: len(scene.views) > before)


def test_ram_that_is_short_is_said(scene: Scene, header: Header) -> None:
    fact = loaded_as_planned(header, 0)
    poor = (fact.memory[0], msgspec.structs.replace(fact.memory[1], free=1 * GIB))
    scene.load(msgspec.structs.replace(fact, memory=poor))
    scene.until(lambda: bool(scene.views))
    assert RAM_FREE > 1 * GIB
    assert scene.view.rows[0].ram.total > 1 * GIB


@pytest.mark.parametrize(
    ("need", "budget", "text"),
    [(GIB, None, "1.0 GiB"), (300 * MIB, 900 * MIB, "300 of 900 MiB"), (3 * GIB, 7 * GIB, "3.00 of 7.00 GiB")],
)
def test_sizes_beside_each_other_have_one_unit(need: int, budget: int | None, text: str) -> None:
    assert part_of(need, budget) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(9.24, "9.2"), (3.0, "3.0"), (9.97, "10"), (12.4, "12"), (134.0, "130"), (0.123, "0.12")]
)
def test_a_guess_has_two_digits(rate: float, text: str) -> None:
    assert rough(rate) == text


def test_the_need_of_a_row_is_marked_where_it_is_a_formula(scene: Scene, header: Header) -> None:
    scene.load(loaded_as_planned(header, 20))
    scene.until(lambda: bool(scene.views))
    assert need_line(scene.view, scene.view.rows[20]).startswith("CUDA0 ")
    assert need_line(scene.view, scene.view.rows[3]).startswith("CUDA0 ≈")
    assert need_line(scene.view, scene.view.rows[-1]).startswith("CUDA0 ~")
