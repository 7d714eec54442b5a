import pytest

from offtui.planner.price import READ, START, UPLOAD, load_seconds
from offtui.store.remembered import LoadTime

GB = 10**9


def test_a_count_that_was_timed_costs_what_it_cost() -> None:
    timed = [LoadTime(4, GB, seconds) for seconds in (9.0, 2.0, 2.2, 2.1)]
    assert load_seconds([*timed, LoadTime(9, 3 * GB, 7.0)], 4, GB, 5 * GB) == 2.1


def test_between_two_that_were_timed_it_goes_by_the_bytes_on_devices() -> None:
    timed = [LoadTime(0, 0, 1.0), LoadTime(10, 10 * GB, 6.0)]
    assert load_seconds(timed, 5, 5 * GB, 20 * GB) == pytest.approx(3.5)
    assert load_seconds(timed, 20, 20 * GB, 20 * GB) == pytest.approx(11.0)


def test_from_one_that_was_timed() -> None:
    assert load_seconds([LoadTime(4, 4 * GB, 2.2)], 8, 8 * GB, 9 * GB) == pytest.approx(4.2)
    assert load_seconds([LoadTime(0, 0, 0.5)], 4, 4 * GB, 9 * GB) == pytest.approx(0.5 + 4 * GB / UPLOAD)
    assert load_seconds([LoadTime(4, 4 * GB, 2.2)], 0, 0, 9 * GB) == pytest.approx(1.1)


def test_where_nothing_was_timed_the_file_is_what_it_takes() -> None:
    assert load_seconds([], 4, 0, 5 * GB) == pytest.approx(START + 5 * GB / READ)
    assert load_seconds([], 4, 0, 5 * GB, 2.5e9) == pytest.approx(START + 2.0)


def test_a_device_that_is_faster_than_the_ram_does_not_make_a_load_take_less_than_nothing() -> None:
    timed = [LoadTime(0, 0, 6.0), LoadTime(10, 10 * GB, 1.0)]
    assert load_seconds(timed, 30, 30 * GB, 30 * GB) == pytest.approx(3.5)
