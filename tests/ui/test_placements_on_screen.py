"""Placements on the screen: looked at, turned, loaded, compared; and models that are planned before they are loaded."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from offtui.engine.state import Phase, SessionState
from offtui.gguf.header import Header
from offtui.options import Options
from offtui.plan.probe import DevicesReply, DryPoint, DryResult
from offtui.plan.table import Model
from offtui.planner.making import Ground, make_view
from offtui.planner.planner import Planner
from offtui.planner.spending import with_joules
from offtui.planner.view import NoPlan, PlanView, fit_line, need_line
from offtui.protocol.events import LoadFailed
from offtui.protocol.facts import DeviceFacts, Failure
from offtui.protocol.spec import LoadSpec
from offtui.store.measurements import Spent
from offtui.ui.messages import ModelStudied
from offtui.ui.panes.dial import DialPane
from offtui.ui.panes.prospect import figure_lines
from offtui.ui.ports import Listener
from offtui.ui.screens.plan import PlanScreen, head_lines, table_lines
from offtui.units import GIB, MIB, size_text
from tests.fakes import gguf_shapes as shapes
from tests.planner.scene import RAM_FREE, facts, header_at
from tests.ui.harness import Recorder, opened
from tests.ui.launch_plan import on_card, tools
from tests.ui.test_plan_on_screen import planned


async def test_p_looks_at_another_placement_and_only_enter_loads_it(tmp_path: Path) -> None:
    async with planned(tmp_path) as (screen, engine, _):
        main = screen.app.main
        view = main.plan
        assert view is not None
        other = view.under("ffn")
        wishes = len(engine.wanted)
        await screen.press("ctrl+r", "p")
        await screen.until(lambda: (main.draft, main.placement) == (other.choice, "ffn"))
        assert main.query_one("#dial").border_title == " Layers · FFN in RAM "
        assert f"12 → {other.choice} of 47" in screen.line("dial-count")
        assert screen.line("dial-strip").count("▖") > 30
        assert f"ours 5.1 GiB → {other.rows[other.choice].vram / GIB:.1f} GiB" in screen.line("monitor-memory")
        assert f"12→{other.choice}/47 layers, ffn of {47 - other.choice} in RAM" in screen.status
        assert not main.query_one(DialPane).is_about_to_load
        assert len(engine.wanted) == wishes
        await screen.press("enter")
        await screen.until(lambda: len(engine.wanted) > wishes)
        assert (engine.wanted[-1].n_gpu_layers, engine.wanted[-1].placement) == (other.choice, "ffn")


async def test_turning_another_placement_loads_after_a_quiet_and_escape_drops_it(tmp_path: Path) -> None:
    async with planned(tmp_path) as (screen, engine, _):
        main = screen.app.main
        await screen.press("ctrl+r", "p", "left")
        assert main.query_one(DialPane).is_about_to_load
        await screen.press("escape")
        assert (main.draft, main.placement) == (None, "layers")
        assert main.query_one("#dial").border_title == " Layers "
        await screen.press("p", "p")
        await screen.until(lambda: main.placement == "layers")
        await screen.press("escape", "p")
        main.query_one(DialPane)._quiet = 0.1
        await screen.press("left")
        await screen.until(lambda: engine.wanted[-1].placement == "ffn")


async def test_b_points_at_what_promises_most(tmp_path: Path) -> None:
    async with planned(tmp_path, shape=shapes.qwen3_30b_a3b()) as (screen, _, _):
        main = screen.app.main
        view = main.plan
        assert view is not None
        assert view.best.placement == "experts"
        await screen.press("ctrl+r", "b")
        assert (main.placement, main.draft) == ("experts", view.best.choice)
        assert "▝" in screen.line("dial-strip")


async def test_a_placement_by_command(tmp_path: Path) -> None:
    async with planned(tmp_path) as (screen, engine, _):
        await screen.ask("/placement best")
        await screen.until(lambda: engine.wanted[-1].placement == "best")
        assert engine.wanted[-1].n_gpu_layers is None
        await screen.ask("/placement sideways")
        await screen.until(lambda: "takes one of layers" in screen.line("footer"))


async def test_a_model_is_turned_before_it_is_loaded(tmp_path: Path) -> None:
    other = header_at(tmp_path / "other.gguf", shapes.qwen3_8b())
    async with planned(tmp_path, others=[other]) as (screen, engine, _):
        main = screen.app.main
        wishes = len(engine.wanted)
        main.post_message(ModelStudied(Path(other.path)))
        await screen.until(lambda: main.plan is not None and main.plan.spec.model == other.path)
        await screen.until(lambda: main.draft is not None and main.draft == main.plan.choice)
        assert "of 37   not loaded" in screen.line("dial-count")
        assert "12/47 layers" in screen.line("status")  # of the model that is up, which the dial does not turn now
        assert main.query_one("#dial").border_title == " Layers · other "
        assert "t/s predicted" in screen.line("dial-figures")
        await screen.press("home", "right", "right")
        assert main.draft == 2
        assert not main.query_one(DialPane).is_about_to_load
        assert len(engine.wanted) == wishes
        await screen.press("p", "home", "5", "enter")
        await screen.until(lambda: len(engine.wanted) > wishes)
        wish = engine.wanted[-1]
        assert (wish.model, wish.n_gpu_layers, wish.placement) == (other.path, 5, "ffn")
        assert main.study is None


async def test_leaving_a_study_is_back_at_what_is_up(tmp_path: Path) -> None:
    async with planned(tmp_path) as (screen, engine, header):
        main = screen.app.main
        wishes = len(engine.wanted)
        main.post_message(ModelStudied(tmp_path / "no.gguf"))
        await screen.until(lambda: "not there" in screen.line("dial-hint"))
        await screen.press("escape")
        await screen.until(lambda: main.study is None)
        await screen.until(lambda: main.plan is not None and main.plan.spec.model == header.path)
        assert len(engine.wanted) == wishes
        assert "12 of 47 on the device" in screen.line("dial-count")


async def test_the_table_compares_the_placements(tmp_path: Path) -> None:
    async with planned(tmp_path, size=(200, 50)) as (screen, _, _):
        await screen.press("ctrl+r", "d")
        await screen.until(lambda: isinstance(screen.app.screen, PlanScreen))
        view = screen.app.main.plan
        assert view is not None
        text = "\n".join(line.plain for line in head_lines(view))
        for ladder, name in zip(view.ladders, ("whole layers", "FFN in RAM"), strict=True):
            assert f"{name}" in text
            assert f"{ladder.choice} of 47" in text
        assert "350.0 MiB for the backend (as usual), 512.0 MiB left free" in text
        rows = table_lines(view, 12, None)
        assert "■  12" in rows[13].plain
        await screen.press("p")
        shown = screen.app.screen
        assert isinstance(shown, PlanScreen)
        assert "■" not in str(shown.query_one("#plan-table").render())


def test_both_figures_where_the_formula_was_wrong(tmp_path: Path) -> None:
    header = header_at(tmp_path / "m.gguf", shapes.qwen3_8b())
    ground = Ground(LoadSpec(model=header.path), True, facts(), RAM_FREE)
    dry = {("layers", at): DryResult(DryPoint(at), {"CUDA0": 700 * MIB}, 20 * MIB) for at in (10, 37)}
    view = make_view(header, Model.of(header), ground, dry=dry)  # type: ignore[arg-type]
    plain = make_view(header, Model.of(header), ground)
    lines = [line.plain for line in table_lines(view, None, None)]
    assert "formula" in lines[0]
    formula = f"{sum(plain.rows[10].formula[:-1]) / GIB:.2f}"
    assert lines[11].split()[4:6] == ["0.68", formula]
    assert lines[13].split()[4].startswith("≈")
    assert lines[1].split()[4].startswith("~")
    assert "formula" not in table_lines(plain, None, None)[0].plain


@pytest.mark.parametrize("size", [GIB, 40 * MIB])
def test_no_row_of_the_table_is_wider_than_the_smallest_terminal(tmp_path: Path, size: int) -> None:
    for shape in (shapes.gemma_2_27b(), shapes.qwen3_30b_a3b(), shapes.bench_tiny()):
        header = header_at(tmp_path / "m.gguf", shape)
        ground = Ground(LoadSpec(model=header.path), True, facts(free=size), RAM_FREE)
        dry = {("layers", 2): DryResult(DryPoint(2), {"CUDA0": 700 * MIB}, 20 * MIB)}
        view = make_view(header, Model.of(header), ground, dry=dry)  # type: ignore[arg-type]
        for placement in view.placements:
            lines = table_lines(view.under(placement), 1, 2)
            assert max(line.cell_length for line in lines) <= 75
            dear = with_joules(view, {placement: [Spent(1, 100, 123456.0, 1.0)]})
            assert max(line.cell_length for line in table_lines(dear.under(placement), 1, 2)) <= 75


def test_what_a_token_took_is_in_the_table_and_in_the_dial_of_the_counts_where_it_was_measured(tmp_path: Path) -> None:
    header = header_at(tmp_path / "m.gguf", shapes.qwen3_8b())
    view = make_view(header, Model.of(header), Ground(LoadSpec(model=header.path), True, facts(), RAM_FREE))
    assert "J/token" not in table_lines(view, None, None)[0].plain
    spent = [Spent(12, 100, 900.0, float(number)) for number in range(3)] + [Spent(12, 50, 25.0, 9.0)] * 5
    known = with_joules(view, {"layers": spent})
    lines = [line.plain for line in table_lines(known, None, None)]
    assert lines[0].split()[-2:] == ["J/token", "fits"]
    assert "0.5" in lines[13].split()
    assert [row.n_gpu_layers for row in known.rows if row.joules is not None] == [12]
    assert " · 0.5 J/token" in figure_lines(known, known.rows[12], None)[0].plain
    assert "J/token" not in figure_lines(known, known.rows[11], None)[0].plain


def test_a_plan_says_that_the_ram_is_short(tmp_path: Path) -> None:
    header = header_at(tmp_path / "m.gguf", shapes.gemma_2_27b())
    view = make_view(header, Model.of(header), Ground(LoadSpec(model=header.path), True, facts(), 8 * GIB))
    assert fit_line(view, view.rows[0]) == "RAM is short: weights come from the disk"
    assert need_line(view, view.rows[0]).endswith(f"RAM {view.rows[0].ram.total / GIB:.1f} of 8.0 GiB")
    assert fit_line(view, view.rows[47]).startswith("does not fit")


@pytest.mark.parametrize("devices", [facts(), facts()[1:]], ids=["a card", "no card"])
def test_a_plan_says_in_red_that_a_cache_is_too_large_for_the_ram(
    tmp_path: Path, devices: tuple[DeviceFacts, ...]
) -> None:
    header = header_at(tmp_path / "m.gguf", shapes.qwen3_8b())
    spec = LoadSpec(model=header.path, n_ctx=16_000_000)
    view = make_view(header, Model.of(header), Ground(spec, True, devices, RAM_FREE))
    row = view.rows[0]
    need = row.ram.kv + row.ram.compute
    assert need > 2000 * GIB
    assert (row.fit, row.excess, row.short_of, view.ladder.fits) == ("too much", need - RAM_FREE, "RAM", False)
    line = figure_lines(view, row, None)[-1]
    assert line.plain == f"✗ does not fit: {size_text(row.excess)} too much for RAM"
    assert "$error" in {str(span.style) for span in line.spans}
    short = make_view(header, Model.of(header), Ground(LoadSpec(model=header.path), True, devices, 4 * GIB))
    assert fit_line(short, short.rows[0]) == "RAM is short: weights come from the disk", "these it can read again"


def makers(
    header: Header, folder: Path, devices: Sequence[DeviceFacts]
) -> tuple[list[Recorder], Callable[[Listener], Recorder], Callable[[Callable[[PlanView | NoPlan], None]], Planner]]:
    """The engines that were made, what makes them, and what makes a planner that sees these devices."""
    made: list[Recorder] = []

    def engine(listener: Listener) -> Recorder:
        made.append(Recorder(listener))
        return made[-1]

    def planner(listener: Callable[[PlanView | NoPlan], None]) -> Planner:
        seen = DevicesReply(devices=tuple(devices))
        having = msgspec.structs.replace(
            tools(header, folder / "measurements.db"), devices=lambda rpc=(), *, leash: seen
        )
        return Planner(listener, having)

    return made, engine, planner


async def test_a_model_is_turned_before_it_is_loaded_without_a_device_too(tmp_path: Path) -> None:
    header = header_at(tmp_path / "gemma.gguf", shapes.gemma_2_27b())
    made, engine, planner = makers(header, tmp_path, facts()[1:])
    options = Options(model=header.path, load=False)
    async with opened(engine, size=(120, 36), options=options, planner=planner) as screen:
        await screen.until(lambda: "0 of 47   not loaded" in screen.line("dial-count"))
        assert screen.line("dial-figures").splitlines()[-1] == "✓ no GPU device: all of it in RAM"
        await screen.press("right")
        assert screen.app.main.draft == 0, "without a device there is nothing to turn"
        await screen.press("enter")
        await screen.until(lambda: bool(made and made[0].wanted))
        assert made[0].wanted[-1].model == header.path


async def test_a_first_load_that_failed_is_turned_and_loaded_again(tmp_path: Path) -> None:
    header = header_at(tmp_path / "gemma.gguf", shapes.gemma_2_27b())
    made, engine, planner = makers(header, tmp_path, on_card(header, 12, 8).memory)
    options = Options(model=header.path, n_gpu_layers=40)
    async with opened(engine, size=(120, 36), options=options, planner=planner) as screen:
        await screen.until(lambda: bool(made and made[0].wanted))
        failure = Failure("out_of_memory", "No room.")
        state = SessionState(phase=Phase.CRASHED, wanted=made[0].wanted[-1], failure=failure)
        made[0].say(state, LoadFailed(failure))
        await screen.until(lambda: "of 47   not loaded" in screen.line("dial-count"))
        assert "F6 fit it" in screen.line("footer")
        await screen.press("ctrl+r", "1", "2")
        await screen.until(lambda: "12 of 47   not loaded" in screen.line("dial-count"))
        await screen.press("enter")
        await screen.until(lambda: len(made[0].wanted) == 2)
        assert made[0].wanted[-1].n_gpu_layers == 12
        made[0].say(state, LoadFailed(Failure("crashed", "It died.")))
        await screen.until(lambda: "F6 fit it" in screen.line("footer"))
        await screen.press("ctrl+l")
        await screen.until(lambda: len(made[0].wanted) == 3)
        await screen.until(lambda: screen.app.main.study is None)
