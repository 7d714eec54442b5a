import sys
from pathlib import Path

import pytest

from offtui.monitor.pci import GpuDevice, gpu_devices
from tests.fakes import sysfs

pytestmark = pytest.mark.usefixtures("linux")


@pytest.fixture
def linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")


def put(root: Path, slot: str, kind: str, vendor: str, device: str, driver: str | None = None) -> None:
    folder = root / "bus/pci/devices" / slot
    sysfs.write(folder, {"class": kind, "vendor": vendor, "device": device})
    if driver is not None:
        (root / "bus/pci/drivers" / driver).mkdir(parents=True, exist_ok=True)
        (folder / "driver").symlink_to(root / "bus/pci/drivers" / driver)


def test_gpus_with_and_without_a_driver(tmp_path: Path) -> None:
    put(tmp_path, "0000:01:00.0", "0x030000", "0x10de", "0x2882", "nvidia")
    put(tmp_path, "0000:02:00.0", "0x030200", "0x10de", "0x2335")
    put(tmp_path, "0000:03:00.0", "0x120000", "0x1002", "0x74a1", "amdgpu")
    put(tmp_path, "0000:00:02.0", "0x030000", "0x8086", "0xa780", "i915")
    put(tmp_path, "0000:04:00.0", "0x030000", "0x8086", "0x56a0", "xe")
    assert gpu_devices(tmp_path) == (
        GpuDevice(maker="Intel", name="Intel GPU 8086:a780", driver="i915", integrated=True),
        GpuDevice(maker="NVIDIA", name="NVIDIA GPU 10de:2882", driver="nvidia"),
        GpuDevice(maker="NVIDIA", name="NVIDIA GPU 10de:2335"),
        GpuDevice(maker="AMD", name="AMD GPU 1002:74a1", driver="amdgpu"),
        GpuDevice(maker="Intel", name="Intel GPU 8086:56a0", driver="xe"),
    )


def test_what_is_no_gpu_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "0000:01:00.1", "0x040300", "0x10de", "0x22be", "snd_hda_intel")
    put(tmp_path, "0000:00:01.0", "0x030000", "0x1af4", "0x1050", "virtio-pci")
    put(tmp_path, "0000:05:00.0", "0x030000", "0x1a03", "0x2000", "ast")
    (tmp_path / "bus/pci/devices/0000:06:00.0").mkdir()
    assert gpu_devices(tmp_path) == ()


def test_a_machine_without_a_bus(tmp_path: Path) -> None:
    assert gpu_devices(tmp_path) == ()
