"""What a load put where, read from the lines llama.cpp logs when it allocates. Pure.

"offloaded 25/25 layers to GPU" is logged even where there is no GPU at all, so that line is not read: only where the
buffers are, and which device each layer was assigned to.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from offtui.protocol.facts import DeviceFacts, DeviceLedger, LayerCount

_BUFFER = re.compile(r"\S+:\s+(\S.*?)\s+(model|KV|RS|compute|output) buffer size\s*=\s*([\d.]+) MiB")
_LAYER = re.compile(r"load_tensors: layer\s+(\d+) assigned to device (\S+),")
_FLASH_ATTN = re.compile(r"[Ff]lash [Aa]ttention was auto, set to (\w+)")
_REMOTE = re.compile(r"RPC(\d+)\[(.+)\]")
_MIB = 1024 * 1024

Buffers = dict[str, dict[str, int]]
"""Bytes by buffer name and purpose."""


class Ledger(NamedTuple):
    """The outcome of a load."""

    devices: tuple[DeviceLedger, ...]
    """The CPU last."""
    layers: LayerCount


def buffers(lines: Iterable[str]) -> Buffers:
    """The sizes of all buffers a load and its context logged.

    Model and cache lines of one name add up (split files; caches with and without a sliding window). Compute buffers
    are logged again at every reservation, so there the newest counts.
    """
    found: Buffers = defaultdict(lambda: defaultdict(int))
    for line in lines:
        match = _BUFFER.match(line)
        if match is None:
            continue
        name, purpose, size = match[1], match[2], round(float(match[3]) * _MIB)
        if purpose in ("compute", "output"):
            found[name][purpose] = size
        else:
            found[name][purpose] += size
    return found


def assigned_layers(lines: Iterable[str]) -> dict[int, str]:
    """Device name of each layer; the output layer comes after the last block."""
    return {int(match[1]): match[2] for line in lines if (match := _LAYER.match(line))}


def flash_attn(lines: Iterable[str], asked: str) -> bool:
    """Whether flash attention is used, as llama.cpp decided it where it was asked to."""
    if asked != "auto":
        return asked == "on"
    decided = [match[1] for line in lines if (match := _FLASH_ATTN.search(line))]
    return decided[-1] != "disabled" if decided else True


def device_of(buffer: str, devices: Sequence[DeviceFacts]) -> DeviceFacts | None:
    """The device that owns a buffer; ``None`` for RAM: ``CPU``, ``CPU_Mapped``, ``CPU_REPACK``, ``CUDA_Host``."""
    remote = _REMOTE.fullmatch(buffer)
    if remote is not None:
        # the number counts the devices of that server, while devices are numbered over all servers
        there = [device for device in devices if device.kind == "rpc" and device.description == remote[2]]
        return there[int(remote[1])] if int(remote[1]) < len(there) else None
    for device in devices:
        if device.kind in ("cpu", "accel") or buffer.endswith("_Host"):
            continue
        if buffer == device.name or buffer.startswith((f"{device.name}[", f"{device.name}_")):
            return device
    return None


def ledger(lines: Sequence[str], devices: Sequence[DeviceFacts], asked: int, n_max: int) -> Ledger:
    """The bytes per device, and the layers that lie on one that is not the CPU.

    Args:
        lines: the log of the load and of the context's creation, debug lines too.
        devices: every ggml device.
        asked: ``n_gpu_layers`` as asked.
        n_max: n_layer + 1.
    """
    entries = {device.name: _Entry() for device in devices if device.kind not in ("cpu", "accel")}
    ram = _Entry()
    for name, sizes in buffers(lines).items():
        device = device_of(name, devices)
        entry = ram if device is None else entries[device.name]
        entry.weights += sizes.get("model", 0)
        entry.kv += sizes.get("KV", 0) + sizes.get("RS", 0)
        entry.compute += sizes.get("compute", 0) + sizes.get("output", 0)
        if device is None and name.endswith("_Mapped"):
            entry.mapped += sizes.get("model", 0)
    layers = Counter(assigned_layers(lines).values())
    offloaded = sum(count for name, count in layers.items() if name in entries and entries[name].weights > 0)
    cpu = next((device for device in devices if device.kind == "cpu"), None)
    rows = [
        DeviceLedger(device.name, device.kind, e.weights, e.kv, e.compute, layers[device.name])
        for device in devices
        if (e := entries.get(device.name)) is not None
    ]
    cpu_layers = sum(count for name, count in layers.items() if name not in entries)
    name = cpu.name if cpu else "CPU"
    rows.append(DeviceLedger(name, "cpu", ram.weights, ram.kv, ram.compute, cpu_layers, ram.mapped))
    return Ledger(tuple(rows), LayerCount(asked, min(offloaded, n_max), n_max))


class _Entry:
    def __init__(self) -> None:
        self.weights = self.kv = self.compute = self.mapped = 0
