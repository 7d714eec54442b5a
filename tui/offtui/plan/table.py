"""The table: what every ``n_gpu_layers`` costs on each device and in RAM. Pure arithmetic, milliseconds."""

import struct
from collections.abc import Sequence
from itertools import accumulate, pairwise

import msgspec

from offtui.gguf.header import Header
from offtui.plan.cache import layer_bytes
from offtui.plan.compute import Compute, compute, copied_kv
from offtui.plan.geometry import Geometry, geometry
from offtui.plan.settings import Device, Settings
from offtui.plan.weights import Group, Span, Weights, weights
from offtui.protocol.spec import Placement

PlacementKind = Placement
"""What moves: whole layers from the last; the feed-forward matrices of the first ones back to RAM; or their experts."""


class Bytes(msgspec.Struct, frozen=True):
    """Memory of one device, or of all of a kind, by purpose."""

    weights: int = 0
    kv: int = 0
    """KV cache and recurrent state."""
    compute: int = 0
    """Compute and output buffers."""

    @property
    def total(self) -> int:
        """Bytes of all purposes."""
        return self.weights + self.kv + self.compute

    def __add__(self, other: "Bytes") -> "Bytes":
        return Bytes(self.weights + other.weights, self.kv + other.kv, self.compute + other.compute)


class Row(msgspec.Struct, frozen=True):
    """One placement: an ``n_gpu_layers``, or all layers offloaded but for the matrices of some."""

    n_gpu_layers: int
    devices: tuple[Bytes, ...]
    """Per device, in the order given."""
    ram: Bytes
    mapped: int
    """Bytes of the file that are mapped for the CPU's tensors: from the first to the last of them in each part."""

    gpu_read: int
    """Bytes of weights on devices that one token reads: of experts only those used, of the embedding nothing."""
    cpu_read: int
    """Likewise in RAM."""
    n_kept: int = 0
    """Layers from the first whose feed-forward or expert matrices stay in RAM."""
    handovers: int = 0
    """Times a token goes from one device, or the CPU, to another; it starts and ends in RAM."""

    @property
    def vram(self) -> Bytes:
        """All devices together."""
        return sum(self.devices, Bytes())

    def resident(self, *, use_mmap: bool = True) -> int:
        """Bytes of RAM that the system cannot drop: mapped weights it reads from the file again."""
        return self.ram.kv + self.ram.compute + (0 if use_mmap else self.ram.weights)


class Model(msgspec.Struct, frozen=True):
    """A model ready for arithmetic; make it once per file."""

    geometry: Geometry
    weights: Weights

    @classmethod
    def of(cls, header: Header) -> "Model":
        """From a header."""
        return cls(geometry(header), weights(header))


class Table(msgspec.Struct, frozen=True):
    """All rows of a model with one set of settings and one strategy, from the fewest bytes on the devices to all."""

    rows: tuple[Row, ...]
    placement: PlacementKind
    known: bool
    """Whether cache and compute are arithmetic that was checked; weights always are."""


def table(model: Model, settings: Settings, devices: Sequence[Device], placement: PlacementKind = "layers") -> Table:
    """The rows of one strategy.

    Args:
        model: with its weights sorted.
        settings: how it is loaded.
        devices: those that layers are offloaded to; with none, all bytes are in RAM in each row.
        placement: ``layers`` gives the rows ``n_gpu_layers`` 0…n_layer+1; ``ffn`` and ``experts`` offload every layer
            and give the rows that keep the matrices of n_layer…0 layers in RAM.
    """
    plan = _Plan(model, settings, devices)
    n_layer = model.geometry.n_layer
    if not devices:
        row = plan.row(0)
        rows = tuple(Row(k, (), row.ram, row.mapped, 0, row.cpu_read) for k in range(n_layer + 2))
        return Table(rows, "layers", model.geometry.known)
    if placement == "layers":
        rows = tuple(plan.row(k) for k in range(n_layer + 2))
    else:
        groups = model.weights.ffn if placement == "ffn" else model.weights.experts
        rows = tuple(plan.kept_row(groups, kept) for kept in range(n_layer, -1, -1))
    return Table(rows, placement, model.geometry.known)


def kept_patterns(placement: PlacementKind, n_kept: int) -> tuple[str, ...]:
    """The tensors that a row keeps in RAM, as patterns for llama.cpp's ``tensor_buft_overrides``."""
    if n_kept == 0 or placement == "layers":
        return ()
    layers = "|".join(str(layer) for layer in range(n_kept))
    names = r"(up|down|gate)\.weight" if placement == "ffn" else r"(up|down|gate_up|gate)_(ch|)exps"
    return (rf"blk\.({layers})\.ffn_{names}",)


def layer_devices(n_layer: int, n_gpu_layers: int, shares: Sequence[float]) -> list[int]:
    """The device of each offloaded layer, the output among them as the last, as llama.cpp splits them.

    Args:
        n_layer: blocks.
        n_gpu_layers: 0…n_layer+1.
        shares: how much each device gets; all zero counts as equal.

    Returns:
        As many indices into ``shares`` as layers are offloaded.
    """
    active = min(n_gpu_layers, n_layer + 1)
    wanted = [share if share > 0 else 0.0 for share in shares]
    if not any(wanted):
        wanted = [1.0] * len(shares)
    sums = list(accumulate(wanted, lambda a, b: _f32(a + b)))
    ends = [_f32(total / sums[-1]) for total in sums]
    found: list[int] = []
    for position in range(active):
        at = _f32(position / active)
        found.append(next((index for index, end in enumerate(ends) if end > at), len(ends) - 1))
    return found


def _f32(value: float) -> float:
    """``value`` as C's float has it: llama.cpp compares split points in it."""
    return struct.unpack("f", struct.pack("f", value))[0]


def is_cuda(name: str) -> bool:
    """Whether a device pads its buffers as CUDA does."""
    return name.startswith(("CUDA", "ROCm", "MUSA"))


def takes_over(name: str) -> bool:
    """Whether a device evaluates large products whose weights lie in RAM (``op_offload``); RPC servers do not."""
    return not name.startswith("RPC")


class _Plan:
    """Prefix sums over the layers, so that each row is a few additions."""

    def __init__(self, model: Model, settings: Settings, devices: Sequence[Device]) -> None:
        self._g, self._w, self._settings, self._devices = model.geometry, model.weights, settings, devices
        self.compute: Compute = compute(model.geometry, model.weights, settings)
        self._narrow: Compute = compute(model.geometry, model.weights, settings, narrow=True)
        self._copied = copied_kv(model.geometry, settings)
        narrow = [layer.windowed or not layer.k for layer in model.geometry.layers]
        self._first_narrow = narrow.index(False) if False in narrow else len(narrow)
        self._cuda = [is_cuda(device.name) for device in devices]
        self._cpu_weights = [0, *accumulate(group.cpu for group in model.weights.layers)]
        self._cuda_weights = [0, *accumulate(group.cuda for group in model.weights.layers)]
        self._cpu_kv = [0, *accumulate(layer_bytes(model.geometry, settings, cuda=False))]
        self._cuda_kv = [0, *accumulate(layer_bytes(model.geometry, settings, cuda=True))]
        self._read = [0, *accumulate(group.read for group in model.weights.layers)]
        self._shares = _shares(settings, devices)
        takers = (index for index, device in enumerate(devices) if takes_over(device.name))
        self._taker = next(takers, None) if settings.op_offload else None
        """The device that evaluates large products whose weights lie in RAM: the first that does so at all."""
        self._spans = _prefix_spans(model.weights)

    def row(self, k: int) -> Row:
        n_layer, w = self._g.n_layer, self._w
        first = n_layer + 1 - k
        placed = layer_devices(n_layer, k, self._shares)
        devices: list[Bytes] = []
        for index in range(len(self._devices)):
            mine = [position for position, device in enumerate(placed) if device == index]
            low, high = (first + mine[0], first + mine[-1] + 1) if mine else (0, 0)
            devices.append(self._device(index, k, low, high))
        on_cpu = min(first, n_layer)
        cpu_weights = w.input.cpu + self._cpu_weights[on_cpu]
        if on_cpu:
            cpu_weights += w.per_device.cpu
        if k == 0:
            cpu_weights += w.output.cpu
        cpu_kv = self._cpu_kv[on_cpu if self._settings.offload_kqv else n_layer]
        ram = Bytes(cpu_weights, cpu_kv, self._host(k) + self.compute.output)
        output = w.output.read
        cpu_read = self._read[on_cpu] + (output if k == 0 else 0)
        gpu_read = self._read[-1] + output - cpu_read
        handovers = 2 + sum(a != b for a, b in pairwise(placed)) if placed else 0
        return Row(k, tuple(devices), ram, self._mapped(on_cpu, k), gpu_read, cpu_read, handovers=handovers)

    def kept_row(self, groups: Sequence[Group], kept: int) -> Row:
        """Every layer offloaded, but for these groups of the first ``kept`` layers."""
        full = self.row(self._g.n_layer + 1)
        if not any(group.cpu for group in groups[:kept]):
            return full
        placed = layer_devices(self._g.n_layer, self._g.n_layer + 1, self._shares)
        devices: list[Bytes] = []
        for index, have in enumerate(full.devices):
            mine = [groups[layer] for layer in range(kept) if placed[layer] == index]
            size = sum(group.cuda if self._cuda[index] else group.cpu for group in mine)
            used = max(self.compute.partial(0), have.compute) if index == self._taker else have.compute
            devices.append(Bytes(have.weights - size, have.kv, used))
        moved = groups[:kept]
        read = sum(group.read for group in moved)
        host = (
            full.ram.compute
            if self._taker is not None
            else max(full.ram.compute, self.compute.host_kept + self.compute.output)
        )
        ram = Bytes(full.ram.weights + sum(group.cpu for group in moved), full.ram.kv, host)
        spans = dict(self._w.input.spans)
        for group in moved:
            spans = _merged(spans, group)
        mapped = sum(span.last - span.first for span in spans.values())
        gpu_read, cpu_read, handovers = full.gpu_read - read, full.cpu_read + read, full.handovers + 2 * kept
        return Row(self._g.n_layer + 1, tuple(devices), ram, mapped, gpu_read, cpu_read, kept, handovers)

    def _device(self, index: int, k: int, low: int, high: int) -> Bytes:
        """What lies on one device that has the layers ``low``…``high - 1``; layer ``n_layer`` is the output."""
        n_layer, w, cuda = self._g.n_layer, self._w, self._cuda[index]
        blocks = min(high, n_layer)
        sums, cache = (self._cuda_weights, self._cuda_kv) if cuda else (self._cpu_weights, self._cpu_kv)
        size = kv = 0
        if blocks > low:
            size = sums[blocks] - sums[low] + (w.per_device.cuda if cuda else w.per_device.cpu)
            kv = cache[blocks] - cache[low] if self._settings.offload_kqv else 0
        if high > n_layer:
            size += self._output(cuda)
        return Bytes(size, kv, self._compute(index, k, low, high))

    def _compute(self, index: int, k: int, low: int, high: int) -> int:
        c, n_layer = self.compute, self._g.n_layer
        takes = index == self._taker
        if high <= low:
            # without layers it still takes over large products
            return c.partial(self._copied[min(n_layer + 1 - k, n_layer)]) if takes else 0
        if k > n_layer and high > n_layer:
            return c.full
        if takes and k <= n_layer:
            return c.partial(self._copied[n_layer + 1 - k])
        # blocks that only predict further tokens are placed, but never evaluated
        trunk = n_layer - self._g.n_nextn
        if low >= trunk:
            return c.logits
        used = c.last if low == trunk - 1 else c.layers
        return max(used, c.logits) if high > n_layer else used

    def _output(self, cuda: bool) -> int:
        w = self._w
        if cuda:
            return w.output.cuda
        return w.output.cpu + (w.output_matrix if w.tied else 0)

    def _host(self, k: int) -> int:
        c, n_layer = self.compute, self._g.n_layer
        if k > n_layer or self._taker is not None:
            return c.host
        if k == 0:
            return max(c.full, c.host_layers)
        on_cpu = n_layer + 1 - k
        return (self._narrow if on_cpu <= self._first_narrow else c).host_layers

    def _mapped(self, on_cpu: int, k: int) -> int:
        total = 0
        for part in range(self._w.n_parts):
            span = _join(self._spans[on_cpu].get(part), self._w.input.spans.get(part))
            if on_cpu:
                span = _join(span, self._w.per_device.spans.get(part))
            if k == 0:
                span = _join(span, self._w.output.spans.get(part))
            if span is not None:
                total += span.last - span.first
        return total


def _shares(settings: Settings, devices: Sequence[Device]) -> list[float]:
    if any(share > 0 for share in settings.tensor_split):
        given = settings.tensor_split[: len(devices)]
        return [*given, *[0.0] * (len(devices) - len(given))]
    return [float(device.free or 0) for device in devices]


def _join(a: Span | None, b: Span | None) -> Span | None:
    if a is None or b is None:
        return a or b
    return Span(min(a.first, b.first), max(a.last, b.last))


def _prefix_spans(model: Weights) -> list[dict[int, Span]]:
    """Per number of layers on the CPU, the span of their tensors in each part."""
    spans: list[dict[int, Span]] = [{}]
    for group in model.layers:
        spans.append(_merged(spans[-1], group))
    return spans


def _merged(spans: dict[int, Span], group: Group) -> dict[int, Span]:
    merged = dict(spans)
    for part, span in group.spans.items():
        merged[part] = _join(merged.get(part), span) or span
    return merged
