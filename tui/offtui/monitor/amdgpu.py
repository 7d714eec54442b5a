"""AMD GPUs through the files of the amdgpu kernel driver; no library needed."""

import re
import time
from collections.abc import Callable
from pathlib import Path

from offtui.monitor.probe import Reading
from offtui.monitor.sample import GpuSample
from offtui.text import clean_line

_CARD = re.compile(r"card(\d+)")
_PLACE = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_AMD = "0x1002"
RETRY_ABSENT = 5.0
"""Seconds before cards are looked for again where there is none."""


class AmdGpu:
    """Reads all AMD GPUs; a file the driver lacks costs only its own field.

    Args:
        sysfs: where the kernel's files lie.
    """

    def __init__(self, sysfs: Path = Path("/sys"), clock: Callable[[], float] = time.monotonic) -> None:
        self._drm = sysfs / "class/drm"
        self._clock = clock
        self._again = float("-inf")
        """Cards are not to be looked for before."""

    def is_due(self) -> bool:
        """Whether there are cards, or may be some by now. From any thread."""
        return self._clock() >= self._again

    def read(self) -> Reading:
        """Every GPU now; none where the driver is not there."""
        devices = self._devices()
        self._again = float("-inf") if devices else self._clock() + RETRY_ABSENT
        return Reading(tuple(_sample(index, device) for index, device in enumerate(devices)))

    def _devices(self) -> list[Path]:
        try:
            cards = [(int(match[1]), path) for path in self._drm.iterdir() if (match := _CARD.fullmatch(path.name))]
        except OSError:
            return []
        devices = (path / "device" for _, path in sorted(cards))
        return [path for path in devices if _text(path / "vendor") == _AMD and (path / "mem_info_vram_total").exists()]


def _sample(index: int, device: Path) -> GpuSample:
    name = _text(device / "product_name") or f"AMD GPU {_text(device / 'device') or ''}".strip()
    uuid = _text(device / "unique_id") or device.resolve().name
    total = _number(device / "mem_info_vram_total")
    place = device.resolve().name
    pci = place if _PLACE.fullmatch(place) else None
    if _text(device / "power/runtime_status") == "suspended":  # reading on would wake it up
        return GpuSample(index=index, name=name, uuid=uuid, pci=pci, total=total)
    used = _number(device / "mem_info_vram_used")
    hwmon = next(iter(sorted(device.glob("hwmon/hwmon*"))), device / "hwmon")
    micro_watts = _number(hwmon / "power1_average")
    if micro_watts is None:
        micro_watts = _number(hwmon / "power1_input")
    hertz, mem_hertz = _number(hwmon / "freq1_input"), _number(hwmon / "freq2_input")
    return GpuSample(
        index=index,
        name=name,
        uuid=uuid,
        pci=pci,
        total=total,
        used=used,
        free=max(0, total - used) if total is not None and used is not None else None,
        util=_per(_number(device / "gpu_busy_percent"), 100),
        mem_util=_per(_number(device / "mem_busy_percent"), 100),
        power_w=_per(micro_watts, 1_000_000),
        power_limit_w=_per(_number(hwmon / "power1_cap"), 1_000_000),
        energy_j=_per(_number(hwmon / "energy1_input"), 1_000_000),
        temp_c=_per(_number(hwmon / "temp1_input"), 1000),
        clock_mhz=None if hertz is None else round(hertz / 1_000_000),
        mem_clock_mhz=None if mem_hertz is None else round(mem_hertz / 1_000_000),
        fan=_fan(hwmon),
    )


def _fan(hwmon: Path) -> float | None:
    """The fan's drive; its speed over its greatest where the drive is not told."""
    for now, most in (("pwm1", "pwm1_max"), ("fan1_input", "fan1_max")):
        value, top = _number(hwmon / now), _number(hwmon / most)
        if value is not None and top:
            return min(1.0, value / top)
    return None


def _per(value: int | None, unit: int) -> float | None:
    return None if value is None else value / unit


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _text(file: Path) -> str | None:
    try:
        return clean_line(file.read_text(errors="replace"), 100) or None
    except OSError:
        return None
