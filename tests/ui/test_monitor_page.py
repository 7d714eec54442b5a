"""The page of the full monitor, whatever there is to show and however small the terminal."""

import itertools
import re
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offtui.engine.state import SessionState
from offtui.monitor.history import Event
from offtui.protocol.facts import DeviceFacts
from offtui.recorder.devices import RamUse, device_uses
from offtui.recorder.tape import Tape
from offtui.ui.widgets.gauges import Look, device_height, device_lines, others_text, ram_lines
from offtui.ui.widgets.lanes import STILL, Lane, Window, cell_of, graph_width, lane_values, time_of
from offtui.ui.widgets.monitor_page import Page, page_lines
from tests.recorder.scenes import Show, card, process, sample
from tests.ui.harness import GIB


def page(show: Show, *gpus: object, width: int = 118, height: int = 35, **more: object) -> list[str]:
    """The page at 100 s."""
    machine = sample(100.0, *gpus)  # type: ignore[arg-type]
    show.tape.observe(machine, show.state)
    given = {"window": Window(120.0, 100.0), "live": True, "session": show.state, **more}
    made = Page(width, height, show.tape, sample=machine, would=lambda _: None, **given)  # type: ignore[arg-type]
    return [line.plain.rstrip() for line in page_lines(made)]


def ready() -> Show:
    show = Show()
    show.load(10.0)
    for second in range(12, 40):
        if second == 15:
            show.answer(15.0, took=20.0)
        show.tape.observe(sample(float(second), card(power_w=100.0, util=0.5, mem_util=0.25)), show.state)
    return show


@given(
    width=st.integers(20, 220),
    height=st.integers(4, 60),
    gpus=st.integers(0, 12),
    cursor=st.none() | st.integers(0, 300),
    style=st.sampled_from(("braille", "block", "ascii")),
    session=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_the_page_fits_the_terminal(
    width: int, height: int, gpus: int, cursor: int | None, style: str, session: bool
) -> None:
    show = ready()
    cards = [card(index, name=f"Card {index}", processes=(process(1, "x"),) * 30) for index in range(gpus)]
    lines = page(
        show, *cards, width=width, height=height, style=style, session=show.state if session else None,
        window=Window(120.0, 100.0, None if cursor is None else min(cursor, graph_width(width) - 1)),
    )  # fmt: skip
    assert len(lines) <= height
    if width >= 60:
        assert max(map(len, lines)) <= width


def test_everything_that_is_known_of_a_card_is_said() -> None:
    gpu = card(
        util=0.9, mem_util=0.4, power_w=150.0, power_limit_w=200.0, temp_c=61.0, clock_mhz=1980, fan=0.3,
        pcie_in=1_500_000, pcie_out=250_000, throttle=("the power cap",),
        processes=(process(7, "python", GIB), process(8, "", None)),
    )  # fmt: skip
    text = "\n".join(page(ready(), gpu, width=150, height=48))
    assert "CUDA0  A Card" in text
    assert "weights 200.0 MiB  ▓ KV 20.0 MiB  ▒ compute 7.0 MiB" in text
    assert "busy 90 % · memory 40 % · 150/200 W · 61 °C · held back by the power cap · 1980 MHz · fan 30 %" in text
    assert "PCIe in 1.4 MiB/s out 244.1 KiB/s" in text
    assert "also here: python 1.0 GiB, process 8 –" in text
    assert "J/token by layers" in text


@given(
    known=st.booleans(),
    util=st.none() | st.floats(0, 1),
    others=st.integers(0, 3),
    total=st.sampled_from((None, 0, 8 * GIB)),
    look=st.builds(Look, st.integers(20, 200), st.integers(1, 3), st.booleans()),
)
@settings(deadline=None)
def test_the_height_of_a_device_is_known_before_it_is_drawn(
    known: bool, util: float | None, others: int, total: int | None, look: Look
) -> None:
    gpu = card(total=total, used=GIB if known else None, util=util, processes=(process(1, "x"),) * others)
    for session in (SessionState(), ready().state):
        for use in device_uses(session, sample(1.0, gpu)):
            assert device_height(use, look) == len(device_lines(use, look))


def test_what_is_unknown_is_a_dash_and_no_bar_is_made_up() -> None:
    show = Show()
    unknown = card(total=None, used=None, free=None)
    text = "\n".join(page(show, unknown, session=None))
    assert "memory unknown" in text
    lines = device_lines(device_uses(SessionState(), sample(1.0, card(total=0, used=0, free=0)))[0], Look(60))
    assert "0.0 / 0.0 GiB" in lines[0].plain


def test_marks_stand_below_the_lanes_with_the_layers_of_a_reload() -> None:
    show = ready()
    show.load(60.0, 9)
    lines = page(show)
    marks = next(line for line in lines if line.startswith("Marks"))
    assert list(marks.removeprefix("Marks").replace(" ", "")) == list("LUPTSRU")
    notes = next(line for line in lines if line.startswith("layers"))
    assert notes.index("9") == marks.index("R")
    width = graph_width(118)
    assert marks.index("R") - marks.index("L") == pytest.approx(50 / 120 * width, abs=1)


def test_the_cursor_reads_values_and_marks_at_its_time() -> None:
    show = ready()
    show.tape.history.mark(70.0, Event.CRASH, "No room [/x].")
    cells = graph_width(118)
    there = [
        cursor
        for cursor in range(cells)
        if any("crash No room [/x]." in line for line in page(show, window=Window(120.0, 100.0, cursor), live=False))
    ]
    assert len(there) == 1
    assert there[0] == pytest.approx(30 / 120 * cells, abs=1)


def test_an_answer_that_is_looked_at_is_told_in_a_line() -> None:
    show = ready()
    (answer,) = show.tape.answers()
    lines = page(show, answer=answer, window=Window(25.0, 37.0, slice=(answer.began, answer.ended)), live=False)
    told = next(line for line in lines if line.startswith("answer 1"))
    assert told.startswith("answer 1 · 4/13 layers · 41 tokens · 2.05 t/s · 2.0 kJ, 48.8 J/token · first token 600 ms")


def test_what_is_wrong_with_a_driver_is_said_in_full() -> None:
    sentence = "NVML: NVIDIA GeForce RTX 4060: the GPU is lost: it fell off the bus or its driver reset it."
    show = ready()
    machine = msgspec.structs.replace(sample(100.0), problems=(sentence,))
    made = Page(78, 23, show.tape, show.state, machine, Window(120.0, 100.0), True, lambda _: None)
    lines = [line.plain.rstrip() for line in page_lines(made)]
    assert " ".join(lines[1:3]) == sentence
    assert len(lines) <= 23


def test_a_crowd_is_counted() -> None:
    (use,) = device_uses(SessionState(), sample(1.0, card(processes=tuple(process(pid, "x") for pid in range(1, 301)))))
    assert others_text(use, 100) == "also here: x 1.0 GiB, x 1.0 GiB, x 1.0 GiB and 297 more"


def test_cards_of_one_name_are_told_apart_by_their_place_on_the_bus() -> None:
    facts = tuple(DeviceFacts(f"CUDA{i}", "gpu", "A Card", 1, 8 * GIB, pci=f"0000:0{i}:00.0") for i in range(3))
    cards = [card(i, used=i * GIB, pci=f"0000:0{i}:00.0") for i in range(3)]
    for order in itertools.permutations(cards):
        uses = device_uses(SessionState(memory=facts), sample(1.0, *order))
        assert [use.used for use in uses] == [0, GIB, 2 * GIB]
    (first, *rest) = device_uses(SessionState(memory=facts[2:]), sample(1.0, *cards))
    assert (first.name, first.used) == ("CUDA2", 2 * GIB)
    assert [use.usable for use in rest] == [False, False]


def test_mapped_weights_are_told_from_what_is_held() -> None:
    use = RamUse(weights=GIB, kv=GIB, compute=0, mapped=4 * GIB, cached=2 * GIB, used=4 * GIB, total=16 * GIB)
    title, bar, notes = ram_lines(use, Look(64, full=True))
    assert title.plain.endswith("4.0 / 16.0 GiB")
    assert bar.plain == "████▓▓▓▓░░░░░░░░▞▞▞▞▞▞▞▞" + "·" * 40
    assert notes.plain == "█ weights 1.0G  ▓ KV 1.0G  ▞ mapped 2.0G  ░ others 2.0G"
    assert "mapped 4.0 GiB (50 % in RAM)" in ram_lines(use, Look(64))[2].plain
    unknown = ram_lines(replace(use, cached=None), Look(120, full=True))[2].plain
    assert "mapped – of 4.0 GiB in RAM" in unknown


@pytest.mark.parametrize("width", [*range(10, 130, 7), 78])
def test_no_figure_of_a_legend_is_cut(width: int) -> None:
    use = RamUse(
        weights=12 * GIB, kv=GIB, compute=GIB // 3, mapped=4 * GIB, cached=2 * GIB, used=15 * GIB, total=16 * GIB
    )
    text = ram_lines(use, Look(width, full=True))[2].plain
    assert len(text) <= width
    assert "…" not in text
    whole = (
        "█ weights 12.0 GiB  ▓ KV 1.0 GiB  ▒ compute 341.3 MiB  ▞ mapped 2.0 GiB of 4.0 GiB in RAM  ░ others 1.7 GiB"
    )
    words = re.findall(r"\S \w+ \d+\.\d ?(?:[GM]iB|[GM])", text)
    assert len(words) == text.count("  ") + bool(text)
    assert (text == whole) == (width >= len(whole))
    if width >= 78:
        assert len(words) == 5


def test_cells_stay_where_they_are_for_some_seconds() -> None:
    cells, style = 80, "braille"
    history = Tape().history
    for second in range(400):
        history.add("tps", float(second), float(second % 17))
    lane = Lane("tps", "Tokens", str)
    drawn: list[list[float | None]] = []
    for now in range(300, 340):
        window = Window(120.0, float(now), steady=True)
        values = lane_values(history, lane, window, cells, style)
        ahead = window.ahead(cells)
        assert len(values) == 2 * cells
        assert (
            values[: 2 * (cells - ahead)] == lane_values(history, lane, Window(120.0, now), cells, style)[2 * ahead :]
        )
        assert values[2 * (cells - ahead) :] == [None] * 2 * ahead
        assert cell_of(window, cells, now) == cells - 1 - ahead
        assert time_of(window, cells, 0) == pytest.approx(now, abs=120 / cells)
        drawn.append(values)
    moved = sum(values[:10] != before[:10] for before, values in itertools.pairwise(drawn))
    assert moved == pytest.approx(40 / STILL, abs=1)


def test_no_tape_at_all_is_a_page_too() -> None:
    empty = Page(80, 24, Tape(), None, None, Window(120.0, 0.0), live=True, would=lambda _: None)
    assert any("no offtui runs" in line.plain for line in page_lines(empty))
