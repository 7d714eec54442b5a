"""One plan: the table of a strategy for one target, its speeds and the choice, for a screen or a command to show."""

from collections.abc import Mapping, Sequence

import msgspec

from offtui.plan.choose import Choice, choose_from
from offtui.plan.probe import DryResult
from offtui.plan.settings import Settings
from offtui.plan.speed import Line, Rate, rates
from offtui.plan.table import Bytes, Model, PlacementKind, Row, Table, table
from offtui.plan.target import Target
from offtui.protocol.spec import Strategy


class Plan(msgspec.Struct, frozen=True):
    """A strategy on a target."""

    target: Target
    table: Table
    rates: tuple[Rate, ...]
    """Of each row."""
    choice: Choice
    rate: Rate
    """Of the chosen row."""
    dry: frozenset[int] = frozenset()
    """Layer counts whose compute buffers llama.cpp itself gave."""


def make_plan(
    model: Model,
    settings: Settings,
    target: Target,
    line: Line,
    *,
    strategy: Strategy = "layers",
    ram_available: int | None = None,
    n_past: int = 512,
) -> Plan:
    """The plan of a strategy; of ``best`` the one that promises most tokens per second among those that fit."""
    kinds: Sequence[PlacementKind] = (strategy,) if strategy != "best" else ("layers", "ffn", "experts")
    plans: list[Plan] = []
    for kind in kinds:
        if strategy == "best" and kind == "experts" and not model.weights.largest_experts:
            continue
        rows = table(model, settings, target.devices, kind)
        plans.append(_plan(rows, settings, target, line, ram_available, n_past))
    return max(plans, key=lambda plan: (plan.choice.fits, plan.rate.value))


def with_dry_loads(
    plan: Plan, results: Sequence[DryResult], settings: Settings, line: Line, ram_available: int | None, n_past: int
) -> Plan:
    """The plan with the compute buffers that llama.cpp itself gave, where it gave any; it wins over the arithmetic."""
    names = [device.name for device in plan.target.devices]
    found = {result.point.n_gpu_layers: result for result in results if result.failure is None}
    rows = tuple(_corrected(row, found, names) for row in plan.table.rows)
    better = Table(rows, plan.table.placement, plan.table.known)
    again = _plan(better, settings, plan.target, line, ram_available, n_past)
    return msgspec.structs.replace(again, dry=frozenset(found))


def with_measured(plan: Plan, measured: Mapping[int, Rate]) -> Plan:
    """The plan with what was measured of its layer counts in the place of what the line says."""
    if plan.table.placement != "layers" or not measured:
        return plan
    pairs = zip(plan.table.rows, plan.rates, strict=True)
    found = tuple(measured.get(row.n_gpu_layers, rate) for row, rate in pairs)
    return msgspec.structs.replace(plan, rates=found, rate=found[plan.table.rows.index(plan.choice.row)])


def points_to_try(plan: Plan, cursor: int | None = None) -> tuple[int, ...]:
    """The layer counts worth a dry load: the choice and its neighbours, none, the output, all, and the cursor."""
    most = plan.table.rows[-1].n_gpu_layers
    k = plan.choice.n_gpu_layers
    wanted = {0, 1, k - 1, k, k + 1, most, k if cursor is None else cursor}
    return tuple(sorted(point for point in wanted if 0 <= point <= most))


def _plan(rows: Table, settings: Settings, target: Target, line: Line, ram_available: int | None, n_past: int) -> Plan:
    choice = choose_from(rows, target.budgets, ram_available)
    speeds = rates(rows, settings, line, n_past)
    return Plan(target, rows, speeds, choice, speeds[rows.rows.index(choice.row)])


def _corrected(row: Row, found: Mapping[int, DryResult], names: Sequence[str]) -> Row:
    dry = found.get(row.n_gpu_layers)
    if dry is None:
        return row
    devices = tuple(
        Bytes(have.weights, have.kv, dry.compute.get(name, 0)) for name, have in zip(names, row.devices, strict=True)
    )
    ram = Bytes(row.ram.weights, row.ram.kv, dry.host + dry.output)
    return msgspec.structs.replace(row, devices=devices, ram=ram)
