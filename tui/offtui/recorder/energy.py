"""Joules that the GPUs took between two moments: by their energy counters, else by their power over time."""

from collections.abc import Iterable

from offtui.monitor.history import CAPACITY, Series
from offtui.monitor.sample import GpuSample, Sample

LONGEST = 10.0
"""Seconds between two samples over which power is taken to have been the mean of both."""


class Energy:
    """Adds up, for each GPU, what it took since it was first seen; idle or not."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._sums: dict[str, Series] = {}
        self._before: dict[str, tuple[float, GpuSample]] = {}

    def observe(self, sample: Sample) -> None:
        """Add what was used since the sample before; where that is not known, the sum is broken off there."""
        for gpu in sample.gpus:
            key = key_of(gpu)
            before = self._before.get(key)
            self._before[key] = (sample.time, gpu)
            series = self._sums.setdefault(key, Series(self._capacity))
            if before is None:
                series.add(sample.time, 0.0)
                continue
            joules = _between(*before, sample.time, gpu)
            if joules is None:
                series.add(sample.time, None)
                continue
            newest = series.newest()
            if newest is None:  # it begins anew after a gap, from the sample before on
                series.add(before[0], 0.0)
            series.add(sample.time, (newest or 0.0) + joules)

    def used(self, keys: Iterable[str], begin: float, end: float) -> float | None:
        """Joules of those GPUs from ``begin`` to ``end``; ``None`` where any of it is unknown, or yet to come."""
        total = 0.0
        for key in keys:
            series = self._sums.get(key)
            first, last = (series.at(begin), series.at(end)) if series is not None else (None, None)
            if first is None or last is None or last < first or (series is not None and series.broken(begin, end)):
                return None
            total += last - first
        return total


def key_of(gpu: GpuSample) -> str:
    """What tells a GPU from the others, whatever its place in the list."""
    return gpu.uuid or f"{gpu.index} {gpu.name}"


def _between(before: float, then: GpuSample, now: float, gpu: GpuSample) -> float | None:
    if then.energy_j is not None and gpu.energy_j is not None and gpu.energy_j >= then.energy_j:
        return gpu.energy_j - then.energy_j
    seconds = now - before
    if then.power_w is None or gpu.power_w is None or not 0 <= seconds <= LONGEST:
        return None
    return (then.power_w + gpu.power_w) / 2 * seconds
