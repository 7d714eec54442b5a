"""RAM, swap and processors of this machine, and the share one process has of them, through psutil."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from offtui.memory import LimitReader, machine_memory
from offtui.monitor.sample import HostSample, ProcessSample

SHORTEST = 0.04
"""Seconds over which a share of a processor means something: the kernel counts in hundredths."""

_LOOPBACK = ("lo", "lo0")
_IDLE = ("idle", "iowait")
_COUNTED_TWICE = ("guest", "guest_nice")
"""Linux counts them in ``user`` and ``nice`` already."""


class HostReader:
    """Reads the host again and again; the CPU's share is that of the time between two reads."""

    def __init__(self, root: Path = Path("/"), clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._limit = LimitReader(root, clock)
        self._disk, self._net = Flow(_disk_bytes, clock), Flow(_net_bytes, clock)
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
        disk_read, disk_write = self._disk.read()
        net_in, net_out = self._net.read()
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
            disk_read=disk_read,
            disk_write=disk_write,
            net_in=net_in,
            net_out=net_out,
        )

    def _memory(self) -> tuple[int, int, bool, int | None, int | None]:
        total, available, swap_total, swap_used = machine_memory(self._root)
        limit = self._limit.read()
        if limit is None or limit.total >= total:
            return total, min(available, total), False, swap_total, swap_used
        if swap_total is not None and limit.swap_total is not None and limit.swap_total < swap_total:
            swap_total, swap_used = limit.swap_total, limit.swap_used
        return limit.total, min(available, limit.available), True, swap_total, swap_used

    def _per_core(self) -> tuple[float, ...]:
        """Busy share of each core since the last call; empty in the first and where a core came, went or began anew."""
        before, now = self._times, [_busy_and_total(core) for core in psutil.cpu_times(percpu=True)]
        if len(before) != len(now) or any(after < then for (_, then), (_, after) in zip(before, now, strict=True)):
            self._times, self._shares = now, ()
        elif all(total - total_before >= SHORTEST for (_, total_before), (_, total) in zip(before, now, strict=True)):
            self._times = now
            self._shares = tuple(
                min(1.0, max(0.0, (busy - busy_before) / (total - total_before)))
                for (busy_before, total_before), (busy, total) in zip(before, now, strict=True)
            )
        return self._shares


class Flow:
    """Two counters of bytes as rates over the time between two reads."""

    def __init__(self, count: Callable[[], tuple[int, int] | None], clock: Callable[[], float]) -> None:
        self._count = count
        self._clock = clock
        self._last: tuple[float, tuple[int, int]] | None = None
        self._rates: tuple[float | None, float | None] = (None, None)

    def read(self) -> tuple[float | None, float | None]:
        """Bytes per second; unknown in the first read, and where a counter began anew."""
        now, counts, last = self._clock(), self._count(), self._last
        if counts is None:
            self._last, self._rates = None, (None, None)
        elif last is None:
            self._last = now, counts
        elif (seconds := now - last[0]) >= SHORTEST:
            self._last = now, counts
            first, second = (after - before for before, after in zip(last[1], counts, strict=True))
            self._rates = (None if first < 0 else first / seconds, None if second < 0 else second / seconds)
        return self._rates


def _disk_bytes() -> tuple[int, int] | None:
    try:
        counters = psutil.disk_io_counters(nowrap=False)
    except (OSError, RuntimeError, ValueError):  # a container may hide the disks, or show them in another form
        return None
    return None if counters is None else (counters.read_bytes, counters.write_bytes)


def _net_bytes() -> tuple[int, int] | None:
    """Of every interface but those that lead nowhere."""
    try:
        counters = psutil.net_io_counters(pernic=True, nowrap=False)
    except (OSError, RuntimeError):
        return None
    outside = [each for name, each in counters.items() if name not in _LOOPBACK]
    return sum(each.bytes_recv for each in outside), sum(each.bytes_sent for each in outside)


class ProcessReader:
    """Reads one process after another: whichever has the pid asked for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._process: psutil.Process | None = None
        self._last: tuple[float, float, int | None] | None = None
        """When it was read, and the CPU seconds and the bytes it had used and read by then."""
        self._share: float | None = None
        self._read: float | None = None

    def read(self, pid: int | None) -> ProcessSample | None:
        """The process now; ``None`` where there is none, or no longer."""
        if pid is None:
            self._process = None
            return None
        try:
            process = self._process
            if process is None or process.pid != pid or not process.is_running():
                process, self._last = psutil.Process(pid), None
                self._share, self._read = None, None
                self._process = process
            with process.oneshot():
                if process.status() == psutil.STATUS_ZOMBIE:
                    return None
                memory = process.memory_info()
                rss, shared = int(memory.rss), getattr(memory, "shared", None)
                read = _read_bytes(process)
                times = process.cpu_times()
        except psutil.NoSuchProcess:
            self._process = None
            return None
        except psutil.AccessDenied:
            return ProcessSample(pid)
        now, used = self._clock(), times.user + times.system
        if self._last is None:
            self._last = now, used, read
        elif now - self._last[0] >= SHORTEST:
            at, used_before, read_before = self._last
            self._share = max(0.0, (used - used_before) / (now - at))
            known = read is not None and read_before is not None
            self._read = max(0, (read or 0) - (read_before or 0)) / (now - at) if known else None
            self._last = now, used, read
        return ProcessSample(pid, rss, self._share, shared, self._read)


def _read_bytes(process: psutil.Process) -> int | None:
    """Bytes that the disks were read for it; not every system tells."""
    try:
        return int(process.io_counters().read_bytes) if hasattr(process, "io_counters") else None
    except (psutil.AccessDenied, OSError, NotImplementedError):
        return None


def _busy_and_total(times: Any) -> tuple[float, float]:
    """Seconds of one core since boot: busy, and all. ``times`` is a named tuple whose fields differ by platform."""
    fields: dict[str, float] = times._asdict()
    total = sum(seconds for name, seconds in fields.items() if name not in _COUNTED_TWICE)
    return total - sum(fields.get(name, 0.0) for name in _IDLE), total
