"""What one look at the machine found: frozen values; unknown is ``None``, never 0.

Bytes, fractions 0…1, Watts, Joules, °C, MHz.
"""

import msgspec


class GpuProcess(msgspec.Struct, frozen=True):
    """A process that holds memory of a GPU."""

    pid: int
    name: str
    """Empty where it cannot be known: in a container the numbers are the host's."""
    used: int | None = None
    """Bytes of the GPU's memory; the driver does not always tell."""


class GpuSample(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU, or one MIG instance of one, as its driver reports it."""

    index: int
    """Position in the list, from 0; not the number llama.cpp gives it."""
    name: str
    uuid: str | None = None
    pci: str | None = None
    """Where it sits on the bus: ``0000:01:00.0``."""
    total: int | None = None
    used: int | None = None
    free: int | None = None
    unified: bool = False
    """The memory is the machine's RAM: ``total`` and ``free`` are RAM total and available."""
    util: float | None = None
    """Share of the last period in which a kernel ran; not how hard."""
    mem_util: float | None = None
    """Share of the last period in which memory was read or written."""
    power_w: float | None = None
    power_limit_w: float | None = None
    energy_j: float | None = None
    """Joules since the driver was loaded; differences count."""
    temp_c: float | None = None
    clock_mhz: int | None = None
    """Of the processors; ``mem_clock_mhz`` is the memory's."""
    mem_clock_mhz: int | None = None
    throttle: tuple[str, ...] | None = None
    """What holds the clocks down: ``power``, ``heat``; empty: nothing does."""
    pcie_in: int | None = None
    """Bytes per second over the bus to the GPU, and from it, over a moment."""
    pcie_out: int | None = None
    fan: float | None = None
    processes: tuple[GpuProcess, ...] = ()


class HostSample(msgspec.Struct, frozen=True, kw_only=True):
    """RAM and processors; in a container with a memory limit, the RAM of the container."""

    ram_total: int | None = None
    ram_used: int | None = None
    ram_available: int | None = None
    swap_total: int | None = None
    swap_used: int | None = None
    cpu: float | None = None
    """Mean over the cores since the sample before; ``None`` in the first."""
    per_core: tuple[float, ...] = ()
    load1: float | None = None
    ram_limited: bool = False
    """A container's limit, smaller than the machine's RAM, is what ``ram_total`` says."""
    disk_read: float | None = None
    """Bytes per second since the sample before, of all disks; likewise the next three."""
    disk_write: float | None = None
    net_in: float | None = None
    net_out: float | None = None


class ProcessSample(msgspec.Struct, frozen=True):
    """One process: the worker."""

    pid: int
    rss: int | None = None
    """Bytes resident, pages of a mapped model file among them."""
    cpu: float | None = None
    """Cores in use since the sample before: 1.0 is one whole core, so this one may exceed 1."""
    shared: int | None = None
    """Of ``rss``, pages of files, those of a mapped model among them."""
    read: float | None = None
    """Bytes per second that it had read from disks, pages of a mapped file too."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One look at everything."""

    time: float
    """``time.monotonic()`` when the host was read."""
    gpus: tuple[GpuSample, ...] = ()
    host: HostSample = HostSample()
    worker: ProcessSample | None = None
    cached: int | None = None
    """Bytes of the model's file that are in RAM."""
    wall: float | None = None
    """Seconds since 1970 at ``time``."""
    problems: tuple[str, ...] = ()
    """One clear sentence for each thing that could not be read."""
