"""NVIDIA GPUs through NVML: the only place that knows pynvml. For one thread; any call may hang."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from offtui import memory
from offtui.monitor.probe import Reading
from offtui.monitor.processes import process_name
from offtui.monitor.sample import GpuProcess, GpuSample
from offtui.text import clean_line

T = TypeVar("T")

RETRY = 5.0
"""Seconds before a driver that failed is asked again."""
RETRY_ABSENT = 60.0
"""Seconds before NVML is looked for again where the library is not installed."""
PROCESSES = 2.5
"""Seconds between two process lists, which cost more than the rest together."""

_BROKEN = {
    1: "NVML was shut down",
    9: "the NVIDIA driver is not loaded",
    13: "the NVIDIA driver is too old for NVML as offtui reads it",
    15: "the GPU is lost: it fell off the bus or its driver reset it",
    16: "the GPU has to be reset",
    18: "driver/library version mismatch; reboot",
    999: "the driver reports an unknown error",
}
"""NVML's return codes after which handles are worthless."""
_THROTTLES = ((0x04, "the power cap"), (0x60, "heat"), (0x80, "the power supply"), (0x08, "hardware"))
"""Bits of the reasons for which the clocks are lower than they could be; being idle is none."""
_LIBRARY_NOT_FOUND = 12
_FUNCTION_NOT_FOUND = 13
_NOT_SUPPORTED = 3
_LOST_ANYWHERE = frozenset({1, 9, 15, 16, 18})
"""Codes that mean the same in whichever call they come; 999 in one field of a GPU that works is only that field."""


class _Device(msgspec.Struct):
    """A GPU or a MIG instance that was found, and what never changes about it."""

    index: int
    handle: Any
    name: str
    uuid: str | None
    memory_v2: bool = True
    lost: str = ""
    """Why it is not read at present."""
    processes: tuple[GpuProcess, ...] = ()
    pci: str | None = None
    pcie: tuple[int | None, int | None] = (None, None)


class Nvml:
    """Reads all NVIDIA GPUs of the machine; each field on its own, so that one the driver lacks costs only itself.

    Where the driver breaks (a GPU lost, a driver updated under a running system) the handles are dropped, a sentence
    says so, and after ``retry`` seconds everything is begun again.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        retry: float = RETRY,
        ram: Callable[[], tuple[int, int]] = memory.ram,
        name_of: Callable[[int], str] = process_name,
    ) -> None:
        self._clock = clock
        self._retry = retry
        self._ram = ram
        self._name_of = name_of
        self._api: Any = None
        self._devices: list[_Device] = []
        self._names: dict[int, str] = {}
        """Of every GPU ever found, by NVML's number: one that is lost tells its name no more."""
        self._up = False
        self._again = 0.0
        """Not to be tried before."""
        self._problem = ""
        self._turn = 0
        """The device whose bus is measured this time: that takes the driver 40 ms, so it is done one by one."""
        self._listed = float("-inf")
        """When processes were listed last."""

    def is_due(self) -> bool:
        """Whether there is anything to read, or to be tried again. From any thread."""
        return self._up or self._clock() >= self._again

    def read(self) -> Reading:
        """Every GPU now, and what is wrong. A machine without NVIDIA's library has no GPUs here and no problem."""
        now = self._clock()
        if self._up and any(device.lost for device in self._devices) and now >= self._again:
            self._down()
        if not self._up:
            if now < self._again:
                return Reading((), self._problems())
            self._begin(now)
            if not self._up:
                return Reading((), self._problems())
        with_processes = now - self._listed >= PROCESSES
        if with_processes:
            self._listed = now
        self._turn = (self._turn + 1) % max(len(self._devices), 1)
        gpus = tuple(self._sample(device, with_processes, now) for device in self._devices)
        return Reading(gpus, self._problems())

    def close(self) -> None:
        """Shut NVML down; reading again would begin anew."""
        self._down()

    def _problems(self) -> tuple[str, ...]:
        lost = tuple(f"NVML: {device.name}: {device.lost}." for device in self._devices if device.lost)
        return ((self._problem, *lost)) if self._problem else lost

    def _begin(self, now: float) -> None:
        self._problem = ""
        try:
            import pynvml
        except ImportError:
            self._again = float("inf")
            self._problem = "The nvidia-ml-py package is missing, so NVIDIA GPUs cannot be read."
            return
        self._api = pynvml
        try:
            self._api.nvmlInit()
        except self._api.NVMLError as error:
            self._again = now + (RETRY_ABSENT if error.value == _LIBRARY_NOT_FOUND else self._retry)
            if error.value != _LIBRARY_NOT_FOUND:
                self._problem = f"NVML: {_reason(error)}."
            return
        self._up = True
        try:
            self._find()
        except self._api.NVMLError as error:
            self._down()
            self._again = now + self._retry
            self._problem = f"NVML: {_reason(error)}."
            return
        if not self._devices:  # NVML counts GPUs when it is begun: one that comes later is found by beginning again
            self._down()
            self._again = now + self._retry

    def _down(self) -> None:
        self._devices.clear()
        self._listed = float("-inf")
        if self._up:
            self._up = False
            self._try(self._api.nvmlShutdown)

    def _find(self) -> None:
        found: list[_Device] = []
        for number in range(self._api.nvmlDeviceGetCount()):
            try:
                handle = self._api.nvmlDeviceGetHandleByIndex(number)
            except self._api.NVMLError as error:
                name = self._names.get(number, f"GPU {number}")
                found.append(_Device(len(found), None, name, None, lost=_reason(error)))
                self._again = self._clock() + self._retry
                continue
            for part in self._instances(handle) or [handle]:
                name = clean_line(self._try(self._api.nvmlDeviceGetName, part) or f"GPU {number}")
                uuid = self._try(self._api.nvmlDeviceGetUUID, part)
                pci = self._try(self._api.nvmlDeviceGetPciInfo, part)
                bus = pci_name(pci.busId) if pci else None
                found.append(_Device(len(found), part, name, clean_line(uuid) if uuid else None, pci=bus))
                self._names[number] = name
        self._devices = found

    def _instances(self, handle: Any) -> list[Any]:
        """The MIG instances of a GPU that is cut into such; their memory and names are what a program sees."""
        mode = self._try(self._api.nvmlDeviceGetMigMode, handle)
        if not mode or mode[0] != self._api.NVML_DEVICE_MIG_ENABLE:
            return []
        count = self._try(self._api.nvmlDeviceGetMaxMigDeviceCount, handle) or 0
        parts = (self._try(self._api.nvmlDeviceGetMigDeviceHandleByIndex, handle, number) for number in range(count))
        return [part for part in parts if part is not None]

    def _sample(self, device: _Device, with_processes: bool, now: float) -> GpuSample:
        identity = GpuSample(index=device.index, name=device.name, uuid=device.uuid, pci=device.pci)
        if device.lost:
            return identity
        try:
            total, used, free, unified = self._memory(device)
            return self._fields(device, with_processes, identity, total, used, free, unified)
        except self._api.NVMLError as error:
            device.lost = _reason(error)
            device.handle = None
            self._again = now + self._retry
            return identity

    def _fields(
        self,
        device: _Device,
        with_processes: bool,
        identity: GpuSample,
        total: int | None,
        used: int | None,
        free: int | None,
        unified: bool,
    ) -> GpuSample:
        api, handle = self._api, device.handle
        if with_processes:
            device.processes = self._processes(handle)
        if device.index == self._turn:
            ways = (api.NVML_PCIE_UTIL_RX_BYTES, api.NVML_PCIE_UTIL_TX_BYTES)
            got = [self._field(api.nvmlDeviceGetPcieThroughput, handle, way) for way in ways]
            device.pcie = _thousandfold(got[0]), _thousandfold(got[1])
        rates = self._field(api.nvmlDeviceGetUtilizationRates, handle)
        temperature = self._field(api.nvmlDeviceGetTemperatureV, handle, api.NVML_TEMPERATURE_GPU)
        if temperature is None:  # drivers before 570 have only the older call
            temperature = self._field(api.nvmlDeviceGetTemperature, handle, api.NVML_TEMPERATURE_GPU)
        fan = self._field(api.nvmlDeviceGetFanSpeed, handle)
        return msgspec.structs.replace(
            identity,
            total=total,
            used=used,
            free=free,
            unified=unified,
            util=rates.gpu / 100 if rates else None,
            mem_util=rates.memory / 100 if rates else None,
            power_w=_thousandth(self._field(api.nvmlDeviceGetPowerUsage, handle)),
            power_limit_w=_thousandth(self._field(api.nvmlDeviceGetEnforcedPowerLimit, handle)),
            energy_j=_thousandth(self._field(api.nvmlDeviceGetTotalEnergyConsumption, handle)),
            temp_c=None if temperature is None else float(temperature),
            clock_mhz=self._field(api.nvmlDeviceGetClockInfo, handle, api.NVML_CLOCK_SM),
            mem_clock_mhz=self._field(api.nvmlDeviceGetClockInfo, handle, api.NVML_CLOCK_MEM),
            throttle=_held_back(self._reasons(handle)),
            pcie_in=device.pcie[0],
            pcie_out=device.pcie[1],
            fan=None if fan is None else fan / 100,
            processes=device.processes,
        )

    def _reasons(self, handle: Any) -> int | None:
        """Why the clocks are as they are, as bits; drivers before 535 have only the older call."""
        reasons = self._field(self._api.nvmlDeviceGetCurrentClocksEventReasons, handle)
        if reasons is None:
            reasons = self._field(self._api.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
        return reasons

    def _memory(self, device: _Device) -> tuple[int | None, int | None, int | None, bool]:
        """Total, used and free bytes, and whether they are the machine's RAM. Raises where the GPU is gone."""
        api = self._api
        try:
            if device.memory_v2:
                try:
                    info = api.nvmlDeviceGetMemoryInfo(device.handle, version=api.nvmlMemory_v2)
                    return int(info.total), int(info.used), int(info.free), False
                except api.NVMLError as error:
                    if error.value in _BROKEN and error.value != _FUNCTION_NOT_FOUND:
                        raise
                    device.memory_v2 = False
            info = api.nvmlDeviceGetMemoryInfo(device.handle)
            return int(info.total), int(info.used), int(info.free), False
        except api.NVMLError as error:
            if error.value in _BROKEN and error.value != _FUNCTION_NOT_FOUND:
                raise
            if error.value != _NOT_SUPPORTED:
                return None, None, None, False
        total, available = self._ram()
        return total, total - available, available, True

    def _processes(self, handle: Any) -> tuple[GpuProcess, ...]:
        found: dict[int, GpuProcess] = {}
        for call in (
            self._api.nvmlDeviceGetComputeRunningProcesses_v3,
            self._api.nvmlDeviceGetGraphicsRunningProcesses_v3,
        ):
            for process in self._field(call, handle) or ():
                used = process.usedGpuMemory
                found[process.pid] = GpuProcess(process.pid, self._name_of(process.pid), used and int(used))
        return tuple(sorted(found.values(), key=lambda process: (-(process.used or 0), process.pid)))

    def _field(self, call: Callable[..., T], *arguments: object) -> T | None:
        """One field, or ``None`` where this GPU or this driver has it not. Raises where the GPU is gone."""
        try:
            return call(*arguments)
        except self._api.NVMLError as error:
            if error.value in _LOST_ANYWHERE:
                raise
            return None

    def _try(self, call: Callable[..., T], *arguments: object) -> T | None:
        """What a call says, or ``None`` where it fails for whatever reason."""
        try:
            return call(*arguments)
        except self._api.NVMLError:
            return None


def _reason(error: Any) -> str:
    return _BROKEN.get(error.value) or clean_line(str(error)).rstrip(".")


def _held_back(reasons: int | None) -> tuple[str, ...] | None:
    if reasons is None:
        return None
    words = [word for bits, word in _THROTTLES if reasons & bits]
    return tuple(word for word in words if word != "hardware" or len(words) == 1)


def pci_name(bus: str | bytes) -> str | None:
    """``00000000:01:00.0`` as the kernel and ggml write it: ``0000:01:00.0``."""
    text = clean_line(bus.decode("ascii", "replace") if isinstance(bus, bytes) else bus, 20).lower()
    domain, _, rest = text.partition(":")
    return f"{domain[-4:]}:{rest}" if rest else None


def _thousandfold(value: int | None) -> int | None:
    return None if value is None else value * 1000


def _thousandth(value: int | None) -> float | None:
    return None if value is None else value / 1000
