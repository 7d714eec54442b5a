"""Whether two workers can be loaded at once: then the next one loads while the old one goes on answering."""

import os
from collections.abc import Sequence

from msgspec.structs import replace

from offtui.engine.state import Phase, SessionState
from offtui.memory import ram_available
from offtui.plan.choose import budgets
from offtui.plan.pretend import within
from offtui.plan.settings import Device
from offtui.protocol.events import Loaded
from offtui.protocol.facts import DeviceFacts
from offtui.protocol.spec import LoadSpec
from offtui.units import GIB

RAM_MARGIN = GIB
"""Bytes of RAM left free on purpose; at most a sixteenth of it."""


def same_model(loaded: Loaded, spec: LoadSpec) -> bool:
    """Whether ``spec`` is about the model that is loaded, so that its conversation can go on."""
    path = loaded.spec.model if loaded.layout is None else loaded.layout.path
    return spec.model == loaded.spec.model or os.path.realpath(spec.model) == path


def can_move(state: SessionState, spec: LoadSpec) -> bool:
    """Whether the conversation can go on under ``spec``: the same model is up, and does nothing but answer."""
    loaded = state.loaded
    return loaded is not None and state.phase in (Phase.READY, Phase.GENERATING) and same_model(loaded, spec)


def beside(state: SessionState, spec: LoadSpec, used: Sequence[str]) -> LoadSpec | None:
    """How ``spec`` can be loaded beside what is up now; ``None``: not before that is gone.

    It differs from ``spec`` in the slots of RPC devices only, each of which serves one worker; ``used`` are those of
    the one that is up.
    """
    loaded = state.loaded
    if loaded is None or not same_model(loaded, spec):
        return None
    slots = free_slots(spec.rpc, used)
    if slots is None or not both_fit(loaded, state.memory, spec, ram_available()):
        return None
    return replace(spec, rpc=slots, rpc_as_found=False)  # what has no second slot is not to be left out


def both_fit(loaded: Loaded, memory: Sequence[DeviceFacts], spec: LoadSpec, ram_available: int) -> bool:
    """Whether a second load of the same model fits into what the first one leaves free. Pure; in doubt it does not.

    Args:
        loaded: what is up, with the plan's ladder for its settings.
        memory: of all devices, now.
        spec: wanted beside it.
        ram_available: bytes.
    """
    ours = loaded.spec
    layers = spec.n_gpu_layers
    if layers is None or not 0 <= layers < len(loaded.ladder) or len(loaded.ram_ladder) != len(loaded.ladder):
        return False
    if (spec.type_k, spec.type_v, spec.use_mmap) != (ours.type_k, ours.type_v, ours.use_mmap):
        return False
    if (spec.n_batch, spec.n_ubatch, spec.offload_kqv) != (ours.n_batch, ours.n_ubatch, ours.offload_kqv):
        return False
    cache = sum(row.kv for row in loaded.devices)
    growth = max(0, round(cache * ((spec.n_ctx or loaded.n_ctx) / loaded.n_ctx - 1)))
    total = next((device.total for device in memory if device.kind == "cpu"), None) or 0
    need, ram = loaded.ladder[layers], loaded.ram_ladder[layers]
    if (spec.placement, spec.on_cpu) != (ours.placement, ours.on_cpu):
        need, ram = _at_most(loaded)
    if ram + growth > ram_available - min(RAM_MARGIN, total // 16):
        return False
    held = {row.name: row.total for row in loaded.devices}
    devices = [
        Device(d.name, d.free, d.total)
        for d in within(memory, spec.vram_budget, held)
        if d.kind not in ("cpu", "accel")
    ]
    if layers == 0 or not devices:
        return True
    room = [budget.bytes for budget in budgets(devices)]
    known = [free for free in room if free is not None]
    return len(known) == len(room) and sum(known) >= need + growth


def _at_most(loaded: Loaded) -> tuple[int, int]:
    """Bytes of the devices, and of the RAM, that no placement of the model exceeds: all of it lies in either."""
    whole = max(loaded.ladder)
    return whole, max(*loaded.ram_ladder, whole + loaded.ram_ladder[-1])


def free_slots(wanted: Sequence[str], used: Sequence[str]) -> tuple[str, ...] | None:
    """Slots of the wanted RPC devices that no other worker uses: the address itself, or the next port of that host."""
    found: list[str] = []
    for endpoint in wanted:
        slot = endpoint if endpoint not in used else _next_port(endpoint)
        if slot is None or slot in used or slot in found or (slot != endpoint and slot in wanted):
            return None
        found.append(slot)
    return tuple(found)


def _next_port(endpoint: str) -> str | None:
    host, colon, port = endpoint.rpartition(":")
    return f"{host}:{int(port) + 1}" if colon and port.isdecimal() and int(port) < 65535 else None
