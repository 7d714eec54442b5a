"""What a session teaches: speeds from answers, constants of devices from samples, and what to keep them under."""

import re
from collections.abc import Iterator, Sequence

from offtui.monitor.sample import Sample
from offtui.plan.target import offload_devices
from offtui.protocol.events import Loaded
from offtui.protocol.facts import DeviceFacts, Timings
from offtui.protocol.spec import LoadSpec
from offtui.store.measurements import Point
from offtui.units import GIB, size_text

TOKENS = 16
"""Of an answer at least, for its speed to say something."""
PROMPT_TOKENS = 32
"""New ones of a prompt, likewise."""
MAX_CONTEXT = 3 * GIB
"""Bytes outside its buffers that no backend takes: such a figure is another process's, or a driver's mistake."""

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


def context_of(loaded: Loaded, sample: Sample) -> Iterator[tuple[str, str, int]]:
    """What the worker holds of each graphics card beyond its buffers: description, name, bytes."""
    worker = sample.worker
    if worker is None:
        return
    described = {fact.name: fact.description for fact in loaded.memory}
    twins = [fact.description for fact in loaded.memory if fact.kind == "gpu"]
    for entry in loaded.devices:
        description = described.get(entry.name, "")
        if entry.kind != "gpu" or twins.count(description) != 1:
            continue  # of two equal cards it is unknown which is which
        cards = [gpu for gpu in sample.gpus if gpu.name == description]
        held = [process.used for gpu in cards for process in gpu.processes if process.pid == worker.pid]
        if len(cards) == 1 and len(held) == 1 and held[0] is not None:
            beyond = held[0] - entry.total
            if 0 <= beyond <= MAX_CONTEXT:
                yield description, entry.name, beyond


def devices_text(facts: Sequence[DeviceFacts]) -> str:
    """The devices that layers can be offloaded to, and the processor, as measurements are kept under."""
    # the slots of an RPC device are ports of one machine
    described = {
        fact.name: _PORT.sub("", fact.description) if fact.kind == "rpc" else fact.description for fact in facts
    }
    parts = [f"{device.name} {described[device.name]} {size_text(device.total)}" for device in offload_devices(facts)]
    parts += [f"{fact.name} {fact.description}" for fact in facts if fact.kind == "cpu"]
    return "; ".join(parts)


def settings_text(spec: LoadSpec, flash_attn: bool, n_threads: int | None) -> str:
    """The settings that decide how fast an answer is written, but for layers and context."""
    parts = [f"threads {n_threads}", f"kv {spec.type_k}/{spec.type_v}", f"fa {int(flash_attn)}"]
    if not spec.offload_kqv:
        parts.append("kv in RAM")
    if spec.tensor_split:
        parts.append("split " + ",".join(f"{share:g}" for share in spec.tensor_split))
    return " ".join(parts)
