"""The RAM this process may use: the machine's, within the limits of control groups, versions 1 and 2, read as files."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

_UNLIMITED = 2**60
"""Bytes; version 1 writes a number near 2**63 where there is no limit."""


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
    limits = [limit for folder, version in _groups(root) if (limit := _read(folder, version)) is not None]
    if not limits:
        return None
    total = min(limit.total for limit in limits)
    tightest = min(limits, key=lambda limit: limit.available)
    return msgspec.structs.replace(tightest, total=total, available=min(tightest.available, total))


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
    if version == 2:
        total, used = _number(folder / "memory.max"), _number(folder / "memory.current")
        swap_total, swap_used = _number(folder / "memory.swap.max"), _number(folder / "memory.swap.current")
    else:
        total, used = _number(folder / "memory.limit_in_bytes"), _number(folder / "memory.usage_in_bytes")
        both, both_used = (
            _number(folder / "memory.memsw.limit_in_bytes"),
            _number(folder / "memory.memsw.usage_in_bytes"),
        )
        swap_total = max(0, both - total) if both is not None and total is not None else None
        swap_used = max(0, both_used - used) if both_used is not None and used is not None else None
    if total is None or used is None:
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
