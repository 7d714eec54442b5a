"""Tokens per second: guesses as bands, and the fit through what others measured and published."""

import pytest

from offtui.plan.cards import find_card
from offtui.plan.settings import Device
from offtui.plan.speed import Machine, Measurement, Work, fit, machine_of, processor, rate, rates, work
from offtui.plan.table import Table, table
from offtui.units import GIB
from tests.plan.vectors import SWEEP_PAST as N_PAST
from tests.plan.vectors import SWEEP_SETTINGS as SETTINGS
from tests.plan.vectors import bands_of_small_models, model_of, qwen_on_16_gib, sweep


@pytest.fixture(scope="module")
def qwen() -> Table:
    return qwen_on_16_gib()


def point(rows: Table, layers: int, speed: float) -> Measurement:
    return Measurement(work(rows.rows[layers], rows, SETTINGS, N_PAST), speed)


def errors(rows: Table, machine: Machine, measured: dict[int, float], known: tuple[int, ...]) -> dict[int, float]:
    """Relative error at each layer count that was not given to the fit."""
    predicted = rates(rows, SETTINGS, fit(machine, [point(rows, k, measured[k]) for k in known]), N_PAST)
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
        points = [point(qwen, k, measured[k]) for k in known]
        middle = rates(qwen, SETTINGS, fit(RTX_5060_TI, points), N_PAST)[32]
        assert middle.source == ("fit" if known else "prior")
        width.append(middle.high / middle.low)
    assert width == sorted(width, reverse=True)
    assert width[0] > 2
    assert width[-1] < 1.25


def test_a_sweep_of_a_llama_cpp_that_offloaded_the_output_last() -> None:
    measured = {k: speed for k, speed in sweep("Llama-7B").items() if k <= 32}
    block, output = 113.8e6, 107.5e6
    # the cache lay in RAM, so that every layer went there and back
    works = {k: Work(block * k, block * (32 - k) + output, k, 33 - k, 2 * k) for k in measured}
    # one layer more made that machine 20 % faster between 30 and 31, so no line passes nearer than this
    for known in ((10, 31), (10, 32), (20, 31), (10, 20, 32)):
        line = fit(Machine(), [Measurement(works[k], measured[k]) for k in known])
        for layers in set(measured) - set(known):
            predicted = rate(line, works[layers]).value
            assert predicted == pytest.approx(measured[layers], rel=0.15), (known, layers)


def test_speed_rises_with_every_layer_on_a_faster_device(qwen: Table) -> None:
    values = [found.value for found in rates(qwen, SETTINGS, fit(RTX_5060_TI))]
    assert values[1:] == sorted(values[1:])
    assert values[-1] > 5 * values[0]


def test_mixtures_of_experts_read_only_the_experts_used() -> None:
    moe = table(model_of("qwen3_30b_a3b"), SETTINGS, [Device("CUDA0", 32 * GIB, 32 * GIB)]).rows[-1]
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
    nothing, both, one = Work(0, 0, 0, 0, 0), Work(1e9, 1e9, 1, 1, 2), Work(1e9, 0, 1, 0, 0)
    points = [Measurement(nothing, 5.0), Measurement(both, 1e9), Measurement(one, 1e-9), Measurement(one, 1e9)]
    for count in range(len(points) + 1):
        for found in rates(qwen, SETTINGS, fit(RTX_5060_TI, points[:count])):
            assert 0 < found.low <= found.value <= found.high


def test_costs_that_no_measurement_tells_apart_stay_near_their_guesses() -> None:
    line = fit(RTX_5060_TI, [Measurement(Work(1e9, 0, 10, 0, 2), 300.0)] * 3)
    assert 1 / line.costs[0] == pytest.approx(RTX_5060_TI.gpu, rel=0.3)
    assert all(cost > 0 for cost in line.costs)
    assert line.costs[1] == pytest.approx(1 / RTX_5060_TI.cpu)


def test_a_machine_twice_as_slow_in_everything_is_found_out(qwen: Table) -> None:
    truth = fit(Machine(RTX_5060_TI.gpu / 2, 0.25, RTX_5060_TI.cpu / 2, 0.45))
    works = [work(row, qwen, SETTINGS, N_PAST) for row in qwen.rows]
    measured = [Measurement(works[k], rate(truth, works[k]).value) for k in (0, 24, 49)]
    line = fit(RTX_5060_TI, measured)
    for wanted in works:
        assert rate(line, wanted).value == pytest.approx(rate(truth, wanted).value, rel=0.08)


def test_a_tiny_model_is_bound_by_what_is_not_bytes() -> None:
    rows = table(model_of("bench_tiny"), SETTINGS, [Device("CUDA0", 16 * GIB, 16 * GIB)])
    for found in rates(rows, SETTINGS, fit(RTX_5060_TI)):
        assert found.high < 6000
        assert found.high / found.low > 2


def test_nine_of_ten_real_speeds_of_small_models_fall_into_the_band_of_the_guess() -> None:
    found = bands_of_small_models()
    inside = [band.low <= float(record["tokens_per_s"]) <= band.high for record, band in found]
    assert len(found) == 45
    assert sum(inside) >= 0.9 * len(inside)
    # and the band is not so wide that it says nothing
    assert max(band.high / band.low for _, band in found) < 20


def test_few_threads_cannot_read_as_fast_as_the_ram_gives() -> None:
    assert processor(60e9, 1) == processor(None, 1) < processor(60e9, 2) < processor(60e9, 64) == 60e9
    assert processor(60e9, None) == 60e9
