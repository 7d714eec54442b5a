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
        self._times = array("d", [0.0]) * capacity
        self._values = array("d", [0.0]) * capacity
        self._start = 0
        self._count = 0
        self.hold = hold
        self.known = False
        """Whether any value ever was."""

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
        self.known = self.known or value is not None
        if self._count < capacity:
            self._count += 1
        else:
            self._start = (self._start + 1) % capacity

    def clear(self) -> None:
        """Forget everything."""
        self._start = self._count = 0
        self.known = False

    def at(self, time: float) -> float | None:
        """The value at a time, on the straight line between its neighbours; ``None`` outside or beside a gap."""
        position = self._find(time)
        if position >= self._count:
            return None
        after_time, after = self._at(position)
        if after_time == time or not position:
            return after if after_time == time else None
        before_time, before = self._at(position - 1)
        if after is None or before is None:
            return None
        return before + (after - before) * (time - before_time) / (after_time - before_time)

    def last_at(self, time: float) -> float | None:
        """The newest value that was known at a time, if it was not older than ``hold``."""
        position = self._find(math.nextafter(time, math.inf))
        if not position:
            return None
        at, value = self._at(position - 1)
        return value if time - at <= self.hold else None

    def broken(self, begin: float, end: float) -> bool:
        """Whether there is a gap between two times."""
        return any(
            self._at(position)[1] is None for position in range(self._find(begin), min(self._find(end), self._count))
        )

    def dump(self) -> tuple[bytes, bytes]:
        """Times and values as doubles; a gap is NaN."""
        order = [(self._start + position) % len(self._times) for position in range(self._count)]
        times, values = array("d", (self._times[slot] for slot in order)), array("d", (self._values[i] for i in order))
        return times.tobytes(), values.tobytes()

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
        return self._at(self._count - 1)[1] if self._count else None

    def peak(self, since: float = -math.inf) -> float | None:
        """The greatest known value from ``since`` on."""
        known = (
            value for position in range(self._find(since), self._count) if (value := self._at(position)[1]) is not None
        )
        return max(known, default=None)

    def extent(self, begin: float, end: float) -> tuple[float, float] | None:
        """The least and the greatest value that was true between two times; ``None``: none is known."""
        held = self.last_at(begin)
        known = [] if held is None else [held]
        for position in range(self._find(begin), self._find(math.nextafter(end, math.inf))):
            value = self._at(position)[1]
            if value is not None:
                known.append(value)
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
        self._drawn: dict[tuple[str, int, float, Aggregate], tuple[int, list[float | None]]] = {}
        """Columns as they were drawn last, with the number of the newest."""
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
        if old is None or not first <= old[0] <= last:
            values = series.between(first, last, width, how)
        else:
            # The newest column of then may have got more values since, and one may be still true in it.
            kept = old[1][len(old[1]) - (old[0] - first + 1) : -1]
            values = [*kept, *series.between(first + len(kept), last, width, how)]
        if len(self._drawn) >= DRAWN and key not in self._drawn:
            self._drawn.clear()
        self._drawn[key] = (last, values)
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


def _aggregate(values: list[float], how: Aggregate) -> float:
    if how == "max":
        return max(values)
    return values[-1] if how == "last" else sum(values) / len(values)
