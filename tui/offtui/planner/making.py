"""From a model, its devices and what was measured to a ``PlanView``: pure arithmetic."""

from collections.abc import Sequence

import msgspec

from offtui.gguf.header import Header
from offtui.plan.advise import advise
from offtui.plan.choose import Budget, budgets
from offtui.plan.probe import DryPoint, DryResult
from offtui.plan.report import Plan, make_plan, with_dry_loads
from offtui.plan.settings import Device, Settings
from offtui.plan.speed import Rate, fit
from offtui.plan.table import Bytes, Model, Row, table
from offtui.plan.target import of_machine, offload_devices
from offtui.plan.truth import Difference, compare
from offtui.planner.speeds import by_layers, measured_rate, measurements
from offtui.planner.view import Fit, PlanRow, PlanView
from offtui.protocol.events import Loaded
from offtui.protocol.facts import DeviceFacts
from offtui.protocol.spec import LoadSpec
from offtui.store.measurements import Point

N_PAST = 512
"""Tokens in the cache for which speeds are predicted."""


class Ground(msgspec.Struct, frozen=True):
    """What a plan stands on besides the model."""

    spec: LoadSpec
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
        devices = self.devices
        contexts = self.contexts or (None,) * len(devices)
        pairs = zip(devices, contexts, strict=True)
        return tuple(budgets([device], context=context)[0] for device, context in pairs)


def settings_of(ground: Ground, header: Header) -> Settings:
    """The settings of the load that is planned."""
    return msgspec.structs.replace(Settings.of(ground.spec, header), flash_attn=ground.flash_attn)


def make_view(
    header: Header, model: Model, ground: Ground, points: Sequence[Point] = (), dry: Sequence[DryResult] = ()
) -> tuple[PlanView, Plan]:
    """The view, and the plan it is made from."""
    settings = settings_of(ground, header)
    target = of_machine(ground.facts, cpu=ground.bandwidth, n_threads=ground.spec.n_threads)
    target = msgspec.structs.replace(target, budgets=ground.budgets)
    measured = by_layers(points)
    line = fit(target.machine, measurements(measured, table(model, settings, target.devices), settings))
    plan = make_plan(model, settings, target, line, ram_available=ground.ram_available, n_past=N_PAST)
    if dry:
        plan = with_dry_loads(plan, dry, settings, line, ground.ram_available, N_PAST)
    found = zip(plan.table.rows, plan.rates, strict=True)
    view = PlanView(
        ground.spec,
        tuple(_row(row, rate, plan, measured.get(row.n_gpu_layers, ())) for row, rate in found),
        plan.choice.budgets,
        plan.choice.n_gpu_layers,
        plan.choice.why,
        settings.ctx_seq,
        advise(model, settings, plan, line, ram_available=ground.ram_available, n_past=N_PAST),
        notices=()
        if plan.table.known
        else (f"The architecture {header.arch} is new here: its weights are exact, cache and compute a guess.",),
    )
    return view, plan


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
    rows = table(model, settings, ground.devices)
    if not 0 <= loaded.layers.got < len(rows.rows):
        return ()
    found = compare(rows.rows[loaded.layers.got], ground.devices, loaded.devices)
    return found if rows.known else tuple(entry for entry in found if entry.purpose == "weights")


def as_dry_load(loaded: Loaded) -> DryResult | None:
    """The compute buffers of a real load, in the form of a dry one; ``None`` where tensors were placed one by one."""
    if loaded.spec.on_cpu:
        return None
    compute = {entry.name: entry.compute for entry in loaded.devices if entry.kind != "cpu"}
    host = sum(entry.compute for entry in loaded.devices if entry.kind == "cpu")
    return DryResult(DryPoint(loaded.layers.got), compute, host)


def _row(row: Row, rate: Rate, plan: Plan, measured: Sequence[Point]) -> PlanRow:
    if measured:
        rate = measured_rate(measured)
    fit, excess, short = _fit(row.devices, plan.choice.budgets, row.n_gpu_layers)
    return PlanRow(
        row.n_gpu_layers, row.devices, row.ram, fit, excess, short, rate, len(measured), row.n_gpu_layers in plan.dry
    )


def _fit(needs: Sequence[Bytes], have: Sequence[Budget], layers: int) -> tuple[Fit, int, str]:
    pairs = list(zip(needs, have, strict=True))
    if layers == 0 and not any(need.weights + need.kv for need in needs):
        return "fits", 0, ""
    over = [(need.total - budget.bytes, budget.name) for need, budget in pairs if budget.bytes is not None]
    excess, name = max(over, default=(0, ""))
    if excess > 0:
        return "too much", excess, name
    return ("unknown", 0, "") if any(budget.bytes is None for budget in have) else ("fits", 0, "")
