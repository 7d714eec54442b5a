"""First models for the memory at hand, from a short dated list."""

from pathlib import Path

import msgspec

from offtui.models.fitting import Here
from offtui.plan.target import offload_devices
from offtui.units import GIB

FILE = Path(__file__).with_name("recommended.toml")
BESIDE = 1.2
"""GiB that context and buffers take besides the weights, about."""


class Recommendation(msgspec.Struct, frozen=True):
    """A repository to begin with."""

    repo: str
    size: float
    """GiB of its file in Q4_K_M."""
    about: str


class Recommended(msgspec.Struct, frozen=True):
    """The list, the best for this machine first."""

    as_of: str
    model: tuple[Recommendation, ...]


def recommended(here: Here | None) -> Recommended:
    """What fits the devices' memory, largest first; then what fits with the RAM's help; nothing that does not fit.

    Where the machine is not known, everything, smallest first.
    """
    whole = msgspec.toml.decode(FILE.read_bytes(), type=Recommended)
    if here is None:
        return whole
    vram = sum(device.free or 0 for device in offload_devices(here.facts)) / GIB
    ram = (here.ram_available or 0) / GIB
    on_device = [model for model in whole.model if model.size + BESIDE <= vram]
    with_ram = [model for model in whole.model if model not in on_device and model.size + BESIDE <= vram + ram * 0.8]
    if not vram:
        with_ram = [model for model in with_ram if model.size <= 12] or with_ram
    chosen = [*sorted(on_device, key=lambda model: -model.size), *sorted(with_ram, key=lambda model: model.size)]
    return Recommended(whole.as_of, tuple(chosen or whole.model[:1]))
