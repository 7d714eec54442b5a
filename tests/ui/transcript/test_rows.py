"""The index of rows agrees with counting them one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offtui.ui.transcript.rows import RowIndex

heights = st.lists(st.integers(0, 9), max_size=40)


@given(heights, st.lists(st.tuples(st.integers(0, 39), st.integers(0, 9)), max_size=20), heights)
def test_every_row_is_found_after_any_changes(
    first: list[int], changes: list[tuple[int, int]], more: list[int]
) -> None:
    index = RowIndex(first)
    model = list(first)
    for place, height in changes:
        if place < len(model):
            assert index.change(place, height) == height - model[place]
            model[place] = height
    for height in more:
        index.append(height)
        model.append(height)
    assert len(index) == len(model)
    assert index.total == sum(model)
    assert [index.top(place) for place in range(len(model) + 1)] == [
        sum(model[:place]) for place in range(len(model) + 1)
    ]
    rows = [(place, within) for place, height in enumerate(model) for within in range(height)]
    assert [index.find(row) for row in range(index.total)] == rows


@pytest.mark.parametrize("row", [-1, 3])
def test_a_row_outside_is_an_error(row: int) -> None:
    with pytest.raises(IndexError):
        RowIndex([1, 2]).find(row)
