"""Memory of each device as the screen shows it: what ggml says, what the driver adds, and which part is ours."""

from dataclasses import dataclass

from offtui.engine.state import SessionState
from offtui.monitor.sample import GpuSample, Sample
from offtui.protocol.facts import DeviceFacts, DeviceKind


@dataclass(frozen=True)
class DeviceUse:
    """One device with memory of its own. Bytes; ``None``: unknown."""

    name: str
    title: str
    kind: DeviceKind
    ours: int
    """Weights, KV cache and compute buffers of the model that is up."""
    used: int | None
    total: int | None
    usable: bool = True
    """The installed llama.cpp can put layers there."""
    util: float | None = None
    power_w: float | None = None
    temp_c: float | None = None


@dataclass(frozen=True)
class RamUse:
    """The machine's memory. Bytes; ``None``: unknown."""

    ours: int
    used: int | None
    total: int | None


def has_device(state: SessionState) -> bool:
    """Whether there is anything besides the CPU to put layers on."""
    return any(facts.kind != "cpu" for facts in _facts(state))


def device_uses(state: SessionState, sample: Sample | None) -> list[DeviceUse]:
    """Every device but the CPU: those of ggml first, then graphics cards which this llama.cpp cannot use."""
    ours = {entry.name: entry.total for entry in state.loaded.devices} if state.loaded else {}
    cards = list(sample.gpus) if sample else []
    uses: list[DeviceUse] = []
    for facts in _facts(state):
        if facts.kind == "cpu":
            continue
        card = next((card for card in cards if card.name == facts.description), None)
        if card is not None:
            cards.remove(card)
        uses.append(_ggml_use(facts, card, ours.get(facts.name, 0)))
    uses.extend(
        DeviceUse(f"GPU {card.index}", card.name, "gpu", 0, card.used, card.total, usable=False, util=card.util,
                  power_w=card.power_w, temp_c=card.temp_c)
        for card in cards
    )  # fmt: skip
    return uses


def _ggml_use(facts: DeviceFacts, card: GpuSample | None, ours: int) -> DeviceUse:
    used = None if facts.total is None or facts.free is None else max(facts.total - facts.free, ours)
    if card is None:
        return DeviceUse(facts.name, facts.description, facts.kind, ours, used, facts.total)
    return DeviceUse(
        facts.name,
        facts.description,
        facts.kind,
        ours,
        card.used if card.used is not None else used,
        card.total if card.total is not None else facts.total,
        util=card.util,
        power_w=card.power_w,
        temp_c=card.temp_c,
    )


def ram_use(state: SessionState, sample: Sample | None) -> RamUse:
    """The machine's RAM; ours is what the worker holds, by the system where it says, else by the ledger."""
    ledger = sum(entry.total for entry in state.loaded.devices if entry.kind == "cpu") if state.loaded else 0
    cpu = next((facts for facts in _facts(state) if facts.kind == "cpu"), None)
    total, used, ours = None, None, ledger
    if cpu is not None and cpu.total is not None and cpu.free is not None:
        total, used = cpu.total, cpu.total - cpu.free
    if sample is not None:
        if sample.host.ram_total is not None and sample.host.ram_used is not None:
            total, used = sample.host.ram_total, sample.host.ram_used
        if sample.worker is not None and sample.worker.rss is not None and state.loaded:
            ours = sample.worker.rss
    return RamUse(ours, used, total)


def _facts(state: SessionState) -> tuple[DeviceFacts, ...]:
    if state.memory:
        return state.memory
    return state.loaded.memory if state.loaded else ()
