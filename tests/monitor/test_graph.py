import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offtui.monitor.graph import Style, render, samples_per_column

STYLES: tuple[Style, ...] = ("braille", "block", "ascii")
RAMP = [0.0, 1 / 7, 2 / 7, 3 / 7, 4 / 7, 5 / 7, 6 / 7, 1.0]


def test_a_ramp_in_braille() -> None:
    assert render(RAMP, 4, 2, high=1.0) == ["  ⡠⠊", "⡠⠊  "]


def test_a_ramp_in_blocks() -> None:
    assert render(RAMP, 8, 1, "block", high=1.0) == ["▁▂▃▄▅▆▇█"]
    assert render(RAMP, 8, 2, "block", high=1.0) == ["    ▂▄▆█", "▁▃▅▇████"]


def test_a_ramp_in_ascii() -> None:
    assert render(RAMP, 8, 2, "ascii", high=1.0) == ["    _.-'", "_.-'    "]


def test_a_jump_is_joined() -> None:
    assert render([0, 1], 2, 2, "ascii", high=1) == [" '", "_|"]
    assert render([1, 0], 2, 2, "ascii", high=1) == ["'|", " _"]
    assert render([0, 1], 1, 1, high=1) == ["⡸"]


def test_an_area_is_filled_to_the_ground() -> None:
    assert render([1, 1, 0, 0], 2, 2, high=1, fill=True) == ["⣿ ", "⣿⣀"]
    assert render([1, 0], 2, 2, "ascii", high=1, fill=True) == ["' ", "|_"]


@pytest.mark.parametrize("style", STYLES)
def test_unknown_is_a_gap_and_zero_is_not(style: Style) -> None:
    each = samples_per_column(style)
    (row,) = render([0.0] * each + [None] * each + [0.0] * each, 3, 1, style, high=1.0)
    assert row[1] == " "
    assert row[0] == row[2] != " "


@pytest.mark.parametrize("style", STYLES)
def test_the_newest_is_at_the_right_edge(style: Style) -> None:
    each = samples_per_column(style)
    (short,) = render([1.0] * each, 5, 1, style, high=1.0)
    assert short[:4] == "    "
    assert short[4] != " "
    (long,) = render([0.0] * 100 + [1.0] * 2 * each, 2, 1, style, high=1.0, fill=True)
    assert len(set(long)) == 1, "what is older than the width is left out"


@pytest.mark.parametrize("style", STYLES)
def test_without_a_top_the_greatest_value_is_the_top(style: Style) -> None:
    values = [0.0, 10.0, 20.0]
    assert render(values, 4, 2, style) == render(values, 4, 2, style, high=20.0)
    assert render([5.0, 7.0], 4, 2, style, low=5.0) == render([0.0, 2.0], 4, 2, style, high=2.0)


@pytest.mark.parametrize("style", STYLES)
def test_what_is_out_of_range_is_drawn_at_the_edge(style: Style) -> None:
    assert render([-9.0, 99.0], 2, 2, style, high=1.0) == render([0.0, 1.0], 2, 2, style, high=1.0)


@pytest.mark.parametrize("style", STYLES)
def test_a_flat_line_of_zeros_lies_on_the_ground(style: Style) -> None:
    rows = render([0.0] * 8, 4, 3, style)
    assert rows[0] == rows[1] == "    "
    assert " " not in rows[2]


def test_no_room_is_no_line() -> None:
    assert render([1.0], 0, 2) == ["", ""]
    assert render([1.0], 5, 0) == []


@given(
    st.lists(st.none() | st.floats(), max_size=80),
    st.integers(1, 30),
    st.integers(1, 5),
    st.sampled_from(STYLES),
    st.floats(-10, 10),
    st.none() | st.floats(-10, 10),
    st.booleans(),
)
def test_any_values_fill_the_room_exactly(
    values: list[float | None], width: int, height: int, style: Style, low: float, high: float | None, fill: bool
) -> None:
    rows = render(values, width, height, style, low=low, high=high, fill=fill)
    assert len(rows) == height
    assert {len(row) for row in rows} == {width}


def test_ascii_is_ascii() -> None:
    assert "".join(render(RAMP, 8, 3, "ascii")).isascii()


def test_a_wide_line_is_drawn_at_once() -> None:
    values = [float(number % 17) for number in range(400)]
    spent: list[float] = []
    for _ in range(5):
        begun = time.process_time()
        render(values, 200, 8)
        spent.append(time.process_time() - begun)
    assert min(spent) < 0.02, spent
