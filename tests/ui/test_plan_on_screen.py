"""The plan on the screen: what the dial, the gauge, the ledger and the table show of it."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from offtui.engine.state import Phase, SessionState
from offtui.gguf.header import Header
from offtui.options import Options
from offtui.planner.planner import Planner
from offtui.planner.view import NoPlan, PlanView
from offtui.protocol.events import Loaded
from offtui.ui.panes.dial import DialPane
from offtui.ui.ports import Listener
from offtui.ui.screens.plan import PlanScreen
from offtui.ui.widgets.line import Line
from offtui.units import GIB, MIB
from tests.fakes import gguf_shapes as shapes
from tests.planner.scene import ended, header_at
from tests.ui.harness import Recorder, Screen, opened
from tests.ui.launch_plan import on_card, tools


@asynccontextmanager
async def planned(
    tmp_path: Path,
    *,
    size: tuple[int, int] = (120, 36),
    gib: float = 8,
    layers: int = 12,
    extra: int = 0,
    shape: shapes.Shape | None = None,
    others: Sequence[Header] = (),
) -> AsyncGenerator[tuple[Screen, Recorder, Header]]:
    """The screen with a model, Gemma 2 27B, on a card of that size and a real planner, once its plan has come."""
    header = header_at(tmp_path / "gemma.gguf", shape or shapes.gemma_2_27b())
    made: list[Recorder] = []

    def engine(listener: Listener) -> Recorder:
        made.append(Recorder(listener))
        return made[-1]

    def planner(listener: Callable[[PlanView | NoPlan], None]) -> Planner:
        return Planner(listener, tools(header, tmp_path / "measurements.db", others))

    options = Options(model=header.path)
    async with opened(engine, size=size, options=options, planner=planner) as screen:
        await screen.until(lambda: bool(made and made[0].wanted))
        load(made[0], on_card(header, layers, gib), extra)
        await screen.until(lambda: screen.app.main.plan is not None)
        await screen.until(lambda: bool(screen.line("dial-figures")))
        # on a busy machine more than the usual quiet lies between two keys of a test
        screen.app.main.query_one(DialPane)._quiet = 600.0
        yield screen, made[0], header


def load(engine: Recorder, fact: Loaded, extra: int = 0) -> None:
    """Say that this is up, with so many bytes more weights than planned."""
    first = msgspec.structs.replace(fact.devices[0], weights=fact.devices[0].weights + extra)
    fact = msgspec.structs.replace(fact, devices=(first, *fact.devices[1:]))
    engine.say(SessionState(phase=Phase.READY, wanted=fact.spec, loaded=fact, memory=fact.memory), fact)


async def test_the_dial_says_what_the_draft_costs_brings_and_whether_it_fits(tmp_path: Path) -> None:
    async with planned(tmp_path) as (screen, _, _):
        view = screen.app.main.plan
        assert view is not None
        speed, need, fits = screen.line("dial-figures").splitlines()
        assert speed.startswith("○ ~")
        assert speed.endswith("t/s predicted")
        assert need.strip().startswith("CUDA0 ")
        assert fits == "✓ fits"
        await screen.press("ctrl+r", "end")
        speed, need, fits = screen.line("dial-figures").splitlines()
        row = view.rows[47]
        assert f"{row.vram / GIB:.1f} of" in need
        assert fits == f"✗ does not fit: {row.excess / GIB:.1f} GiB too much for CUDA0"
        await screen.press("escape", *str(view.choice))
        assert f"the most that does: {view.choice + 1} would not" in screen.line("dial-figures")


async def test_an_answer_turns_the_prediction_into_a_measurement(tmp_path: Path) -> None:
    async with planned(tmp_path) as (screen, engine, _):
        assert "●" not in screen.line("dial-curve")
        engine.say(engine.state, ended(3.2))
        await screen.until(lambda: "3.20 t/s measured" in screen.line("dial-figures"))
        assert "●" in screen.line("dial-curve")
        await screen.press("ctrl+r", "right")
        assert "○" in screen.line("dial-curve")
        assert "predicted" in screen.line("dial-figures")


async def test_what_does_not_fit_is_seen_without_colours(tmp_path: Path) -> None:
    async with planned(tmp_path, size=(200, 50)) as (screen, _, _):
        view = screen.app.main.plan
        assert view is not None
        strip = screen.line("dial-strip")
        assert strip.count("■") == 12
        assert strip.count("×") == 47 - view.choice
        need = screen.line("dial-need")
        assert "▒" in need
        assert "┄" in need
        await screen.press("ctrl+r", "home")
        assert screen.line("dial-strip").count("▪") == 12


async def test_the_gauge_has_the_phantom_of_the_draft(tmp_path: Path) -> None:
    async with planned(tmp_path) as (screen, _, _):
        assert "→" not in screen.line("monitor-memory")
        await screen.press("ctrl+r", "right", "right", "right")
        text = screen.line("monitor-memory")
        assert "□" in text
        view = screen.app.main.plan
        assert view is not None
        assert f"ours 5.1 GiB → {view.rows[15].vram / GIB:.1f} GiB" in text
        await screen.press("end")
        assert "×" in screen.line("monitor-memory")
        await screen.press("home")
        assert "▪" in screen.line("monitor-memory")
        await screen.press("escape")
        assert "→" not in screen.line("monitor-memory")


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50), (110, 30), (60, 15)])
async def test_the_column_is_never_higher_than_its_place(tmp_path: Path, size: tuple[int, int]) -> None:
    async with planned(tmp_path, size=size) as (screen, _, _):
        await screen.press("ctrl+r")
        side = screen.app.main.query_one("#side")
        await screen.until(lambda: side.size.height > 0 and screen.app.main.query_one("#dial").size.height > 0)
        await screen.pilot.pause()
        rows = {id: screen.app.main.query_one(f"#{id}", Line).size.height for id in ("dial-curve", "dial-figures")}
        assert rows["dial-figures"] == 3
        if size[1] >= 24:
            assert side.virtual_size.height <= side.size.height
        if size == (80, 24):
            assert rows["dial-curve"] >= 4
        height = screen.app.main.query_one("#dial").size.height
        for key in ("right", "end", "home", "5"):
            await screen.press(key)
            assert screen.app.main.query_one("#dial").size.height == height  # nothing jumps while it is turned


async def test_the_table_opens_where_the_dial_points(tmp_path: Path) -> None:
    async with planned(tmp_path) as (screen, _, _):
        await screen.press("ctrl+r", "4", "0", "d")
        assert isinstance(screen.app.screen, PlanScreen)
        await screen.until(lambda: screen.app.screen.query_one("#plan-rows").scroll_y > 0)
        await screen.press("escape")
        assert not isinstance(screen.app.screen, PlanScreen)
        await screen.ask("/plan")
        await screen.until(lambda: isinstance(screen.app.screen, PlanScreen))


async def test_a_plan_that_was_wrong_is_said(tmp_path: Path) -> None:
    async with planned(tmp_path, extra=5 * MIB) as (screen, _, _):
        wrong = "plan was wrong: weights on CUDA0"
        await screen.until(lambda: wrong in screen.app.main.query_one("#ledger Line", Line).text)
        side = screen.app.main.query_one("#side")
        await screen.until(lambda: side.virtual_size.height <= side.size.height)


async def test_where_there_is_room_the_signs_are_explained_and_the_truth_is_told(tmp_path: Path) -> None:
    async with planned(tmp_path, size=(80, 24)) as (screen, _, _):
        await screen.press("ctrl+r")
        await screen.until(lambda: "● measured on this machine" in screen.line("dial-curve"))
        assert "weights and KV as planned" in screen.app.main.query_one("#ledger Line", Line).text


async def test_without_a_plan_the_table_is_none(tmp_path: Path) -> None:
    made: list[Recorder] = []

    def engine(listener: Listener) -> Recorder:
        made.append(Recorder(listener))
        return made[-1]

    async with opened(engine) as screen:
        await screen.until(lambda: bool(made and made[0].wanted))
        made[0].load()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("/plan")
        assert not isinstance(screen.app.screen, PlanScreen)
        assert screen.line("dial-curve") == ""


async def test_the_plan_of_another_model_is_not_shown(tmp_path: Path) -> None:
    async with planned(tmp_path) as (screen, engine, header):
        fact = on_card(header, 12, 8)
        other = msgspec.structs.replace(fact, spec=msgspec.structs.replace(fact.spec, model="/m/gone.gguf"))
        load(engine, other)
        await screen.until(lambda: not screen.line("dial-figures"))
        assert screen.line("dial-curve") == ""
