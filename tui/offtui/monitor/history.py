"""What was measured over time: rings of values, marks of what happened, resampled to columns. Pure and fast."""

import enum
import math
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator
from typing import Literal

import msgspec

from offtui.monitor.graph import render as render
from offtui.monitor.graph import samples_per_column as samples_per_column

Aggregate = Literal["mean", "max", "last"]

CAPACITY = 7200
"""Values a series keeps: two hours at one a second."""
SLACK = 4
"""That part of the capacity may be kept too long."""
CLOCK_STEP = 0.5
"""Seconds by which the wall clock must have moved against the axis to be noted anew."""
DRAWN = 32
"""Sets of columns that are kept, of all series and widths together."""
CLOCKS = 64
"""Such moves that are kept."""


class Event(enum.StrEnum):
    """What can happen that explains a bend in a line."""

    LOAD = "load"
    """A load begins; so does ``RELOAD``, of the model that was up, with other layers for instance."""
    RELOAD = "reload"
    LOADED = "loaded"
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
        self._capacity = capacity
        self._times, self._values = array("d"), array("d")
        """In order, with some old ones at the beginning that no longer count, so that few go at a time."""
        self._start = 0
        self.hold = hold
        self.known = False
        """Whether any value ever was."""

    def __len__(self) -> int:
        return len(self._times) - self._start

    def __iter__(self) -> Iterator[tuple[float, float | None]]:
        """Times and values, oldest first."""
        for position in range(self._start, len(self._times)):
            yield self._at(position)

    def add(self, time: float, value: float | None) -> None:
        """Append a value; a time before the newest counts as that one's."""
        self._times.append(max(time, self._times[-1]) if self._times else time)
        self._values.append(math.nan if value is None else value)
        self.known = self.known or value is not None
        self._start = max(len(self._times) - self._capacity, 0)
        if self._start > self._capacity // SLACK:
            del self._times[: self._start]
            del self._values[: self._start]
            self._start = 0

    def clear(self) -> None:
        """Forget everything."""
        self._times, self._values, self._start = array("d"), array("d"), 0
        self.known = False

    def at(self, time: float) -> float | None:
        """The value at a time, on the straight line between its neighbours; ``None`` outside or beside a gap."""
        position = self._find(time)
        if position >= len(self._times):
            return None
        after_time, after = self._at(position)
        if after_time == time or position == self._start:
            return after if after_time == time else None
        before_time, before = self._at(position - 1)
        if after is None or before is None:
            return None
        return before + (after - before) * (time - before_time) / (after_time - before_time)

    def last_at(self, time: float) -> float | None:
        """The newest value that was known at a time, if it was not older than ``hold``."""
        position = bisect_right(self._times, time, self._start)
        if position == self._start:
            return None
        at, value = self._at(position - 1)
        return value if time - at <= self.hold else None

    def broken(self, begin: float, end: float) -> bool:
        """Whether there is a gap between two times."""
        return any(math.isnan(value) for value in self._values[self._find(begin) : self._find(end)])

    def dump(self) -> tuple[bytes, bytes]:
        """Times and values as doubles; a gap is NaN."""
        return self._times[self._start :].tobytes(), self._values[self._start :].tobytes()

    def restore(self, times: bytes, values: bytes) -> None:
        """Become what ``dump`` gave.

        Raises:
            ValueError: that is not whole doubles.
        """
        self.clear()
        all_times, all_values = array("d"), array("d")
        all_times.frombytes(times)
        all_values.frombytes(values)
        for time, value in zip(all_times, all_values, strict=True):
            self.add(time, None if math.isnan(value) else value)

    def newest(self) -> float | None:
        """The value added last."""
        return self._at(len(self._times) - 1)[1] if self._times else None

    def newest_time(self) -> float | None:
        """When the value was added last."""
        return self._times[-1] if self._times else None

    def peak(self, since: float = -math.inf) -> float | None:
        """The greatest known value from ``since`` on."""
        return max(_known(self._values[self._find(since) :]), default=None)

    def extent(self, begin: float, end: float) -> tuple[float, float] | None:
        """The least and the greatest value that was true between two times; ``None``: none is known."""
        held = self.last_at(begin)
        known = [] if held is None else [held]
        known += _known(self._values[self._find(begin) : bisect_right(self._times, end, self._start)])
        return (min(known), max(known)) if known else None

    def columns(self, count: int, span: float, now: float, how: Aggregate = "mean") -> list[float | None]:
        """The last ``span`` seconds as ``count`` columns of equal time; the right one holds ``now``.

        Columns lie on multiples of their width, so that a value does not wander between two of them as time goes on.
        A column without a value of its own repeats the one before, for ``hold`` seconds at most; else it is ``None``.
        """
        if count < 1 or span <= 0:
            return []
        width = span / count
        last = math.floor(now / width)
        return self.between(last - count + 1, last, width, how)

    def between(self, first: int, last: int, width: float, how: Aggregate = "mean") -> list[float | None]:
        """The columns number ``first`` to ``last``, of which number 0 begins at time 0; see ``columns``."""
        times, values, hold = self._times, self._values, self.hold
        position = self._find(first * width)
        result: list[float | None] = []
        for column in range(first, last + 1):
            past = bisect_left(times, (column + 1) * width, position)
            inside = values[position:past]
            if len(inside) == 1:
                result.append(inside[0] if inside[0] == inside[0] else None)
            elif inside:
                result.append(_aggregate(inside, how))
            elif position > self._start and column * width - times[position - 1] <= hold:
                result.append(self._at(position - 1)[1])
            else:
                result.append(None)
            position = past
        return result

    def _at(self, position: int) -> tuple[float, float | None]:
        value = self._values[position]
        return self._times[position], None if math.isnan(value) else value

    def _find(self, time: float) -> int:
        """Place of the first value not before ``time``."""
        return bisect_left(self._times, time, self._start)


class History:
    """Series by name and marks, on one time axis."""

    def __init__(self, capacity: int = CAPACITY, hold: float = 3.0) -> None:
        self._capacity = capacity
        self._hold = hold
        self._series: dict[str, Series] = {}
        self._marks: deque[Mark] = deque(maxlen=512)
        self._drawn: dict[tuple[str, int, float, Aggregate], tuple[int, int, list[float | None]]] = {}
        """Columns as they were drawn last, with the number of the newest and of the first that could still change."""
        self._clock: list[tuple[float, float]] = []
        """Times of this axis with the seconds since 1970 then, whenever the distance of both changed."""

    def add(self, name: str, time: float, value: float | None) -> None:
        """Append a value to the series of that name, which begins with its first value."""
        self.series(name).add(time, value)

    def series(self, name: str) -> Series:
        """The series of that name, empty where there was none."""
        if name not in self._series:
            self._series[name] = Series(self._capacity, self._hold)
        return self._series[name]

    def all_series(self) -> dict[str, Series]:
        """Every series by name."""
        return dict(self._series)

    def set_clock(self, time: float, wall: float) -> None:
        """Say that it was ``wall`` seconds since 1970 at ``time``: a machine that slept, or was set, jumps."""
        if not self._clock or abs(wall - time - (self._clock[-1][1] - self._clock[-1][0])) > CLOCK_STEP:
            self._clock.append((time, wall))
            del self._clock[:-CLOCKS]

    def clock(self) -> tuple[tuple[float, float], ...]:
        """What ``set_clock`` kept, the oldest first."""
        return tuple(self._clock)

    def wall(self, time: float) -> float | None:
        """Seconds since 1970 at a time of the axis; ``None`` where that was never said."""
        if not self._clock:
            return None
        at, wall = next((pair for pair in reversed(self._clock) if pair[0] <= time), self._clock[0])
        return wall + time - at

    def mark(self, time: float, event: Event, note: str = "") -> Mark:
        """Note that something happened."""
        mark = Mark(time, event, note)
        self._marks.append(mark)
        return mark

    def marks(self, since: float = -math.inf) -> tuple[Mark, ...]:
        """What happened from ``since`` on, oldest first."""
        return tuple(mark for mark in self._marks if mark.time >= since)

    def columns(self, name: str, count: int, span: float, now: float, how: Aggregate = "mean") -> list[float | None]:
        """As ``Series.columns``, where only those are made anew that can have changed since the last time."""
        series = self.series(name)
        width = span / count if count else 0.0
        if count < 1 or width <= 0:
            return []
        last = math.floor(now / width)
        first = last - count + 1
        key: tuple[str, int, float, Aggregate] = (name, count, width, how)
        old = self._drawn.get(key)
        kept: list[float | None] = []
        if old is not None and first <= old[0] <= last:
            gone = first - (old[0] - count + 1)
            kept = old[2][gone : max(count - 1 - old[0] + old[1], gone)]
        values = [*kept, *series.between(first + len(kept), last, width, how)]
        if len(self._drawn) >= DRAWN and key not in self._drawn:
            self._drawn.clear()
        # Whatever comes later comes into the column of the newest value or one after it.
        newest = series.newest_time()
        self._drawn[key] = (last, first if newest is None else min(math.floor(newest / width), last), values)
        return values

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


def _known(values: "array[float]") -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _aggregate(values: "array[float]", how: Aggregate) -> float | None:
    """What stands for several values; ``None`` where none of them is known."""
    if how == "mean":
        mean = sum(values) / len(values)
        if not math.isnan(mean):
            return mean
    known = _known(values)
    if not known:
        return None
    return max(known) if how == "max" else known[-1] if how == "last" else sum(known) / len(known)
