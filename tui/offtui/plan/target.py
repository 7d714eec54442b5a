"""What a plan is made for: devices with a budget and a speed; those of this machine, or cards that are not here."""

import math
from collections.abc import Sequence

import msgspec

from offtui.errors import UsageError
from offtui.plan.cards import card_of_device, find_card
from offtui.plan.choose import MARGIN, Budget, budgets
from offtui.plan.settings import Device
from offtui.plan.speed import HANDOVER_SECONDS, REMOTE_ERROR, REMOTE_SECONDS, Machine, machine_of
from offtui.protocol.facts import DeviceFacts
from offtui.units import GIB, MIB, parse_size

MAX_DEVICES = 16
"""llama.cpp's ``GGML_SCHED`` and ``llama_max_devices`` set the same bound."""
SAME_MEMORY = 1 * MIB
"""Bytes by which the RAM may differ from itself, as two backends tell it."""


class Target(msgspec.Struct, frozen=True):
    """One machine to plan for."""

    name: str
    """``RTX 4060``, ``8 GiB``, ``CUDA0``."""
    devices: tuple[Device, ...]
    budgets: tuple[Budget, ...]
    machine: Machine
    here: bool
    """Whether the devices are this machine's, so that llama.cpp itself can be asked about them."""


def size_name(size: int) -> str:
    """What a card is called of which only the memory is known."""
    return f"{size / GIB:g} GiB" if size >= GIB else f"{size / MIB:g} MiB"


def of_size(text: str, *, margin: int = MARGIN, cpu: float | None = None) -> Target:
    """A machine with cards of these sizes: ``8GiB``, or ``24GiB+24GiB`` for two.

    Raises:
        UsageError: not a size.
    """
    sizes = [parse_size(part) for part in text.split("+")]
    if len(sizes) > MAX_DEVICES:
        raise UsageError(f"{len(sizes)} devices are too many; llama.cpp knows {MAX_DEVICES}.")
    devices = tuple(Device(f"CUDA{index}", size, size) for index, size in enumerate(sizes))
    machine = machine_of(None, max(sizes), cpu)
    return Target("+".join(map(size_name, sizes)), devices, budgets(devices, margin=margin), machine, here=False)


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


def offload_devices(facts: Sequence[DeviceFacts]) -> tuple[Device, ...]:
    """The devices that layers can be offloaded to, chosen and ordered as llama.cpp does.

    RPC devices come first; then GPUs, each once though several backends see it; integrated GPUs only without others.
    """
    remote = [fact for fact in facts if fact.kind == "rpc"]
    gpus: list[DeviceFacts] = []
    for fact in facts:
        if fact.kind == "gpu" and not any(_same_card(fact, seen) for seen in gpus):
            gpus.append(fact)
    gpus = gpus or [fact for fact in facts if fact.kind == "igpu"][:1]
    return tuple(Device(fact.name, fact.free, fact.total) for fact in [*remote, *gpus])


def _same_card(fact: DeviceFacts, seen: DeviceFacts) -> bool:
    """Whether two backends describe one card; two cards of one backend have different names of one kind."""
    return fact.description == seen.description and fact.name.rstrip("0123456789") != seen.name.rstrip("0123456789")


def of_machine(
    facts: Sequence[DeviceFacts], *, margin: int = MARGIN, cpu: float | None = None, n_threads: int | None = None
) -> Target:
    """This machine, by what llama.cpp says of its devices.

    Args:
        facts: every device, the CPU among them.
        margin: bytes left free on each.
        cpu: bytes per second that can be read from RAM, where it was measured.
        n_threads: that decode; ``None``: as many as the RAM can feed.
    """
    devices = offload_devices(facts)
    described = {fact.name: fact.description for fact in facts}
    found = [card_of_device(described[device.name], device.total) for device in devices]
    cards = [card for card in found if card is not None]
    slowest = min(cards, key=lambda card: card.bandwidth) if cards and len(cards) == len(devices) else None
    largest = max((device.total or 0 for device in devices), default=0) or None
    machine = _remote(machine_of(slowest, largest, cpu, n_threads), facts)
    names = " + ".join(device.name for device in devices) or "CPU"
    return Target(names, devices, budgets(devices, margin=margin), machine, here=True)


def _remote(guess: Machine, facts: Sequence[DeviceFacts]) -> Machine:
    """The guess where layers go to a device of another machine, which does not say what it is."""
    remote = [fact for fact in facts if fact.kind == "rpc"]
    if not remote:
        return guess
    trips = [fact.round_trip for fact in remote if fact.round_trip is not None]
    # of the two hand-overs of a token one waits for an answer; the other is on its way with the next request
    handover = max(max(trips) / 2, HANDOVER_SECONDS) if trips else REMOTE_SECONDS
    ram = next((fact.total for fact in facts if fact.kind == "cpu"), None)
    # with exactly as much memory as there is RAM here, it is this machine's processor
    same = ram is not None and all(abs((fact.total or 0) - ram) < SAME_MEMORY for fact in remote)
    gpu = guess.cpu if same else math.sqrt(guess.gpu * guess.cpu)
    return msgspec.structs.replace(guess, gpu=gpu, gpu_error=REMOTE_ERROR, handover=handover)
