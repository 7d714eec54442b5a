"""Memory that other processes give back or take: a quiet word, and no load."""

from msgspec.structs import replace

from offtui.engine.state import Phase, SessionState
from offtui.plan.table import Model
from offtui.planner.making import Ground, make_view
from offtui.planner.view import PlanView
from offtui.protocol.spec import LoadSpec
from offtui.ui.messages import PlanMade
from offtui.ui.panes.status import status
from offtui.ui.sharing import Sharing
from offtui.units import GIB
from tests.fakes import gguf_shapes as shapes
from tests.planner.scene import RAM_FREE, facts
from tests.ui.harness import loaded, with_recorder

HEADER = shapes.header_of(shapes.gemma_2_27b(), "/models/first.gguf")
SPEC = LoadSpec(model="/models/first.gguf", n_ctx=4096)


def plan_with(free: int) -> PlanView:
    ground = Ground(SPEC, True, facts(free=free), RAM_FREE)
    return make_view(HEADER, Model.of(HEADER), ground)


BEFORE, MORE, LESS = plan_with(4 * GIB), plan_with(7 * GIB), plan_with(2 * GIB)
UP = loaded(SPEC, BEFORE.choice, BEFORE.most, device=True)


def test_what_is_freed_says_how_many_more_would_fit() -> None:
    sharing = Sharing()
    assert sharing.hint(BEFORE, UP) == ""
    more = MORE.choice - BEFORE.choice
    assert more > 1
    assert sharing.hint(MORE, UP) == f"3.0 GiB freed: {more} more layers would fit"
    assert sharing.hint(BEFORE, UP) == ""


def test_what_others_take_says_how_many_would_fit_now() -> None:
    sharing = Sharing()
    sharing.hint(BEFORE, UP)
    assert sharing.hint(LESS, UP) == f"2.0 GiB taken by others: {LESS.choice} layers would fit now"


def test_a_new_load_begins_anew_and_little_is_nothing() -> None:
    sharing = Sharing()
    sharing.hint(BEFORE, UP)
    assert sharing.hint(MORE, replace(UP, load_seconds=2.0)) == ""
    sharing = Sharing()
    sharing.hint(BEFORE, UP)
    assert sharing.hint(plan_with(4 * GIB + 100 * 2**20), UP) == ""
    assert sharing.hint(MORE, None) == ""
    assert sharing.hint(MORE, loaded(LoadSpec(model="/other.gguf"), 4, 13, device=True)) == ""


def test_where_all_layers_fit_already_nothing_is_said() -> None:
    sharing = Sharing()
    everything = loaded(SPEC, BEFORE.most, BEFORE.most, device=True)
    sharing.hint(BEFORE, everything)
    assert sharing.hint(MORE, everything) == ""


async def test_it_stands_in_the_line_of_status_and_loads_nothing() -> None:
    async with with_recorder(size=(160, 40)) as (screen, engine):
        engine.load(BEFORE.choice, most=BEFORE.most)
        await screen.until(lambda: screen.phase is Phase.READY)
        screen.app.main.post_message(PlanMade(BEFORE))
        await screen.until(lambda: screen.app.main.plan is BEFORE)
        screen.app.main.post_message(PlanMade(MORE))
        await screen.until(lambda: "3.0 GiB freed: " in screen.status)
        assert len(engine.wanted) == 1


def test_a_narrow_line_leaves_it_out_first() -> None:
    state = SessionState(phase=Phase.READY, loaded=UP)
    hint = "3.0 GiB freed: 4 more layers would fit"
    assert hint in status(state, None, None, 160, hint=hint).plain
    assert hint not in status(state, None, None, 60, hint=hint).plain
