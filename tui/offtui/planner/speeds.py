"""Speeds that were measured here, as the plan's arithmetic takes them."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence

from offtui.plan.settings import Settings
from offtui.plan.speed import Measurement, Rate, work
from offtui.plan.table import Table
from offtui.store.measurements import Point

NEWEST = 5
"""Points of one layer count that count: the machine may have changed since older ones."""


def by_layers(points: Sequence[Point]) -> Mapping[int, tuple[Point, ...]]:
    """The newest points of each layer count, oldest first."""
    found: defaultdict[int, list[Point]] = defaultdict(list)
    for point in points:
        if point.tps > 0:
            found[point.n_gpu_layers].append(point)
    return {layers: tuple(entries[-NEWEST:]) for layers, entries in found.items()}


def measurements(measured: Mapping[int, Sequence[Point]], rows: Table, settings: Settings) -> tuple[Measurement, ...]:
    """One per layer count, whatever the number of its answers: they share their errors."""
    found: list[Measurement] = []
    for layers, points in measured.items():
        if not 0 <= layers < len(rows.rows):
            continue
        n_past = round(statistics.fmean(point.n_past for point in points))
        found.append(Measurement(work(rows.rows[layers], rows, settings, n_past), _median(points)))
    return tuple(found)


def measured_rate(points: Sequence[Point]) -> Rate:
    """The speed of one layer count: the middle one, and the slowest and fastest."""
    speeds = [point.tps for point in points]
    return Rate(min(speeds), _median(points), max(speeds), "measured")


def _median(points: Sequence[Point]) -> float:
    return statistics.median(point.tps for point in points)
