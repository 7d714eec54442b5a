"""The RAM this process may use: the machine's, within the limits of control groups, versions 1 and 2, read as files."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil

_UNLIMITED = 2**60
"""Bytes; version 1 writes a number near 2**63 where there is no limit."""
_LIMITS = 10.0
"""Seconds between two looks at which groups there are and which of them have a limit."""
_MEMINFO = re.compile(rb"^(MemTotal|MemAvailable|SwapTotal|SwapFree):\s*(\d+) kB$", re.MULTILINE)


class MemoryLimit(msgspec.Struct, frozen=True):
    """The tightest limit that holds for this process. Bytes."""

    total: int
    available: int
    """What may still be used: the page cache of the group can be given back and counts as available."""
    swap_total: int | None = None
    """``None`` where swap has no limit of its own."""
    swap_used: int | None = None


def ram(root: Path = Path("/")) -> tuple[int, int]:
    """RAM in bytes, total and available, within a container's limit.

    Args:
        root: where ``proc`` and ``sys`` lie.
    """
    machine = psutil.virtual_memory()
    limit = memory_limit(root)
    if limit is None or limit.total >= machine.total:
        return int(machine.total), int(machine.available)
    return limit.total, min(int(machine.available), limit.available)


def ram_available() -> int:
    """Bytes of RAM that may still be used."""
    return ram()[1]


def memory_limit(root: Path = Path("/")) -> MemoryLimit | None:
    """The limit of this process's control group or of one above it, whichever leaves least; ``None`` without any.

    Args:
        root: where ``proc`` and ``sys`` lie.
    """
    return LimitReader(root).read()


class LimitReader:
    """Reads the limit again and again; groups that had none are asked again only now and then."""

    def __init__(self, root: Path = Path("/"), clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._limited: list[tuple[Path, int]] = []
        self._due = float("-inf")

    def read(self) -> MemoryLimit | None:
        """As ``memory_limit``."""
        now, asked = self._clock(), self._limited
        if now >= self._due:
            self._due, asked = now + _LIMITS, list(_groups(self._root))
        found = [(group, limit) for group in asked if (limit := _read(*group)) is not None]
        self._limited = [group for group, _ in found]
        if not found:
            return None
        total = min(limit.total for _, limit in found)
        tightest = min((limit for _, limit in found), key=lambda limit: limit.available)
        return msgspec.structs.replace(tightest, total=total, available=min(tightest.available, total))


def machine_memory(root: Path = Path("/")) -> tuple[int, int, int | None, int | None]:
    """Bytes of the machine, whatever limits there are: RAM, what of it is available, swap, what of it is used.

    Raises:
        OSError: the operating system refuses its figures.
    """
    try:
        with (root / "proc/meminfo").open("rb", buffering=0) as file:
            said = {name: int(kib) * 1024 for name, kib in _MEMINFO.findall(file.read(8192))}
        total, available = said[b"MemTotal"], said[b"MemAvailable"]
        if 0 < available <= total:  # in some containers the one is the host's and the other is not
            return total, available, said[b"SwapTotal"], said[b"SwapTotal"] - said[b"SwapFree"]
    except (OSError, KeyError):
        pass
    ram = psutil.virtual_memory()
    try:
        swap = psutil.swap_memory()
    except (OSError, RuntimeError):  # psutil's way of saying that the kernel has no swap counters
        return int(ram.total), int(ram.available), None, None
    return int(ram.total), int(ram.available), int(swap.total), int(swap.used)


def _groups(root: Path) -> Iterator[tuple[Path, int]]:
    """Folders of the memory controller, from this process's own group up to the mount's root."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            mount, version = root / "sys/fs/cgroup", 2
        elif "memory" in controllers.split(","):
            mount, version = root / "sys/fs/cgroup/memory", 1
        else:
            continue
        # In a container the path may be the host's and not exist here; then the mount's root is the container's group.
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        for depth in range(len(parts), -1, -1):
            yield mount.joinpath(*parts[:depth]), version


def _read(folder: Path, version: int) -> MemoryLimit | None:
    total = _number(folder / ("memory.max" if version == 2 else "memory.limit_in_bytes"))
    if total is None:
        return None
    if version == 2:
        used = _number(folder / "memory.current")
        swap_total, swap_used = _number(folder / "memory.swap.max"), _number(folder / "memory.swap.current")
    else:
        used = _number(folder / "memory.usage_in_bytes")
        both, both_used = (
            _number(folder / "memory.memsw.limit_in_bytes"),
            _number(folder / "memory.memsw.usage_in_bytes"),
        )
        swap_total = max(0, both - total) if both is not None else None
        swap_used = max(0, both_used - used) if both_used is not None and used is not None else None
    if used is None:
        return None
    held = max(0, used - _page_cache(folder / "memory.stat", version))
    return MemoryLimit(total, max(0, total - held), swap_total, swap_used if swap_total is not None else None)


def _page_cache(stat: Path, version: int) -> int:
    """Bytes of cached files that the kernel would give back; locked pages are not among them."""
    prefix = "total_" if version == 1 else ""
    wanted = (f"{prefix}inactive_file", f"{prefix}active_file")
    try:
        fields = dict(line.split(" ", 1) for line in stat.read_text().splitlines() if " " in line)
        return sum(int(fields.get(name, "0")) for name in wanted)
    except (OSError, ValueError):
        return 0


def _number(file: Path) -> int | None:
    """The number in a file; ``None`` where there is no file, no number ("max"), or one that means unlimited."""
    try:
        value = int(file.read_text())
    except (OSError, ValueError):
        return None
    return value if 0 <= value < _UNLIMITED else None
