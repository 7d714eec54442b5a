"""How many threads llama.cpp should use here."""

import os
from pathlib import Path

import psutil


def usable_cores() -> int:
    """Cores this process may use: affinity and the container's CPU quota counted in; at least 1."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = os.cpu_count() or 1
    quota = _quota()
    return max(1, min(cores, int(quota)) if quota else cores)


def default_threads() -> int:
    """Physical cores, one left for the terminal where there is more than one.

    llama.cpp's threads spin at barriers: with a thread on every core, whatever else runs delays every token.
    """
    physical = psutil.cpu_count(logical=False) or usable_cores()
    usable = usable_cores()
    return max(1, min(physical, usable - 1 if usable > 1 else 1))


def _quota() -> float | None:
    """Cores of the cgroup's CPU quota (v2), or ``None``."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return None if limit == "max" else max(1.0, int(limit) / int(period))
    except (OSError, ValueError):
        return None
