"""Tokens per second: guesses as bands, and the fit through what others measured and published."""

import csv
from pathlib import Path

import pytest

from offtui.plan.cards import find_card
from offtui.plan.settings import Device, Settings
from offtui.plan.speed import Machine, Measurement, fit, machine_of, rate, rates, reads
from offtui.plan.table import Model, Table, table
from offtui.units import GIB
from tests.fakes import gguf_shapes as shapes

SWEEPS = list(csv.DictReader((Path(__file__).parent / "data" / "offload_sweeps.csv").read_text().splitlines()))
SETTINGS = Settings(n_ctx=4096)
CARD = Device("CUDA0", 16 * GIB, 16 * GIB)
N_PAST = 128


def sweep(model: str) -> dict[int, float]:
    return {int(row["n_gpu_layers"]): float(row["tokens_per_s"]) for row in SWEEPS if row["model"] == model}


@pytest.fixture(scope="module")
def qwen() -> Table:
    return table(Model.of(shapes.header_of(shapes.qwen_2_5_14b())), SETTINGS, [CARD])


def errors(rows: Table, machine: Machine, measured: dict[int, float], known: tuple[int, ...]) -> dict[int, float]:
    """Relative error at each layer count that was not given to the fit."""
    points = [Measurement(*reads(rows.rows[k], rows, SETTINGS, N_PAST), measured[k]) for k in known]
    predicted = rates(rows, SETTINGS, fit(machine, points), N_PAST)
    return {k: predicted[k].value / speed - 1 for k, speed in measured.items() if k not in known}


RTX_5060_TI = machine_of(find_card("RTX 5060 Ti 16GB"), None)


@pytest.mark.parametrize("machine", [RTX_5060_TI, Machine()], ids=["known card", "unknown card"])
@pytest.mark.parametrize(
    ("known", "allowed"),
    [
        ((0, 49), 0.10),
        ((16, 49), 0.10),
        ((24, 49), 0.10),
        ((0, 32, 49), 0.05),
        ((16, 32, 49), 0.06),
        ((0, 24, 49), 0.07),
    ],
)
def test_unseen_layer_counts_of_a_published_sweep(
    qwen: Table, machine: Machine, known: tuple[int, ...], allowed: float
) -> None:
    found = errors(qwen, machine, sweep("Qwen2.5-Coder-14B"), known)
    assert max(map(abs, found.values())) <= allowed, found


def test_one_measurement_is_enough_where_the_card_is_known(qwen: Table) -> None:
    measured = sweep("Qwen2.5-Coder-14B")
    for only in measured:
        found = errors(qwen, RTX_5060_TI, measured, (only,))
        assert max(map(abs, found.values())) <= 0.12, (only, found)


def test_the_band_of_a_guess_holds_what_was_measured(qwen: Table) -> None:
    for machine in (RTX_5060_TI, Machine()):
        predicted = rates(qwen, SETTINGS, fit(machine), N_PAST)
        for layers, speed in sweep("Qwen2.5-Coder-14B").items():
            assert predicted[layers].low <= speed <= predicted[layers].high
            assert predicted[layers].source == "prior"


def test_measurements_narrow_the_band(qwen: Table) -> None:
    measured = sweep("Qwen2.5-Coder-14B")
    width: list[float] = []
    for known in ((), (0,), (0, 49), (0, 24, 49)):
        points = [Measurement(*reads(qwen.rows[k], qwen, SETTINGS, N_PAST), measured[k]) for k in known]
        middle = rates(qwen, SETTINGS, fit(RTX_5060_TI, points), N_PAST)[32]
        assert middle.source == ("fit" if known else "prior")
        width.append(middle.high / middle.low)
    assert width == sorted(width, reverse=True)
    assert width[0] > 2
    assert width[-1] < 1.25


def test_a_sweep_of_a_llama_cpp_that_offloaded_the_output_last() -> None:
    measured = {k: speed for k, speed in sweep("Llama-7B").items() if k <= 32}
    block, output = 113.8e6, 107.5e6
    point = {k: Measurement(block * k, block * (32 - k) + output, 2, speed) for k, speed in measured.items()}
    # one layer more made that machine 20 % faster between 30 and 31, so no line passes nearer than this
    for known in ((10, 31), (10, 32), (20, 31), (10, 20, 32)):
        line = fit(Machine(), [point[k] for k in known])
        for layers in set(point) - set(known):
            predicted = rate(line, point[layers].gpu_read, point[layers].cpu_read, 2).value
            assert predicted == pytest.approx(measured[layers], rel=0.15), (known, layers)


def test_speed_rises_with_every_layer_on_a_faster_device(qwen: Table) -> None:
    values = [found.value for found in rates(qwen, SETTINGS, fit(RTX_5060_TI))]
    assert values[1:] == sorted(values[1:])
    assert values[-1] > 5 * values[0]


def test_mixtures_of_experts_read_only_the_experts_used() -> None:
    moe = table(Model.of(shapes.header_of(shapes.qwen3_30b_a3b())), SETTINGS, [CARD]).rows[-1]
    assert 1.5 * GIB < moe.gpu_read < 2.2 * GIB
    assert moe.devices[0].weights > 17 * GIB


def test_a_long_conversation_is_slower(qwen: Table) -> None:
    line = fit(RTX_5060_TI)
    assert rates(qwen, SETTINGS, line, 4096)[-1].value < rates(qwen, SETTINGS, line, 1)[-1].value


def test_a_card_of_which_only_the_memory_is_known_has_a_wide_band(qwen: Table) -> None:
    known = rates(qwen, SETTINGS, fit(RTX_5060_TI))[-1]
    unknown = rates(qwen, SETTINGS, fit(machine_of(None, 16 * GIB)))[-1]
    assert unknown.high / unknown.low > known.high / known.low
    assert 20e9 < machine_of(None, 1).gpu < machine_of(None, 10**15).gpu


def test_nonsense_measurements_do_not_break_the_fit(qwen: Table) -> None:
    points = [Measurement(0.0, 0.0, 0, 5.0), Measurement(1e9, 1e9, 2, 1e9), Measurement(1e9, 0.0, 0, 1e-9)]
    for found in rates(qwen, SETTINGS, fit(RTX_5060_TI, points)):
        assert 0 < found.low <= found.value <= found.high
