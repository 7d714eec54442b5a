"""What a plan is made for: devices with a budget and a speed; those of this machine, or cards that are not here."""

from collections.abc import Sequence

import msgspec

from offtui.errors import UsageError
from offtui.plan.cards import Card, card_of_device, find_card
from offtui.plan.choose import MARGIN, Budget, budgets
from offtui.plan.settings import Device
from offtui.plan.speed import Machine, machine_of
from offtui.protocol.facts import DeviceFacts
from offtui.units import GIB, parse_size

MAX_DEVICES = 16
"""llama.cpp's ``GGML_SCHED`` and ``llama_max_devices`` set the same bound."""


class Target(msgspec.Struct, frozen=True):
    """One machine to plan for."""

    name: str
    """``RTX 4060``, ``8 GiB``, ``CUDA0``."""
    devices: tuple[Device, ...]
    budgets: tuple[Budget, ...]
    machine: Machine
    here: bool
    """Whether the devices are this machine's, so that llama.cpp itself can be asked about them."""


def of_size(text: str, *, margin: int = MARGIN, cpu: float | None = None) -> Target:
    """A machine with cards of these sizes: ``8GiB``, or ``24GiB+24GiB`` for two.

    Raises:
        UsageError: not a size.
    """
    sizes = [parse_size(part) for part in text.split("+")]
    if len(sizes) > MAX_DEVICES:
        raise UsageError(f"{len(sizes)} devices are too many; llama.cpp knows {MAX_DEVICES}.")
    devices = tuple(Device(f"CUDA{index}", size, size) for index, size in enumerate(sizes))
    names = "+".join(f"{size / GIB:g} GiB" for size in sizes)
    machine = machine_of(None, max(sizes), cpu)
    return Target(names, devices, budgets(devices, margin=margin), machine, here=False)


def of_card(text: str, *, margin: int = MARGIN, cpu: float | None = None) -> Target:
    """A machine with these cards: ``RTX 4060``, or ``RTX 3090+RTX 3060 12GB``.

    Raises:
        UsageError: no card of that name, or several.
    """
    cards = [find_card(part) for part in text.split("+")]
    if len(cards) > MAX_DEVICES:
        raise UsageError(f"{len(cards)} devices are too many; llama.cpp knows {MAX_DEVICES}.")
    devices = tuple(Device(f"{card.backend}{index}", card.memory, card.memory) for index, card in enumerate(cards))
    slowest = min(cards, key=lambda card: card.bandwidth)
    machine = machine_of(slowest, None, cpu)
    names = " + ".join(card.name for card in cards)
    return Target(names, devices, budgets(devices, margin=margin), machine, here=False)


def of_machine(facts: Sequence[DeviceFacts], *, margin: int = MARGIN, cpu: float | None = None) -> Target:
    """This machine, by what llama.cpp says of its devices; integrated GPUs only where there is no other, as it does."""
    offload = [fact for fact in facts if fact.kind in ("gpu", "rpc")]
    offload = offload or [fact for fact in facts if fact.kind == "igpu"]
    devices = tuple(Device(fact.name, fact.free, fact.total) for fact in offload)
    cards: list[Card] = []
    for fact in offload:
        card = card_of_device(fact.description, fact.total)
        if card is not None:
            cards.append(card)
    slowest = min(cards, key=lambda card: card.bandwidth) if len(cards) == len(offload) and cards else None
    machine = machine_of(slowest, max((fact.total or 0 for fact in offload), default=0) or None, cpu)
    names = " + ".join(fact.name for fact in offload) or "CPU"
    return Target(names, devices, budgets(devices, margin=margin), machine, here=True)
