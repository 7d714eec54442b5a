"""The plan against the load: what was predicted and what llama.cpp allocated, per device and purpose."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from offtui.plan.settings import Device
from offtui.plan.table import Bytes, Row
from offtui.protocol.facts import DeviceLedger
from offtui.units import MIB, size_text

EXACT = 1 * MIB
"""Bytes by which weights or cache may differ; more is a bug of the plan, and is shown."""

Purpose = Literal["weights", "kv", "compute"]


class Difference(msgspec.Struct, frozen=True):
    """One purpose on one device."""

    device: str
    purpose: Purpose
    planned: int
    got: int

    @property
    def bytes(self) -> int:
        """Got minus planned."""
        return self.got - self.planned

    @property
    def is_bug(self) -> bool:
        """Whether bytes that are known exactly were not."""
        return self.purpose != "compute" and abs(self.bytes) > EXACT

    def __str__(self) -> str:
        sign = "+" if self.bytes >= 0 else "-"
        found = f"{self.purpose} on {self.device}: {size_text(self.planned)} planned"
        return f"{found}, {size_text(self.got)} got ({sign}{size_text(abs(self.bytes))})"


def compare(row: Row, devices: Sequence[Device], ledger: Sequence[DeviceLedger]) -> tuple[Difference, ...]:
    """Every purpose on every device and in RAM, planned and got.

    Weights in RAM are left out where they are pages of the file: the system maps whole spans of it and drops what it
    likes, so that there is no one number.

    Args:
        row: of the placement that was loaded.
        devices: those that the row is for, in its order.
        ledger: of the load; the CPU is one of them.
    """
    got = {entry.name: entry for entry in ledger}
    found: list[Difference] = []
    for device, planned in zip(devices, row.devices, strict=True):
        if device.name in got:
            found += _compared(device.name, planned, got[device.name])
    cpu = next((entry for entry in ledger if entry.kind == "cpu"), None)
    if cpu is not None:
        rows = _compared(cpu.name, row.ram, cpu)
        found += [entry for entry in rows if not (entry.purpose == "weights" and cpu.mapped)]
    return tuple(found)


def _compared(name: str, planned: Bytes, got: DeviceLedger) -> list[Difference]:
    return [
        Difference(name, "weights", planned.weights, got.weights),
        Difference(name, "kv", planned.kv, got.kv),
        Difference(name, "compute", planned.compute, got.compute),
    ]
