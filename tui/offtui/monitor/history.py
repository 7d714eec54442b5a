"""What was measured over time: rings of values, marks of what happened, resampled to columns. Pure and fast."""

import enum
import math
from array import array
from collections import deque
from collections.abc import Iterator
from typing import Literal

import msgspec

from offtui.monitor.graph import render as render
from offtui.monitor.graph import samples_per_column as samples_per_column

Aggregate = Literal["mean", "max", "last"]

CAPACITY = 7200
"""Values a series keeps: two hours at one a second."""


class Event(enum.StrEnum):
    """What can happen that explains a bend in a line."""

    LOAD = "load"
    RELOAD = "reload"
    PROMPT = "prompt"
    FIRST_TOKEN = "first token"
    STOP = "stop"
    CRASH = "crash"


class Mark(msgspec.Struct, frozen=True):
    """Something happened then."""

    time: float
    event: Event
    note: str = ""


class Series:
    """A ring of values in order of time; unknown is ``None``. Old ones go when it is full.

    Args:
        capacity: values kept.
        hold: seconds a value stays true when no other comes after it.
    """

    def __init__(self, capacity: int = CAPACITY, hold: float = 3.0) -> None:
        if capacity < 1:
            raise ValueError("A series keeps at least one value.")
        self._times = array("d", [0.0]) * capacity
        self._values = array("d", [0.0]) * capacity
        self._start = 0
        self._count = 0
        self.hold = hold

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[float, float | None]]:
        """Times and values, oldest first."""
        for position in range(self._count):
            yield self._at(position)

    def add(self, time: float, value: float | None) -> None:
        """Append a value; a time before the newest counts as that one's."""
        capacity = len(self._times)
        if self._count:
            time = max(time, self._times[(self._start + self._count - 1) % capacity])
        slot = (self._start + self._count) % capacity
        self._times[slot] = time
        self._values[slot] = math.nan if value is None else value
        if self._count < capacity:
            self._count += 1
        else:
            self._start = (self._start + 1) % capacity

    def clear(self) -> None:
        """Forget everything."""
        self._start = self._count = 0

    def newest(self) -> float | None:
        """The value added last."""
        return self._at(self._count - 1)[1] if self._count else None

    def peak(self, since: float = -math.inf) -> float | None:
        """The greatest known value from ``since`` on."""
        known = (
            value for position in range(self._find(since), self._count) if (value := self._at(position)[1]) is not None
        )
        return max(known, default=None)

    def columns(self, count: int, span: float, now: float, how: Aggregate = "mean") -> list[float | None]:
        """The last ``span`` seconds as ``count`` columns of equal time; the right one holds ``now``.

        Columns lie on multiples of their width, so that a value does not wander between two of them as time goes on.
        A column without a value of its own repeats the one before, for ``hold`` seconds at most; else it is ``None``.
        """
        if count < 1 or span <= 0:
            return []
        width = span / count
        last = math.floor(now / width)
        first = last - count + 1
        position = self._find(first * width)
        held_time, held = self._at(position - 1) if position else (-math.inf, None)
        result: list[float | None] = []
        for column in range(first, last + 1):
            begin, end = column * width, (column + 1) * width
            inside: list[float] = []
            empty = True
            while position < self._count:
                time, value = self._at(position)
                if time >= end:
                    break
                held_time, held, empty = time, value, False
                if value is not None:
                    inside.append(value)
                position += 1
            if inside:
                result.append(_aggregate(inside, how))
            elif empty and held is not None and begin - held_time <= self.hold:
                result.append(held)
            else:
                result.append(None)
        return result

    def _at(self, position: int) -> tuple[float, float | None]:
        slot = (self._start + position) % len(self._times)
        value = self._values[slot]
        return self._times[slot], None if math.isnan(value) else value

    def _find(self, time: float) -> int:
        """Position of the first value not before ``time``."""
        low, high = 0, self._count
        while low < high:
            middle = (low + high) // 2
            if self._times[(self._start + middle) % len(self._times)] < time:
                low = middle + 1
            else:
                high = middle
        return low


class History:
    """Series by name and marks, on one time axis."""

    def __init__(self, capacity: int = CAPACITY, hold: float = 3.0) -> None:
        self._capacity = capacity
        self._hold = hold
        self._series: dict[str, Series] = {}
        self._marks: deque[Mark] = deque(maxlen=512)

    def add(self, name: str, time: float, value: float | None) -> None:
        """Append a value to the series of that name, which begins with its first value."""
        self.series(name).add(time, value)

    def series(self, name: str) -> Series:
        """The series of that name, empty where there was none."""
        if name not in self._series:
            self._series[name] = Series(self._capacity, self._hold)
        return self._series[name]

    def mark(self, time: float, event: Event, note: str = "") -> None:
        """Note that something happened."""
        self._marks.append(Mark(time, event, note))

    def marks(self, since: float = -math.inf) -> tuple[Mark, ...]:
        """What happened from ``since`` on, oldest first."""
        return tuple(mark for mark in self._marks if mark.time >= since)

    def mark_columns(self, count: int, span: float, now: float) -> list[Mark | None]:
        """The newest mark of each column that ``Series.columns`` would give."""
        result: list[Mark | None] = [None] * max(0, count)
        if count < 1 or span <= 0:
            return result
        width = span / count
        first = math.floor(now / width) - count + 1
        for mark in self._marks:
            column = math.floor(mark.time / width) - first
            if 0 <= column < count:
                result[column] = mark
        return result


def _aggregate(values: list[float], how: Aggregate) -> float:
    if how == "max":
        return max(values)
    return values[-1] if how == "last" else sum(values) / len(values)
