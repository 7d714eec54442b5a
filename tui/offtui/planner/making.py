"""From a model, its devices and what was measured to a ``PlanView``: pure arithmetic."""

from collections.abc import Mapping, Sequence

import msgspec

from offtui.gguf.header import Header
from offtui.plan.advise import Advice, advise
from offtui.plan.choose import Budget
from offtui.plan.decide import device_budgets
from offtui.plan.placement import choose_on, ladder, placements_of
from offtui.plan.probe import DryPoint, DryResult
from offtui.plan.report import Plan
from offtui.plan.settings import Device, Settings
from offtui.plan.speed import Line, Rate, fit, rates
from offtui.plan.table import Bytes, Model, Row
from offtui.plan.target import Target, of_machine, offload_devices
from offtui.plan.truth import Difference, compare
from offtui.planner.refined import Refined, refine
from offtui.planner.speeds import by_layers, measured_rate, measurements
from offtui.planner.view import RAM, Fit, Ladder, PlanRow, PlanView, Source
from offtui.protocol.events import Loaded
from offtui.protocol.facts import DeviceFacts
from offtui.protocol.spec import LoadSpec, Placement
from offtui.store.measurements import Point

N_PAST = 512
"""Tokens in the cache for which speeds are predicted."""

Known = Mapping[tuple[Placement, int], DryResult]
"""Dry and real loads by placement and layers wholly on devices; the ends, which all share, are whole layers."""
Measured = Mapping[Placement, Sequence[Point]]
"""Speeds by placement; the ends are whole layers."""


class Ground(msgspec.Struct, frozen=True):
    """What a plan stands on besides the model."""

    spec: LoadSpec
    """Without layers and placement."""
    flash_attn: bool
    facts: tuple[DeviceFacts, ...]
    """Every device, with the memory that is free when nothing of ours is loaded."""
    ram_available: int | None
    """Bytes, likewise."""
    contexts: tuple[int | None, ...] = ()
    """Bytes each offload device's backend takes outside its buffers, where it was learned; in their order."""
    bandwidth: float | None = None
    """Bytes per second that decoding may read from RAM, where it was measured."""

    @property
    def devices(self) -> tuple[Device, ...]:
        """Those that layers can be offloaded to."""
        return offload_devices(self.facts)

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """What may be used of each."""
        return device_budgets(self.facts, self.contexts, self.spec.vram_margin)


def settings_of(ground: Ground, header: Header) -> Settings:
    """The settings of the load that is planned."""
    return msgspec.structs.replace(Settings.of(ground.spec, header), flash_attn=ground.flash_attn)


def make_view(
    header: Header,
    model: Model,
    ground: Ground,
    points: Measured | None = None,
    dry: Known | None = None,
    placement: Placement = "layers",
) -> PlanView:
    """The plan of every placement, seen from one of them.

    Args:
        header: of the model.
        model: likewise.
        ground: what the plan stands on.
        points: what was measured.
        dry: what llama.cpp itself said.
        placement: whose rows are looked at first; whole layers where the model has no such placement.
    """
    settings = settings_of(ground, header)
    target = of_machine(ground.facts, cpu=ground.bandwidth, n_threads=ground.spec.n_threads)
    target = msgspec.structs.replace(target, budgets=ground.budgets)
    there = placements_of(model) if target.devices else ("layers",)
    measured = {kind: by_layers((points or {}).get(kind, ())) for kind in there}
    rungs = {kind: ladder(model, settings, target.devices, kind) for kind in there}
    found = [point for kind in there for point in measurements(measured[kind], rungs[kind].table, settings)]
    making = _Making(model, settings, target, fit(target.machine, found), ground.ram_available)
    names = [device.name for device in target.devices]
    ladders: list[Ladder] = []
    looked_at = placement if placement in there else "layers"
    for kind in there:
        better = refine(rungs[kind], _of_kind(dry or {}, kind, model.geometry.n_layer + 1), names)
        own = dict(measured[kind])
        own |= {at: entry for at, entry in measured["layers"].items() if at in (0, model.geometry.n_layer + 1)}
        ladders.append(making.ladder(better, own, rungs[kind].rows))
    known = all(rung.table.known for rung in rungs.values())
    return PlanView(
        ground.spec,
        tuple(ladders),
        looked_at,
        target.budgets,
        settings.ctx_seq,
        learned=tuple(context is not None for context in ground.contexts or (None,) * len(target.budgets)),
        notices=()
        if known
        else (f"The architecture {header.arch} is new here: its weights are exact, cache and compute a guess.",),
        ram=ground.ram_available,
    )


class _Making(msgspec.Struct, frozen=True):
    """What all placements of a plan have in common."""

    model: Model
    settings: Settings
    target: Target
    line: Line
    ram_available: int | None

    def ladder(self, better: Refined, measured: Mapping[int, Sequence[Point]], formula: Sequence[Row]) -> Ladder:
        """One placement for the screen."""
        budget, rungs = self.target.budgets, better.ladder
        layers, choice = choose_on(rungs, budget, self.ram_available)
        speeds = rates(rungs.table, self.settings, self.line, N_PAST)
        found = zip(rungs.rows, speeds, better.sources, formula, strict=True)
        rows = tuple(
            _row(at, row, speed, source, plain, budget, self._room(row), measured.get(at, ()))
            for at, (row, speed, source, plain) in enumerate(found)
        )
        plan = Plan(self.target, rungs.table, speeds, choice, speeds[layers])
        does_fit = choice.fits and rows[layers].fit != "too much"
        return Ladder(rungs.placement, rows, layers, does_fit, choice.why, self._advice(plan))

    def _room(self, row: Row) -> int:
        """Bytes by which the RAM has more than what the system cannot drop of it; mapped weights it can."""
        need = row.resident(use_mmap=self.settings.use_mmap)
        return 0 if self.ram_available is None else self.ram_available - need

    def _advice(self, plan: Plan) -> tuple[Advice, ...]:
        """What would help besides another placement, which the ladders themselves say."""
        found = advise(self.model, self.settings, plan, self.line, ram_available=self.ram_available, n_past=N_PAST)
        return tuple(advice for advice in found if advice.frees)


def compare_load(header: Header, model: Model, loaded: Loaded) -> tuple[Difference, ...]:
    """What the plan says of a load that is up, against its ledger; empty where tensors were placed one by one."""
    if loaded.spec.on_cpu:
        return ()
    ground = Ground(loaded.spec, loaded.flash_attn, loaded.memory, None)
    settings = settings_of(ground, header)
    layers = {entry.name: float(entry.layers) for entry in loaded.devices}
    if len(ground.devices) > 1:
        # by free memory, which has changed since: the split is what it turned out to be
        shares = tuple(layers.get(device.name, 0.0) for device in ground.devices)
        settings = msgspec.structs.replace(settings, tensor_split=shares)
    rungs = ladder(model, settings, ground.devices, placement_of(loaded))
    if not 0 <= loaded.layers.got < len(rungs.rows):
        return ()
    found = compare(rungs.rows[loaded.layers.got], ground.devices, loaded.devices)
    return found if rungs.table.known else tuple(entry for entry in found if entry.purpose == "weights")


def placement_of(loaded: Loaded) -> Placement:
    """How a load is placed; its ends are whole layers, whatever was asked for."""
    placement = loaded.spec.placement
    return "layers" if placement == "best" or loaded.layers.got in (0, loaded.layers.max) else placement


def as_dry_load(loaded: Loaded) -> DryResult | None:
    """The compute buffers of a real load, in the form of a dry one; ``None`` where tensors were placed one by one."""
    if loaded.spec.on_cpu:
        return None
    compute = {entry.name: entry.compute for entry in loaded.devices if entry.kind != "cpu"}
    host = sum(entry.compute for entry in loaded.devices if entry.kind == "cpu")
    return DryResult(DryPoint(loaded.layers.got), compute, host)


def _of_kind(dry: Known, kind: Placement, most: int) -> dict[int, DryResult]:
    return {at: dry[of, at] for of, at in dry if of == kind or (of == "layers" and at in (0, most))}


def _row(
    layers: int,
    row: Row,
    rate: Rate,
    source: Source,
    formula: Row,
    budget: Sequence[Budget],
    ram_left: int,
    measured: Sequence[Point],
) -> PlanRow:
    if measured:
        rate = measured_rate(measured)
    fit, excess, short = _fit(row.devices, budget, layers)
    if -ram_left > excess:
        fit, excess, short = "too much", -ram_left, RAM
    plain = (*(device.compute for device in formula.devices), formula.ram.compute)
    return PlanRow(layers, row.devices, row.ram, fit, excess, short, rate, len(measured), source, plain)


def _fit(needs: Sequence[Bytes], have: Sequence[Budget], layers: int) -> tuple[Fit, int, str]:
    pairs = list(zip(needs, have, strict=True))
    rooms = [(need, budget, budget.room(need)) for need, budget in pairs]
    over = [(need.total - room, budget.name) for need, budget, room in rooms if room is not None]
    excess, name = max(over, default=(0, ""))
    if excess > 0:
        return "too much", excess, name
    unknown = [need for need, _, room in rooms if room is None and (layers or need.weights + need.kv)]
    return ("unknown", 0, "") if unknown else ("fits", 0, "")
