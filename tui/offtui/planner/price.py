"""How long a load will take, from loads that were timed here: pure arithmetic."""

from collections import defaultdict
from collections.abc import Sequence

from offtui.store.remembered import LoadTime

START = 0.2
"""Seconds of a load that depend on nothing."""
READ = 1e9
"""Bytes per second at which a file is read where nothing is known."""
UPLOAD = 2e9
"""Bytes per second at which weights go to a device where nothing is known."""
NEWEST = 3
"""Loads of one layer count that count: the first one may have read from a cold disk."""


def load_seconds(
    timed: Sequence[LoadTime], n_gpu_layers: int, vram: int, file_bytes: int, read_rate: float | None = None
) -> float:
    """Seconds that a load will take, about.

    A load takes as long as its file and what goes to the devices; so over the layer counts it is a line in the bytes
    on devices, through what was timed.

    Args:
        timed: loads of this model, oldest first.
        n_gpu_layers: wanted.
        vram: bytes that it puts on devices.
        file_bytes: of the model.
        read_rate: bytes of a file per second of its load, of other models; ``None`` unknown.
    """
    found: defaultdict[int, list[LoadTime]] = defaultdict(list)
    for load in timed:
        found[load.n_gpu_layers].append(load)
    points = {
        layers: (loads[-1].vram, sorted(load.seconds for load in loads[-NEWEST:])[(min(len(loads), NEWEST) - 1) // 2])
        for layers, loads in found.items()
    }
    if n_gpu_layers in points:
        return points[n_gpu_layers][1]
    if not points:
        return START + file_bytes / (read_rate or READ) + vram / UPLOAD
    middle = sum(size for size, _ in points.values()) / len(points)
    mean = sum(seconds for _, seconds in points.values()) / len(points)
    spread = sum((size - middle) ** 2 for size, _ in points.values())
    if spread:
        slope = sum((size - middle) * (seconds - mean) for size, seconds in points.values()) / spread
    else:
        slope = max(mean - START, 0.0) / middle if middle else 1 / UPLOAD
    return max(mean + max(slope, 0.0) * (vram - middle), min(seconds for _, seconds in points.values()) / 2)
