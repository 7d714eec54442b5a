"""The dial's curves: every count has its column, and the picture says what fits in any style."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offtui.gguf.header import Header
from offtui.monitor.graph import Style
from offtui.plan.table import Model
from offtui.planner.making import Ground, make_view
from offtui.planner.view import PlanView
from offtui.protocol.spec import LoadSpec
from offtui.store.measurements import Point
from offtui.ui.widgets.curve import Axis, first_too_much, need_rows, speed_rows, top_of
from offtui.ui.widgets.draw import memory_bar
from offtui.ui.widgets.strip import Split, Strip, strip_row
from tests.fakes import gguf_shapes as shapes
from tests.planner.scene import RAM_FREE, facts, header_at


@pytest.fixture(scope="module")
def header(tmp_path_factory: pytest.TempPathFactory) -> Header:
    return header_at(Path(tmp_path_factory.mktemp("curve")) / "m.gguf", shapes.gemma_2_27b())


@pytest.fixture(scope="module")
def view(header: Header) -> PlanView:
    ground = Ground(LoadSpec(model=header.path), True, facts(), RAM_FREE)
    return make_view(header, Model.of(header), ground, {"layers": [Point(4, 300, 100, 2.5, None, 1.0)]})


@pytest.mark.parametrize("width", [20, 46, 47, 48, 76, 100, 200])
@pytest.mark.parametrize("most", [1, 2, 13, 47, 81, 512])
def test_columns_are_in_order_and_inside(most: int, width: int) -> None:
    axis = Axis(most, width)
    columns = [axis.column(count) for count in range(most + 1)]
    assert columns == sorted(columns)
    assert 0 <= columns[0] <= columns[-1] < axis.columns <= width
    if axis.step:
        assert [round(axis.count(column)) for column in columns] == list(range(most + 1))


@pytest.mark.parametrize("style", ["braille", "block", "ascii"])
@pytest.mark.parametrize("width", [20, 46, 100])
@pytest.mark.parametrize("height", [1, 2, 5])
def test_every_row_has_the_width_and_the_marks_are_there(view: PlanView, style: Style, width: int, height: int) -> None:
    axis = Axis(view.most, width)
    rows = speed_rows(view, axis, height, style, 10, 30)
    assert [row.cell_length for row in rows] == [axis.columns] * height
    text = "\n".join(row.plain for row in rows)
    measured, predicted = ("*", "o") if style == "ascii" else ("●", "○")
    assert text.count(measured) == 1
    assert text.count(predicted) == 2
    need = need_rows(view, axis, height, style, 30)
    assert [row.cell_length for row in need] == [axis.columns] * height
    assert ("x" if style == "ascii" else "▒") in need[-1].plain
    if style == "ascii":
        assert all(ord(character) < 128 for row in (*rows, *need) for character in row.plain)


def test_the_scale_holds_every_speed(view: PlanView) -> None:
    assert top_of(view) >= max(row.rate.value for row in view.rows)


def test_the_strip_shows_what_does_not_fit(view: PlanView) -> None:
    limit = first_too_much(view) - 1
    assert limit == view.choice
    axis = Axis(view.most, 48)
    strip = strip_row(axis, Strip(47, Split(5), 5, Split(9), limit)).plain
    assert strip == " " + "■" * 5 + "□" * 4 + "·" * (limit - 9) + "×" * (47 - limit)


@pytest.mark.parametrize(
    ("ours", "used", "would", "bar"),
    [
        (20, 40, None, "██░░······"),
        (20, 40, 20, "██░░······"),
        (20, 40, 50, "██░░□□□···"),
        (40, 60, 10, "█▪▪▪░░····"),
        (20, 40, 90, "██░░□□□□□×"),
        (20, 40, 0, "▪▪░░······"),
    ],
)
def test_a_gauge_has_the_phantom_of_what_ours_would_be(ours: int, used: int, would: int | None, bar: str) -> None:
    assert memory_bar(10, ours, used, 100, would).plain == bar


@pytest.mark.parametrize("width", [44, 46, 50, 76])
@pytest.mark.parametrize("most", [13, 47, 65, 81, 127])
def test_the_strip_is_in_line_with_the_curves(most: int, width: int) -> None:
    axis = Axis(most, width)
    for got in (0, 1, most // 2, most - 1, most):
        row = strip_row(axis, Strip(most, Split(got), got)).plain
        assert len(row) == axis.columns
        for count in range(1, most + 1):
            beside = {layer for layer in range(1, most + 1) if axis.column(layer) == axis.column(count)}
            there = {"■" if layer <= got else "·" for layer in beside}
            assert row[axis.column(count)] == (there.pop() if len(there) == 1 else "▌")


def test_a_cell_of_several_layers_shows_what_the_draft_changes() -> None:
    row = strip_row(Axis(127, 46), Strip(127, Split(60), 60, Split(61), 100)).plain
    assert row.count("□") == 1
    assert strip_row(Axis(127, 46), Strip(127, Split(60, "ffn"), 60)).plain.count("▄") > 20


def test_a_gauge_tells_weights_kv_and_compute_apart_and_mapped_weights_from_what_is_used() -> None:
    assert memory_bar(10, 40, 60, 100, kv=10, compute=10).plain == "██▓▒░░····"
    assert memory_bar(10, 20, 60, 100, kv=10, compute=10, cached=30).plain == "▓▒░░░░▞▞▞·"
    assert memory_bar(10, 40, 60, 100, 60, kv=10, compute=10, ascii=True).plain == "##=-::++.."


@given(*[st.integers(0, 2**40)] * 6)
def test_a_gauge_is_as_wide_as_it_is_told_whatever_it_shows(
    ours: int, used: int, kv: int, compute: int, cached: int, would: int
) -> None:
    bar = memory_bar(30, ours + kv + compute, used, 2**40, would, kv=kv, compute=compute, cached=cached)
    assert bar.cell_length == 30
