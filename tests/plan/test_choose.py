"""The choice of layers, and the sentence that says why."""

import pytest

from offtui.plan.choose import MARGIN, Budget, budgets, choose, choose_from, fits
from offtui.plan.settings import Device, Settings
from offtui.plan.table import Model, table
from offtui.protocol.spec import LoadSpec
from offtui.units import GIB, MIB
from tests.fakes import gguf_shapes as shapes

GEMMA = shapes.header_of(shapes.gemma_2_27b())


def card(size: int | None, name: str = "CUDA0") -> Device:
    return Device(name, size, size)


def spec(n_ctx: int = 8192) -> LoadSpec:
    return LoadSpec(model="x", n_ctx=n_ctx)


@pytest.mark.parametrize("gib", [4, 8, 12, 16, 24])
def test_the_choice_is_the_last_row_that_fits(gib: int) -> None:
    choice = choose(GEMMA, spec(), [card(gib * GIB)], 64 * GIB)
    rows = table(Model.of(GEMMA), Settings(n_ctx=8192), [card(gib * GIB)]).rows
    budget = gib * GIB - 350 * MIB - min(MARGIN, gib * GIB // 16)
    assert rows[choice.n_gpu_layers].vram.total <= budget
    if choice.n_gpu_layers < 47:
        assert all(row.vram.total > budget for row in rows[choice.n_gpu_layers + 1 :])
        need = rows[choice.n_gpu_layers + 1].vram.total
        assert choice.why == (
            f"{choice.n_gpu_layers} of 47 layers: {choice.n_gpu_layers + 1} would need "
            f"{need / GIB:.1f} of {budget / GIB:.1f} GiB on CUDA0."
        )


def test_more_memory_never_takes_layers_away() -> None:
    chosen = [choose(GEMMA, spec(), [card(size * GIB)], None).n_gpu_layers for size in range(1, 30)]
    assert chosen == sorted(chosen)
    assert chosen[0] == 0
    assert chosen[-1] == 47


def test_everything_fits() -> None:
    choice = choose(GEMMA, spec(), [card(40 * GIB)], 64 * GIB)
    assert choice.n_gpu_layers == 47
    assert choice.why.startswith("All 47 layers: they need ")


def test_a_longer_context_costs_layers() -> None:
    short = choose(GEMMA, spec(2048), [card(12 * GIB)], None)
    long = choose(GEMMA, spec(32768), [card(12 * GIB)], None)
    assert long.n_gpu_layers < short.n_gpu_layers


def test_no_device_and_no_memory() -> None:
    assert choose(GEMMA, spec(), [], 64 * GIB).why == "0 of 47 layers: there is no GPU device."
    nothing = choose(GEMMA, spec(), [card(0)], 64 * GIB)
    assert nothing.n_gpu_layers == 0
    assert nothing.why == "Not even 0 of 47 layers: the compute buffers would need 300.1 of 0.0 MiB on CUDA0."
    assert not nothing.fits


def test_a_device_whose_memory_is_unknown_gets_nothing() -> None:
    choice = choose(GEMMA, spec(), [Device("Vulkan0", None, None)], 64 * GIB)
    assert choice.n_gpu_layers == 0
    assert "the free memory of Vulkan0 is unknown" in choice.why


def test_total_memory_stands_in_for_unknown_free_memory() -> None:
    assert choose(GEMMA, spec(), [Device("CUDA0", None, 40 * GIB)], None).n_gpu_layers == 47


def test_ram_that_is_short_is_said() -> None:
    choice = choose(GEMMA, spec(), [card(8 * GIB)], 4 * GIB)
    assert not choice.fits_ram
    assert "RAM is short" in choice.why
    assert "of 4.0 GiB" in choice.why
    assert choose(GEMMA, spec(), [card(8 * GIB)], 64 * GIB).fits_ram


def test_every_device_must_hold_its_share() -> None:
    rows = table(Model.of(GEMMA), Settings(tensor_split=(1.0, 1.0)), [card(24 * GIB), card(2 * GIB, "CUDA1")])
    choice = choose_from(rows, budgets([card(24 * GIB), card(2 * GIB, "CUDA1")]), None)
    assert choice.row.devices[1].total <= 2 * GIB
    assert "on CUDA1" in choice.why


def test_budgets_hold_back_what_the_backend_takes_and_a_margin() -> None:
    cuda, vulkan, remote, small = budgets(
        [card(8 * GIB), card(8 * GIB, "Vulkan0"), card(8 * GIB, "RPC0"), card(GIB, "RPC1")]
    )
    assert cuda == Budget("CUDA0", 8 * GIB - 350 * MIB - 512 * MIB, 350 * MIB, 512 * MIB)
    assert vulkan.context == 150 * MIB
    assert remote.context == 0
    assert small.margin == GIB // 16
    assert budgets([card(100 * MIB)])[0].bytes == 0


def test_memory_that_the_running_model_gives_back_counts() -> None:
    (alone,) = budgets([Device("CUDA0", 2 * GIB, 8 * GIB)])
    (with_it,) = budgets([Device("CUDA0", 2 * GIB, 8 * GIB)], back=[5 * GIB])
    assert alone.bytes is not None
    assert with_it.bytes == alone.bytes + 5 * GIB


def test_a_row_with_nothing_on_a_device_fits_it() -> None:
    rows = table(Model.of(GEMMA), Settings(), [card(None, "RPC0")])
    (unknown,) = budgets([card(None, "RPC0")])
    assert fits(rows.rows[0], [unknown])
    assert not fits(rows.rows[1], [unknown])
