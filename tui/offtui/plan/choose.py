"""The choice: the most layers that fit a budget, and why in one sentence."""

from collections.abc import Sequence

import msgspec

from offtui.gguf.header import Header
from offtui.plan.settings import Device, Settings
from offtui.plan.table import Bytes, Model, PlacementKind, Row, Table, table
from offtui.protocol.spec import LoadSpec
from offtui.units import GIB, MIB, UNKNOWN

MARGIN = 512 * MIB
"""Bytes of a device left free on purpose."""
SMALL_MARGIN = 1 / 16
"""Of a device's memory, where that is less than ``MARGIN``."""
CONTEXTS = {"CUDA": 350 * MIB, "ROCm": 350 * MIB, "MUSA": 350 * MIB, "Vulkan": 150 * MIB, "SYCL": 350 * MIB}
"""Bytes a backend takes outside its buffers (context, libraries' workspaces), until a measurement says otherwise."""

__all__ = ["Budget", "Choice", "Device", "budgets", "choose", "choose_from"]


class Budget(msgspec.Struct, frozen=True):
    """What may be used of one device, and what of it is held back."""

    name: str
    bytes: int | None
    """Bytes for weights, cache and compute; never below 0. ``None``: the device's memory is unknown."""
    context: int
    """Bytes held back for the backend's own context."""
    margin: int
    """Bytes held back on purpose; less than was meant where there is not so much."""

    def room(self, need: Bytes) -> int | None:
        """Bytes that ``need`` may take: the compute buffers that 0 layers need too may take the margin as well."""
        if self.bytes is None or need.weights + need.kv > 0:
            return self.bytes
        return self.bytes + self.margin


class Choice(msgspec.Struct, frozen=True):
    """A layer count with its reason."""

    n_gpu_layers: int
    why: str
    """One sentence: ``"31 of 47 layers: 32 would need 11.4 of 11.1 GiB on CUDA0."``"""
    row: Row
    placement: PlacementKind
    fits: bool
    """Whether the row fits; ``False`` where not even the strategy's smallest does."""
    budgets: tuple[Budget, ...]
    fits_ram: bool
    """Whether what stays in RAM fits what is available; mapped weights can be dropped, so it is a warning only."""


def choose(
    header: Header, spec: LoadSpec, devices: Sequence[Device], ram_available: int | None, *, margin: int = MARGIN
) -> Choice:
    """The most layers of a model that fit the devices' free memory.

    Args:
        header: of the model.
        spec: how it will be loaded; its ``n_gpu_layers`` is ignored.
        devices: those that layers can be offloaded to, in llama.cpp's order.
        ram_available: bytes; ``None`` unknown.
        margin: bytes left free on each device.
    """
    settings = Settings.of(spec, header)
    rows = table(Model.of(header), settings, devices)
    return choose_from(rows, budgets(devices, margin=margin), ram_available)


def budgets(
    devices: Sequence[Device], *, margin: int = MARGIN, context: int | None = None, back: Sequence[int] = ()
) -> tuple[Budget, ...]:
    """What may be used of each device.

    Args:
        devices: with their free memory now.
        margin: bytes left free on purpose; on small devices a sixteenth of their memory.
        context: bytes the backend takes outside its buffers; ``None``: the usual for the device's kind.
        back: bytes per device that the running model will give back first.
    """
    found: list[Budget] = []
    for index, device in enumerate(devices):
        free = device.free if device.free is not None else device.total
        held = _context_of(device.name) if context is None else context
        if free is None:
            found.append(Budget(device.name, None, held, margin))
            continue
        free += back[index] if index < len(back) else 0
        left = min(margin, round((device.total or free) * SMALL_MARGIN), max(free - held, 0))
        found.append(Budget(device.name, max(free - held - left, 0), held, left))
    return tuple(found)


def choose_from(rows: Table, budget: Sequence[Budget], ram_available: int | None) -> Choice:
    """The largest row that fits every device's budget; not bisected, as compute buffers are not monotonic."""
    fitting = [index for index, row in enumerate(rows.rows) if fits(row, budget)]
    index = fitting[-1] if fitting and budget else 0
    row = rows.rows[index]
    need = row.ram.total
    fits_ram = ram_available is None or need <= ram_available
    why = _why(rows, index, budget, bool(fitting))
    if not fits_ram and ram_available is not None:
        why += f" RAM is short: {need / GIB:.1f} of {ram_available / GIB:.1f} GiB; {_in_ram(row, ram_available)}."
    return Choice(row.n_gpu_layers, why, row, rows.placement, bool(fitting), tuple(budget), fits_ram)


def fits(row: Row, budget: Sequence[Budget]) -> bool:
    """Whether a row fits every device; a device of unknown memory fits only what puts nothing on it."""
    for have, device in zip(budget, row.devices, strict=True):
        room = have.room(device)
        if room is None and device.weights + device.kv == 0 and row.n_gpu_layers == 0:
            continue
        if room is None or device.total > room:
            return False
    return True


def _why(rows: Table, index: int, budget: Sequence[Budget], any_fits: bool) -> str:
    row, most = rows.rows[index], rows.rows[-1].n_gpu_layers
    if not budget:
        return f"0 of {most} layers: there is no GPU device."
    unknown = [have.name for have in budget if have.bytes is None]
    if unknown:
        names = ", ".join(unknown)
        return f"{_count(rows, row, most)}: the free memory of {names} is unknown; ask for layers yourself."
    names = " and ".join(have.name for have in budget)
    if not any_fits:
        short, need = _shortest(row, budget)
        if rows.placement == "layers":
            return f"Not even 0 of {most} layers: the compute buffers {_needs(need, short, '')}."
        return f"Not even with the matrices of {row.n_kept} layers in RAM: it {_needs(need, short, '')}."
    if index == len(rows.rows) - 1:
        return f"All {most} layers: they need {_of(row.vram.total, _sum(budget), 1)} on {names}."
    after = rows.rows[index + 1]
    short, need = _shortest(after, budget)
    more = after.n_gpu_layers if rows.placement == "layers" else after.n_kept
    return f"{_count(rows, row, most)}: {_needs(need, short, f'{more} ')}."


def _count(rows: Table, row: Row, most: int) -> str:
    if rows.placement == "layers":
        return f"{row.n_gpu_layers} of {most} layers"
    what = "feed-forward matrices" if rows.placement == "ffn" else "experts"
    return f"All {most} layers, but the {what} of {row.n_kept} in RAM"


def _in_ram(row: Row, available: int) -> str:
    """What would help where RAM is short."""
    left = available - row.ram.kv - row.ram.compute
    if left <= 0:
        return "not even the KV cache fits"
    return f"weights beyond {left / GIB:.1f} GiB would be read from disk for each token"


def _needs(need: int, short: Budget, subject: str) -> str:
    # as many digits as tell the two apart
    pairs = (_of(need, short.bytes, digits) for digits in (1, 2, 3))
    apart = next((pair for pair in pairs if len({*pair.split()[:3:2]}) == 2), _of(need, short.bytes, 3))
    return f"{subject}would need {apart} on {short.name}"


def _shortest(row: Row, budget: Sequence[Budget]) -> tuple[Budget, int]:
    """The device that a row does not fit, and what it would need there."""
    pairs = list(zip(budget, row.devices, strict=True))
    rooms = [(have, device.total, have.room(device)) for have, device in pairs]
    over = [(have, need) for have, need, room in rooms if room is not None and need > room]
    return over[0] if over else (pairs[0][0], pairs[0][1].total)


def _sum(budget: Sequence[Budget]) -> int:
    return sum(have.bytes or 0 for have in budget)


def _of(need: int, have: int | None, digits: int) -> str:
    """``"11.4 of 11.1 GiB"``; in MiB where both are less than one."""
    unit, name = (MIB, "MiB") if max(need, have or 0) < GIB else (GIB, "GiB")

    def number(size: int | None) -> str:
        if size is None:
            return UNKNOWN
        value = size / unit
        return f"{value:.{max(digits, 1 if value >= 1 or unit is MIB else 2)}f}"

    return f"{number(need)} of {number(have)} {name}"


def _context_of(name: str) -> int:
    return next((size for prefix, size in CONTEXTS.items() if name.startswith(prefix)), 0)
