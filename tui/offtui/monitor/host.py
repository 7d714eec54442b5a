"""RAM, swap and processors of this machine, and the share one process has of them, through psutil."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from offtui.memory import memory_limit
from offtui.monitor.sample import HostSample, ProcessSample

SHORTEST = 0.04
"""Seconds over which a share of a processor means something: the kernel counts in hundredths."""

_IDLE = ("idle", "iowait")
_COUNTED_TWICE = ("guest", "guest_nice")
"""Linux counts them in ``user`` and ``nice`` already."""


class HostReader:
    """Reads the host again and again; the CPU's share is that of the time between two reads."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._times: list[tuple[float, float]] = []
        self._shares: tuple[float, ...] = ()

    def read(self) -> HostSample:
        """The host now.

        Raises:
            OSError: the operating system refuses its figures.
        """
        total, available, limited, swap_total, swap_used = self._memory()
        per_core = self._per_core()
        try:
            load1 = psutil.getloadavg()[0]
        except OSError:
            load1 = None
        return HostSample(
            ram_total=total,
            ram_used=total - available,
            ram_available=available,
            swap_total=swap_total,
            swap_used=swap_used,
            cpu=sum(per_core) / len(per_core) if per_core else None,
            per_core=per_core,
            load1=load1,
            ram_limited=limited,
        )

    def _memory(self) -> tuple[int, int, bool, int | None, int | None]:
        ram = psutil.virtual_memory()
        total, available = int(ram.total), int(ram.available)
        swap_total, swap_used = _swap()
        limit = memory_limit(self._root)
        if limit is None or limit.total >= total:
            return total, min(available, total), False, swap_total, swap_used
        if swap_total is not None and limit.swap_total is not None and limit.swap_total < swap_total:
            swap_total, swap_used = limit.swap_total, limit.swap_used
        return limit.total, min(available, limit.available), True, swap_total, swap_used

    def _per_core(self) -> tuple[float, ...]:
        """Busy share of each core since the last call; empty in the first and where a core came or went."""
        before, now = self._times, [_busy_and_total(core) for core in psutil.cpu_times(percpu=True)]
        if len(before) != len(now):
            self._times, self._shares = now, ()
        elif all(total - total_before >= SHORTEST for (_, total_before), (_, total) in zip(before, now, strict=True)):
            self._times = now
            self._shares = tuple(
                min(1.0, max(0.0, (busy - busy_before) / (total - total_before)))
                for (busy_before, total_before), (busy, total) in zip(before, now, strict=True)
            )
        return self._shares


class ProcessReader:
    """Reads one process after another: whichever has the pid asked for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._process: psutil.Process | None = None
        self._last: tuple[float, float] | None = None
        """When it was read, and the CPU seconds it had used by then."""
        self._share: float | None = None

    def read(self, pid: int | None) -> ProcessSample | None:
        """The process now; ``None`` where there is none, or no longer."""
        if pid is None:
            self._process = None
            return None
        try:
            process = self._process
            if process is None or process.pid != pid or not process.is_running():
                process, self._last, self._share = psutil.Process(pid), None, None
                self._process = process
            with process.oneshot():
                if process.status() == psutil.STATUS_ZOMBIE:
                    return None
                rss = int(process.memory_info().rss)
                times = process.cpu_times()
        except psutil.NoSuchProcess:
            self._process = None
            return None
        except psutil.AccessDenied:
            return ProcessSample(pid)
        now, used = self._clock(), times.user + times.system
        if self._last is None:
            self._last = now, used
        elif now - self._last[0] >= SHORTEST:
            self._share = max(0.0, (used - self._last[1]) / (now - self._last[0]))
            self._last = now, used
        return ProcessSample(pid, rss, self._share)


def _swap() -> tuple[int | None, int | None]:
    try:
        swap = psutil.swap_memory()
    except (OSError, RuntimeError):  # psutil's way of saying that the kernel has no swap counters
        return None, None
    return int(swap.total), int(swap.used)


def _busy_and_total(times: Any) -> tuple[float, float]:
    """Seconds of one core since boot: busy, and all. ``times`` is a named tuple whose fields differ by platform."""
    fields: dict[str, float] = times._asdict()
    total = sum(seconds for name, seconds in fields.items() if name not in _COUNTED_TWICE)
    return total - sum(fields.get(name, 0.0) for name in _IDLE), total
