"""The choice of a load: what a spec leaves open, on what devices, and what earlier loads taught."""

from collections.abc import Sequence

import pytest

from offtui.gguf.header import Header
from offtui.plan.decide import decide, device_budgets
from offtui.plan.placement import for_llama_cpp, ladder, placements_of, whole_layers
from offtui.plan.settings import Device, Settings
from offtui.plan.table import Model
from offtui.protocol.facts import DeviceFacts, Learned
from offtui.protocol.spec import LoadSpec, Placement
from offtui.units import GIB, MIB
from tests.fakes import gguf_shapes as shapes

DENSE, MOE = shapes.header_of(shapes.qwen3_8b()), shapes.header_of(shapes.qwen3_30b_a3b())
CPU = DeviceFacts("CPU", "cpu", "a processor", 60 * GIB, 64 * GIB)


def card(gib: float, name: str = "CUDA0") -> Sequence[DeviceFacts]:
    size = round(gib * GIB)
    return (DeviceFacts(name, "gpu", "A Card", size, size), CPU)


def spec(header: Header, **changes: object) -> LoadSpec:
    return LoadSpec(model=header.path, n_ctx=4096, **changes)  # type: ignore[arg-type]


def test_what_is_said_is_done() -> None:
    found = decide(DENSE, spec(DENSE, n_gpu_layers=5, placement="ffn"), card(8), None)
    assert (found.placement, found.n_gpu_layers, found.notices) == ("ffn", 5, ())


@pytest.mark.parametrize(("header", "placement"), [(DENSE, "layers"), (DENSE, "ffn"), (MOE, "experts")])
def test_the_most_that_fits_is_taken_and_one_more_does_not(header: Header, placement: Placement) -> None:
    facts = card(4)
    found = decide(header, spec(header, placement=placement), facts, None)
    (budget,) = device_budgets(facts)
    assert budget.bytes is not None
    assert 0 < found.n_gpu_layers < header.n_layer + 1
    assert found.table.rows[found.n_gpu_layers].vram.total <= budget.bytes
    assert found.table.rows[found.n_gpu_layers + 1].vram.total > budget.bytes
    assert "would need" in found.notices[0]


def test_the_best_of_a_mixture_keeps_experts_in_ram() -> None:
    found = decide(MOE, spec(MOE, placement="best"), card(8), None)
    assert found.placement == "experts"
    assert found.n_gpu_layers > 0


def test_what_the_model_lacks_is_said() -> None:
    found = decide(DENSE, spec(DENSE, placement="experts", n_gpu_layers=3), card(8), None)
    assert (found.placement, found.n_gpu_layers) == ("layers", 3)
    assert found.notices == ("This model has no experts: its layers are placed whole.",)
    assert placements_of(Model.of(MOE)) == ("layers", "experts")
    assert placements_of(Model.of(DENSE)) == ("layers", "ffn")


def test_where_not_even_the_attention_fits_nothing_is_offloaded() -> None:
    found = decide(DENSE, spec(DENSE, placement="ffn"), card(1), None)
    assert (found.placement, found.n_gpu_layers) == ("ffn", 0)


def test_without_a_device_everything_is_in_ram() -> None:
    found = decide(DENSE, spec(DENSE, placement="best"), (CPU,), None)
    assert (found.placement, found.n_gpu_layers) == ("layers", 0)


def test_what_was_learned_and_the_margin_count() -> None:
    usual = decide(DENSE, spec(DENSE), card(4), None).n_gpu_layers
    small = Learned({"A Card": 10 * MIB})
    assert decide(DENSE, spec(DENSE), card(4), None, small).n_gpu_layers > usual
    assert decide(DENSE, spec(DENSE, vram_margin=0), card(4), None).n_gpu_layers > usual
    assert decide(DENSE, spec(DENSE, vram_margin=2 * GIB), card(4), None).n_gpu_layers < usual


def test_every_placement_has_the_same_ends_and_never_less_memory_between() -> None:
    devices = [Device("CUDA0", 24 * GIB, 24 * GIB)]
    for header, other in ((DENSE, "ffn"), (MOE, "experts")):
        model, settings = Model.of(header), Settings(n_ctx=4096)
        whole, kept = (ladder(model, settings, devices, placement).rows for placement in ("layers", other))
        assert len(whole) == len(kept) == header.n_layer + 2
        assert (whole[0], whole[-1]) == (kept[0], kept[-1])
        pairs = list(zip(whole, kept, strict=True))[1:-1]
        assert all(a.vram.weights < b.vram.weights and a.vram.kv < b.vram.kv for a, b in pairs)


def test_llama_cpp_is_told_patterns() -> None:
    assert for_llama_cpp("layers", 5, 36) == (5, ())
    assert for_llama_cpp("ffn", 0, 36) == (0, ())
    assert for_llama_cpp("ffn", 37, 36) == (37, ())
    layers, (pattern,) = for_llama_cpp("experts", 35, 36)
    assert layers == 37
    assert pattern.startswith(r"blk\.(0|1)\.")


def test_what_was_kept_is_read_from_the_log() -> None:
    lines = [f"tensor blk.{layer}.ffn_up.weight (1 MiB q4_0) buffer type overridden to CPU" for layer in (0, 1, 2)]
    assert whole_layers(9, ["load_tensors: x", *lines]) == 6
    assert whole_layers(9, []) == 9
