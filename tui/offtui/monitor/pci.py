"""GPUs that are in the machine, whether or not a driver answers for them: the PCI bus on Linux, the chip on a Mac."""

import platform
import subprocess
import sys
from pathlib import Path
from typing import Literal

import msgspec

from offtui.text import clean_line

Maker = Literal["NVIDIA", "AMD", "Intel", "Apple"]

_MAKERS: dict[str, Maker] = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}
_DISPLAY = "0x03"
_ACCELERATOR = "0x12"


class GpuDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU as the hardware tells of it."""

    maker: Maker
    name: str
    driver: str | None = None
    """The kernel driver that holds it; ``None`` where none does, or where there is no such thing."""
    integrated: bool = False
    """It is part of the processor and its memory is the machine's RAM."""


def gpu_devices(sysfs: Path = Path("/sys")) -> tuple[GpuDevice, ...]:
    """Display and accelerator devices of makers that llama.cpp has a backend for; virtual ones are left out."""
    if sys.platform == "darwin":
        return _apple()
    try:
        devices = sorted((sysfs / "bus/pci/devices").iterdir())
    except OSError:
        return ()
    return tuple(gpu for device in devices if (gpu := _gpu(device)) is not None)


def _gpu(device: Path) -> GpuDevice | None:
    kind, maker = _text(device / "class"), _MAKERS.get(_text(device / "vendor"))
    if maker is None or not kind.startswith((_DISPLAY, _ACCELERATOR)):
        return None
    driver = device / "driver"
    return GpuDevice(
        maker=maker,
        name=f"{maker} GPU {_text(device / 'vendor').removeprefix('0x')}:{_text(device / 'device').removeprefix('0x')}",
        driver=clean_line(driver.resolve().name, 40) if driver.exists() else None,
        # Intel's integrated ones sit on the first bus; graphics cards are behind a bridge.
        integrated=maker == "Intel" and device.name.split(":")[-2:-1] == ["00"],
    )


def _apple() -> tuple[GpuDevice, ...]:
    if platform.machine() != "arm64":
        return ()
    try:
        answer = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        answer = ""
    return (GpuDevice(maker="Apple", name=clean_line(answer, 60) or "Apple GPU", driver="Metal", integrated=True),)


def _text(file: Path) -> str:
    try:
        return clean_line(file.read_text(errors="replace"), 40)
    except OSError:
        return ""
