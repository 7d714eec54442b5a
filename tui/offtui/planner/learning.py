"""What a session teaches: speeds from answers, constants of devices from loads, and what to keep them under."""

import contextlib
import re
from collections.abc import Callable, Sequence

from offtui.gguf.header import Header
from offtui.plan.choose import budgets
from offtui.plan.placement import PLACEMENTS
from offtui.plan.settings import Device
from offtui.plan.target import offload_devices
from offtui.planner.making import placement_of
from offtui.protocol.events import Loaded
from offtui.protocol.facts import DeviceFacts, Learned, Timings
from offtui.protocol.spec import LoadSpec, Placement
from offtui.store.measurements import Circumstances, FileId, Point, Spent, Store
from offtui.units import GIB, MIB, size_text

TOKENS = 16
"""Of an answer at least, for its speed to say something."""
PROMPT_TOKENS = 32
"""New ones of a prompt, likewise."""
MAX_OVERHEAD = 3 * GIB
"""Bytes outside its buffers that no backend takes: such a figure is another process's, or a driver's mistake."""
OVERHEAD_STEP = 8 * MIB
"""Bytes by which a learned constant must have changed to be kept anew."""
OVERHEAD, BANDWIDTH = "overhead", "bandwidth"
"""Names of constants in the store."""

_PORT = re.compile(r":\d+\b")


def point_of(loaded: Loaded, timings: Timings, now: float) -> Point | None:
    """The speed of an answer; ``None`` where it is too short."""
    # Of an answer that was moved only the last split's part counts, and nothing of its prompt, which another one read.
    moved = timings.moves > 0
    tps, tokens = (timings.epoch_tps, timings.epoch_tokens) if moved else (timings.tps, timings.tokens)
    if tps is None or tps <= 0 or tokens < TOKENS:
        return None
    fresh = timings.prompt_tokens - timings.reused_tokens
    prompt = timings.prompt_tps if fresh >= PROMPT_TOKENS and not moved else None
    n_past = max(timings.n_past - tokens // 2, 0)
    return Point(loaded.layers.got, n_past, tokens, tps, prompt, now)


class Overheads:
    """What backends take outside their buffers, as the store has it."""

    def __init__(self, store: Store, said: int | None = None) -> None:
        self._store, self._said = store, said

    def of(self, fact: DeviceFacts) -> int:
        """Bytes, of one device: said by a person, learned, or the usual."""
        known = self._store.constant(fact.description, OVERHEAD) if self._said is None else self._said
        return budgets([Device(fact.name, fact.free, fact.total)])[0].context if known is None else round(known)

    def learn(self, loaded: Loaded) -> None:
        """Keep what a load took, where that has changed by more than a little."""
        described = {fact.name: fact.description for fact in loaded.memory if fact.kind != "rpc"}
        for name, value in loaded.overhead.items():
            if name not in described or not 0 <= value <= MAX_OVERHEAD:
                continue
            before = self._store.constant(described[name], OVERHEAD)
            if before is None or abs(before - value) > OVERHEAD_STEP:
                self._store.set_constant(described[name], OVERHEAD, value)


def learned(store: Store, said: int | None = None) -> Learned:
    """What earlier loads taught the choice of the next.

    Args:
        store: where it is kept.
        said: bytes that every backend takes outside its buffers, where a person has said so.
    """
    kept = {device: round(value) for device, value in store.constants(OVERHEAD).items()}
    return Learned(kept, said, store.constant("RAM", BANDWIDTH))


def learned_from(said: int | None, open_store: Callable[[], Store] = Store) -> Learned:
    """``learned`` of a store that is opened for it and closed again."""
    with contextlib.closing(open_store()) as store:
        return learned(store, said)


def changed_memory(before: Sequence[DeviceFacts], after: Sequence[DeviceFacts], step: int) -> bool:
    """Whether other devices are there, or one has more than ``step`` bytes more or less."""
    if [fact.name for fact in before] != [fact.name for fact in after]:
        return True
    pairs = [(old.free, new.free) for old, new in zip(before, after, strict=True)]
    return any(
        (old is None) != (new is None) or (old is not None and new is not None and abs(old - new) > step)
        for old, new in pairs
    )


def circumstances(file: FileId, header: Header, loaded: Loaded) -> Circumstances:
    """What a measurement of a load is of."""
    spec = loaded.spec
    return Circumstances(
        file,
        header.arch,
        header.quant,
        devices_text(loaded.memory),
        settings_text(spec, loaded.flash_attn, spec.n_threads, placement_of(loaded)),
        loaded.n_ctx,
        loaded.layers.got,
    )


def devices_text(facts: Sequence[DeviceFacts]) -> str:
    """The devices that layers can be offloaded to, and the processor, as measurements are kept under."""
    # the slots of an RPC device are ports of one machine
    described = {
        fact.name: _PORT.sub("", fact.description) if fact.kind == "rpc" else fact.description for fact in facts
    }
    parts = [f"{device.name} {described[device.name]} {size_text(device.total)}" for device in offload_devices(facts)]
    parts += [f"{fact.name} {fact.description}" for fact in facts if fact.kind == "cpu"]
    return "; ".join(parts)


def measured(
    store: Store, file: FileId, facts: Sequence[DeviceFacts], spec: LoadSpec, *, flash_attn: bool, n_threads: int | None
) -> dict[Placement, Sequence[Point]]:
    """The speeds of a model with these settings on these devices, by placement."""
    under = _kept_under(facts, spec, flash_attn, n_threads)
    return {placement: store.points(file, *names) for placement, names in under.items()}


def spent(
    store: Store, file: FileId, facts: Sequence[DeviceFacts], spec: LoadSpec, *, flash_attn: bool, n_threads: int | None
) -> dict[Placement, Sequence[Spent]]:
    """What answers of a model with these settings took on these devices, by placement."""
    under = _kept_under(facts, spec, flash_attn, n_threads)
    return {placement: store.spent(file, *names) for placement, names in under.items()}


def _kept_under(
    facts: Sequence[DeviceFacts], spec: LoadSpec, flash_attn: bool, n_threads: int | None
) -> dict[Placement, tuple[str, str]]:
    """The names of devices and settings that measurements of each placement are kept under."""
    devices = devices_text(facts)
    return {placement: (devices, settings_text(spec, flash_attn, n_threads, placement)) for placement in PLACEMENTS}


def settings_text(spec: LoadSpec, flash_attn: bool, n_threads: int | None, placement: Placement = "layers") -> str:
    """The settings that decide how fast an answer is written, but for layers and context."""
    parts = [f"threads {n_threads}", f"kv {spec.type_k}/{spec.type_v}", f"fa {int(flash_attn)}"]
    if not spec.offload_kqv:
        parts.append("kv in RAM")
    if spec.tensor_split:
        parts.append("split " + ",".join(f"{share:g}" for share in spec.tensor_split))
    if placement != "layers":
        parts.append(f"{placement} in RAM")
    return " ".join(parts)
