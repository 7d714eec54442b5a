"""What is loaded instead of what did not fit."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from offtui.plan.table import Model
from offtui.planner.fitting import SLACK, SMALLEST_CONTEXT, fit_below
from offtui.planner.making import Ground, make_view
from offtui.planner.view import PlanView
from offtui.protocol.spec import LoadSpec
from offtui.units import GIB
from tests.fakes import gguf_shapes as shapes
from tests.planner.scene import RAM_FREE, facts

HEADER = shapes.header_of(shapes.gemma_2_27b(), "/m/gemma.gguf")
SPEC = LoadSpec(model="/m/gemma.gguf", n_ctx=4096)
MUCH = 64 * GIB


def plan_of(spec: LoadSpec = SPEC) -> PlanView:
    return make_view(HEADER, Model.of(HEADER), Ground(spec, True, facts(), RAM_FREE))


PLAN = plan_of()


def vram(layers: int) -> int:
    return PLAN.rows[layers].vram


def test_the_card_holds_some_of_it() -> None:
    assert 0 < PLAN.choice < PLAN.most


def test_what_the_plan_knew_not_to_fit_becomes_the_most_that_does() -> None:
    found = fit_below(PLAN, replace(SPEC, n_gpu_layers=PLAN.choice + 9), MUCH)
    assert found is not None
    assert found.spec == replace(SPEC, n_gpu_layers=PLAN.choice)
    assert found.why.startswith(f"{PLAN.choice} of {PLAN.most} layers: {PLAN.choice + 1} would need ")
    assert "GiB on CUDA0" in found.why


def test_what_the_plan_had_let_through_leaves_more_the_next_time() -> None:
    found = fit_below(PLAN, replace(SPEC, n_gpu_layers=PLAN.choice), MUCH)
    assert found is not None
    layers = found.spec.n_gpu_layers
    assert layers is not None
    assert vram(layers) <= vram(PLAN.choice) - SLACK < vram(layers + 1)
    assert "though the plan said so" in found.why


def test_a_choice_of_the_plan_that_failed_is_stepped_down_too() -> None:
    found = fit_below(PLAN, SPEC, MUCH)
    assert found is not None
    assert found.spec.n_gpu_layers is not None
    assert found.spec.n_gpu_layers < PLAN.choice


def test_step_by_step_it_ends_at_the_processor_alone() -> None:
    spec = SPEC
    seen: list[int] = []
    while (found := fit_below(PLAN, spec, MUCH)) is not None and found.spec.n_ctx == 4096:
        spec = found.spec
        assert spec.n_gpu_layers is not None
        seen.append(spec.n_gpu_layers)
        assert len(seen) <= PLAN.most
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == 0


def test_where_the_ram_is_short_the_context_becomes_shorter() -> None:
    long = replace(SPEC, n_gpu_layers=4, n_ctx=2_000_000)
    ram = PLAN.rows[4].ram
    found = fit_below(PLAN, long, ram.kv * 4 + ram.compute)
    assert found is not None
    assert found.spec.n_ctx is not None
    assert SMALLEST_CONTEXT <= found.spec.n_ctx <= 4096 * 4
    assert found.spec.n_ctx % 256 == 0
    assert "a longer one does not fit" in found.why


def test_where_nothing_fits_nothing_is_made_up() -> None:
    assert fit_below(PLAN, replace(SPEC, n_gpu_layers=0), 0) is None


@pytest.mark.parametrize("plan", [None, replace(PLAN, budgets=())])
def test_without_a_plan_the_worker_chooses_and_leaves_more_the_second_time(plan: PlanView | None) -> None:
    first = fit_below(plan, replace(SPEC, n_gpu_layers=40), MUCH)
    assert first is not None
    assert first.spec == SPEC
    second = fit_below(plan, first.spec, MUCH)
    assert second is not None
    assert second.spec.vram_margin == GIB
    third = fit_below(plan, second.spec, MUCH)
    assert third is not None
    assert third.spec.vram_margin == 2 * GIB


@given(layers=st.integers(0, PLAN.most), n_ctx=st.integers(256, 2**20), ram=st.integers(0, 64 * GIB))
def test_it_is_always_smaller_and_by_the_plan_fits(layers: int, n_ctx: int, ram: int) -> None:
    failed = replace(SPEC, n_gpu_layers=layers, n_ctx=n_ctx)
    found = fit_below(PLAN, failed, ram)
    if found is None:
        return
    got, tokens = found.spec.n_gpu_layers, found.spec.n_ctx
    assert got is not None
    assert tokens is not None
    assert (got < layers and tokens == n_ctx) or tokens < n_ctx
    row = PLAN.rows[got]
    assert row.ram.kv * tokens // PLAN.n_ctx + row.ram.compute <= ram
    have = PLAN.budgets[0].bytes
    device = row.devices[0]
    assert have is not None
    assert got == 0 or device.weights + device.kv * tokens // PLAN.n_ctx + device.compute <= have


def test_the_path_of_the_model_plays_no_part(tmp_path: Path) -> None:
    spec = replace(SPEC, model=str(tmp_path / "x.gguf"), n_gpu_layers=PLAN.most)
    found = fit_below(PLAN, spec, MUCH)
    assert found is not None
    assert found.spec.model == spec.model
