"""Memory of each device: what ggml says, what the driver adds, which part is ours and what it is for."""

from dataclasses import dataclass

from offtui.engine.state import SessionState
from offtui.monitor.sample import GpuProcess, GpuSample, Sample
from offtui.protocol.facts import DeviceFacts, DeviceKind, DeviceLedger


@dataclass(frozen=True, kw_only=True)
class DeviceUse:
    """One device with memory of its own. Bytes; ``None``: unknown."""

    name: str
    title: str
    kind: DeviceKind
    weights: int = 0
    """Of the model that is up, by the ledger; so are the next two."""
    kv: int = 0
    compute: int = 0
    used: int | None = None
    total: int | None = None
    usable: bool = True
    """The installed llama.cpp can put layers there."""
    card: GpuSample | None = None
    """What the driver says of it; ``None`` where no driver of this machine knows it."""
    worker: int | None = None
    """What the driver says that our worker holds, its backend's own share included."""
    others: tuple[GpuProcess, ...] = ()
    """Whoever else holds memory, the greatest first, as far as the driver tells."""

    @property
    def ours(self) -> int:
        """Weights, KV cache and compute buffers of the model that is up."""
        return self.weights + self.kv + self.compute

    @property
    def free(self) -> int | None:
        """Bytes that are left."""
        if self.card is not None and self.card.free is not None:
            return self.card.free
        return None if self.used is None or self.total is None else max(0, self.total - self.used)


@dataclass(frozen=True, kw_only=True)
class RamUse:
    """The machine's memory. Bytes; ``None``: unknown."""

    weights: int = 0
    """Of ours, what the system cannot drop: mapped weights are not in it."""
    kv: int = 0
    compute: int = 0
    mapped: int = 0
    """Weights that are read-only pages of the file: the system drops and reads them as it needs."""
    cached: int | None = None
    """Of the file, what is in RAM now."""
    used: int | None = None
    """By whomever; what the system can drop is not in it."""
    total: int | None = None

    @property
    def ours(self) -> int:
        """What a load took that cannot be dropped."""
        return self.weights + self.kv + self.compute


def has_device(state: SessionState) -> bool:
    """Whether there is anything besides the CPU to put layers on."""
    return any(facts.kind != "cpu" for facts in _facts(state))


def device_uses(state: SessionState, sample: Sample | None) -> list[DeviceUse]:
    """Every device but the CPU: those of ggml first, then graphics cards which this llama.cpp cannot use."""
    ledger = {entry.name: entry for entry in state.loaded.devices} if state.loaded else {}
    worker = sample.worker.pid if sample and sample.worker else None
    cards = list(sample.gpus) if sample else []
    known = _facts(state)
    uses: list[DeviceUse] = []
    for facts in known:
        if facts.kind == "cpu":
            continue
        card = _card(facts, cards)
        if card is not None:
            cards.remove(card)
        uses.append(_ggml_use(facts, card, ledger.get(facts.name), worker))
    uses.extend(
        DeviceUse(name=f"GPU {card.index}", title=card.name, kind="gpu", used=card.used, total=card.total,
                  usable=not known, card=card, others=card.processes)
        for card in cards
    )  # fmt: skip
    return uses


def _card(facts: DeviceFacts, cards: list[GpuSample]) -> GpuSample | None:
    """What the driver calls a device of ggml: by its place on the bus, else by its name.

    Both may count the devices in different orders, and ggml may see only some of them.
    """
    if facts.pci is not None and (found := [card for card in cards if card.pci == facts.pci]):
        return found[0]
    return next((card for card in cards if card.name == facts.description and None in (card.pci, facts.pci)), None)


def _ggml_use(facts: DeviceFacts, card: GpuSample | None, entry: DeviceLedger | None, worker: int | None) -> DeviceUse:
    weights, kv, compute = (entry.weights, entry.kv, entry.compute) if entry else (0, 0, 0)
    ours = weights + kv + compute
    used = None if facts.total is None or facts.free is None else max(facts.total - facts.free, ours)
    total = facts.total
    if card is not None:
        used, total = card.used if card.used is not None else used, card.total if card.total is not None else total
    mine = next((each.used for each in card.processes if each.pid == worker), None) if card else None
    others = tuple(each for each in card.processes if each.pid != worker) if card else ()
    return DeviceUse(
        name=facts.name, title=facts.description, kind=facts.kind, weights=weights, kv=kv, compute=compute,
        used=used, total=total, card=card, worker=mine, others=others,
    )  # fmt: skip


def ram_use(state: SessionState, sample: Sample | None) -> RamUse:
    """The machine's RAM, and what the load that is up holds of it."""
    entries = [entry for entry in state.loaded.devices if entry.kind == "cpu"] if state.loaded else []
    cpu = next((facts for facts in _facts(state) if facts.kind == "cpu"), None)
    total, used = None, None
    if cpu is not None and cpu.total is not None and cpu.free is not None:
        total, used = cpu.total, cpu.total - cpu.free
    if sample is not None and sample.host.ram_total is not None and sample.host.ram_used is not None:
        total, used = sample.host.ram_total, sample.host.ram_used
    return RamUse(
        weights=sum(entry.weights - entry.mapped for entry in entries),
        kv=sum(entry.kv for entry in entries),
        compute=sum(entry.compute for entry in entries),
        mapped=sum(entry.mapped for entry in entries),
        cached=sample.cached if sample is not None and state.loaded is not None else None,
        used=used,
        total=total,
    )


def mapped_file(state: SessionState | None) -> str | None:
    """The file that the load that is up has mapped; ``None`` where it has none."""
    loaded = state.loaded if state is not None else None
    if loaded is None or not any(entry.mapped for entry in loaded.devices):
        return None
    return loaded.spec.model


def _facts(state: SessionState) -> tuple[DeviceFacts, ...]:
    if state.memory:
        return state.memory
    return state.loaded.memory if state.loaded else ()
