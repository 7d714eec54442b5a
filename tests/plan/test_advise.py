"""Advice: what would bring more tokens per second on the same card."""

import re

from offtui.plan.advise import advise
from offtui.plan.report import make_plan
from offtui.plan.settings import Settings
from offtui.plan.speed import fit
from offtui.plan.table import Model
from offtui.plan.target import Target, of_card, of_machine, of_size
from tests.fakes import gguf_shapes as shapes

CARD = of_card("RTX 4060")


def advice(model: Model, settings: Settings, target: Target = CARD) -> list[str]:
    line = fit(target.machine)
    plan = make_plan(model, settings, target, line)
    found = advise(model, settings, plan, line)
    assert [entry.times for entry in found] == sorted((entry.times for entry in found), reverse=True)
    assert all(entry.times >= 1.05 and entry.tokens_per_s > plan.rate.value for entry in found)
    return [str(entry) for entry in found]


def test_a_long_context_may_be_shortened_or_quantised() -> None:
    found = advice(Model.of(shapes.header_of(shapes.llama_3_1_8b())), Settings(n_ctx=65536))
    assert any(line.startswith("a context of 32768 tokens: frees 4.0 GiB, ") for line in found)
    assert any(line.startswith("the KV cache in q8_0: frees ") for line in found)


def test_experts_in_ram_beat_layers_in_ram() -> None:
    found = advice(Model.of(shapes.header_of(shapes.qwen3_30b_a3b())), Settings(n_ctx=8192))
    assert found[0].startswith("experts of some layers in RAM, the rest on the GPU: ")


def test_nothing_is_advised_that_was_already_done() -> None:
    found = advice(
        Model.of(shapes.header_of(shapes.llama_3_1_8b())), Settings(n_ctx=65536, type_k="q8_0", type_v="q8_0")
    )
    assert not any("q8_0" in line for line in found)
    short = advice(Model.of(shapes.header_of(shapes.gemma_2_27b())), Settings(n_ctx=2048))
    assert not any("context" in line for line in short)


def test_no_advice_where_everything_fits_or_there_is_no_device() -> None:
    assert advice(Model.of(shapes.header_of(shapes.bench_tiny())), Settings()) == []
    assert advice(Model.of(shapes.header_of(shapes.gemma_2_27b())), Settings(), of_machine([])) == []


def test_a_smaller_quantisation_is_named_by_its_size() -> None:
    found = advice(Model.of(shapes.header_of(shapes.gemma_2_27b())), Settings(n_ctx=8192), of_card("RX 7800 XT"))
    (line,) = [line for line in found if line.startswith("a quantisation of ")]
    assert re.fullmatch(r"a quantisation of 12\.\d GiB or less: frees 2\.\d GiB, 47 layers, about \d\.\d× .*", line)
    tiny = advice(Model.of(shapes.header_of(shapes.gemma_2_27b())), Settings(n_ctx=8192), of_size("4GiB"))
    assert not any(line.startswith("a quantisation") for line in tiny), "none is so small"


def test_what_fits_is_said_where_the_strategy_does_not() -> None:
    target = of_size("2GiB")
    model = Model.of(shapes.header_of(shapes.gemma_2_27b()))
    line = fit(target.machine)
    plan = make_plan(model, Settings(n_ctx=8192), target, line, strategy="ffn")
    assert not plan.choice.fits
    said = [str(entry) for entry in advise(model, Settings(n_ctx=8192), plan, line)]
    assert any(re.fullmatch(r"whole layers on the GPU, the rest in RAM: \d layers?", entry) for entry in said), said
