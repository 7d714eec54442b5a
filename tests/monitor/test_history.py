import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offtui.monitor.history import Event, History, Series


def test_a_full_ring_drops_the_oldest() -> None:
    series = Series(capacity=3)
    for number in range(5):
        series.add(float(number), number * 10.0)
    assert list(series) == [(2.0, 20.0), (3.0, 30.0), (4.0, 40.0)]
    assert len(series) == 3
    assert series.newest() == 40.0
    series.clear()
    assert list(series) == []
    assert series.newest() is None


def test_the_extent_of_a_time_counts_what_was_true_at_its_beginning() -> None:
    series = Series(hold=7.0)
    for at, value in ((0.0, 5.0), (10.0, 2.0), (11.0, None), (12.0, 9.0), (20.0, 1.0)):
        series.add(at, value)
    assert series.extent(11.5, 12.0) == (9.0, 9.0)
    assert series.extent(10.0, 19.0) == (2.0, 9.0)
    assert series.extent(3.0, 4.0) == (5.0, 5.0)
    assert series.extent(8.0, 9.0) is None
    assert Series().extent(0.0, 1.0) is None


def test_unknown_is_kept_apart_from_zero() -> None:
    series = Series()
    series.add(1, None)
    series.add(2, 0)
    assert list(series) == [(1.0, None), (2.0, 0.0)]


def test_a_time_before_the_newest_counts_as_that_ones() -> None:
    series = Series()
    series.add(5, 1)
    series.add(3, 2)
    assert [at for at, _ in series] == [5.0, 5.0]


def test_a_ring_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Series(capacity=0)


def test_the_right_column_is_now() -> None:
    series = Series()
    for second in range(10):
        series.add(second, second)
    assert series.columns(4, 4.0, now=9.5) == [6.0, 7.0, 8.0, 9.0]


def test_columns_are_the_mean_the_greatest_or_the_last() -> None:
    series = Series()
    for at, value in ((0.0, 1), (0.5, 5), (0.9, 3)):
        series.add(at, value)
    assert series.columns(1, 1.0, now=0.95) == [3.0]
    assert series.columns(1, 1.0, now=0.95, how="max") == [5.0]
    assert series.columns(1, 1.0, now=0.95, how="last") == [3.0]


def test_a_value_is_held_for_a_while_and_then_unknown() -> None:
    series = Series(hold=2.0)
    series.add(0.0, 7)
    assert series.columns(6, 6.0, now=5.5) == [7.0, 7.0, 7.0, None, None, None]


def test_what_is_known_to_be_unknown_is_not_held() -> None:
    series = Series(hold=10.0)
    series.add(0.0, 7)
    series.add(1.0, None)
    series.add(3.0, 8)
    assert series.columns(5, 5.0, now=4.5) == [7.0, None, None, 8.0, 8.0]


def test_a_value_before_the_span_reaches_into_it() -> None:
    series = Series(hold=5.0)
    series.add(0.0, 7)
    assert series.columns(2, 2.0, now=4.5) == [7.0, 7.0]


def test_an_empty_series_is_unknown_everywhere() -> None:
    assert Series().columns(3, 3.0, now=100.0) == [None, None, None]
    assert Series().columns(0, 3.0, now=100.0) == []
    assert Series().columns(3, 0.0, now=100.0) == []


def test_columns_do_not_shimmer_as_time_goes_on() -> None:
    series = Series()
    for second in range(100):
        series.add(float(second), second % 7)
    before = series.columns(20, 40.0, now=98.0)
    assert series.columns(20, 40.0, now=99.9) == before, "within one column's time nothing moves"
    assert series.columns(20, 40.0, now=100.0)[:-1] == before[1:], "then everything moves by one"


@given(
    st.lists(st.tuples(st.floats(0, 100), st.none() | st.floats(-5, 5)), max_size=60),
    st.integers(1, 50),
    st.floats(0.5, 200),
    st.floats(0, 120),
    st.integers(1, 40),
)
def test_columns_show_only_what_was_measured(
    values: list[tuple[float, float | None]], count: int, span: float, now: float, capacity: int
) -> None:
    series = Series(capacity=capacity)
    for at, value in sorted(values, key=lambda entry: entry[0]):
        series.add(at, value)
    kept = {value for _, value in series}
    columns = series.columns(count, span, now, "max")
    assert len(columns) == count
    assert set(columns) <= kept | {None}


def test_the_peak_is_of_what_is_known() -> None:
    series = Series()
    assert series.peak() is None
    for at, value in ((1, 9), (2, None), (3, 4)):
        series.add(at, value)
    assert series.peak() == 9.0
    assert series.peak(since=2) == 4.0


def test_two_hours_are_resampled_at_once() -> None:
    series = Series()
    for second in range(9000):
        series.add(second, second)
    spent: list[float] = []
    for _ in range(5):
        begun = time.process_time()
        series.columns(400, 7200.0, now=9000.0)
        spent.append(time.process_time() - begun)
    assert min(spent) < 0.03, spent


def test_series_have_names_and_one_axis_of_time() -> None:
    history = History(capacity=10, hold=1.0)
    history.add("vram", 1.0, 5)
    history.add("vram", 2.0, 6)
    history.add("speed", 2.0, 31)
    assert history.series("vram").columns(2, 2.0, now=2.5) == [5.0, 6.0]
    assert history.series("speed").newest() == 31.0
    assert len(history.series("never")) == 0


def test_marks_stand_in_the_column_of_their_time() -> None:
    history = History()
    history.mark(1.5, Event.LOAD, "layers 4")
    history.mark(3.1, Event.PROMPT)
    history.mark(3.2, Event.FIRST_TOKEN)
    columns = history.mark_columns(4, 4.0, now=3.9)
    assert [mark and mark.event for mark in columns] == [None, Event.LOAD, None, Event.FIRST_TOKEN]
    assert columns[1] is not None
    assert columns[1].note == "layers 4"
    assert [mark.event for mark in history.marks(since=3.0)] == [Event.PROMPT, Event.FIRST_TOKEN]
    assert history.mark_columns(2, 1.0, now=100.0) == [None, None]
    assert history.mark_columns(0, 1.0, now=100.0) == []


@given(
    st.lists(st.tuples(st.floats(0.01, 4.0), st.none() | st.floats(0, 100)), min_size=1, max_size=60),
    st.integers(1, 30),
    st.floats(5, 60),
    st.floats(0, 20),
)
def test_columns_that_were_drawn_before_are_those_drawn_anew(
    steps: list[tuple[float, float | None]], count: int, span: float, ahead: float
) -> None:
    history, now = History(hold=3.0), 100.0
    for step, value in steps:
        now += step
        history.add("x", now, value)
        edge = now + ahead  # of cells that several columns make up, the last may be yet to come
        assert history.columns("x", count, span, edge) == history.series("x").columns(count, span, edge)
    for back in (0.0, 7.0, 200.0, 1.0):
        assert history.columns("x", count, span, now - back) == history.series("x").columns(count, span, now - back)


def test_a_value_between_two_is_on_the_line_and_beside_a_gap_unknown() -> None:
    series = Series(hold=2.0)
    for at, value in ((10.0, 0.0), (12.0, 4.0), (13.0, None), (14.0, 6.0)):
        series.add(at, value)
    assert [series.at(at) for at in (9.0, 10.0, 11.0, 12.0, 12.5, 14.0, 15.0)] == [None, 0.0, 2.0, 4.0, None, 6.0, None]
    assert [series.last_at(at) for at in (9.0, 11.0, 13.5, 15.9, 16.1)] == [None, 0.0, None, 6.0, None]
    assert series.broken(11.0, 14.0)
    assert not series.broken(10.0, 13.0)


def test_a_series_is_what_it_was_after_a_dump() -> None:
    series, copy = Series(capacity=3), Series(capacity=3)
    for at in range(5):
        series.add(float(at), None if at == 3 else float(at))
    copy.restore(*series.dump())
    assert list(copy) == list(series) == [(2.0, 2.0), (3.0, None), (4.0, 4.0)]
