"""What to load instead of what did not fit: the next step down by the plan, with its reason. Pure."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from offtui.plan.choose import MARGIN
from offtui.planner.view import PlanRow, PlanView, part_of
from offtui.protocol.spec import LoadSpec
from offtui.units import MIB, size_text

SLACK = 256 * MIB
"""Bytes of a device to leave free besides, where a load failed that the plan let through."""
SMALL_SLACK = 1 / 16
"""Of what that load needs there, where it is less."""
SMALLEST_CONTEXT = 512
"""Tokens; nothing shorter is tried."""


class Fitting(msgspec.Struct, frozen=True):
    """What is loaded instead, and one sentence why."""

    spec: LoadSpec
    why: str


def fit_below(plan: PlanView | None, failed: LoadSpec, ram_available: int) -> Fitting | None:
    """The largest load below the one that failed which the plan lets through; ``None`` where there is none.

    A load that the plan had let through teaches that less memory is free than it thinks: the next one leaves more.

    Args:
        plan: of that model; ``None``: there is none yet, and the worker's own choice has to do.
        failed: what did not fit.
        ram_available: bytes.
    """
    if plan is None or not plan.budgets:
        return _unplanned(failed)
    plan = plan.under(plan.best.placement if failed.placement == "best" else failed.placement)
    n_ctx = failed.n_ctx or plan.n_ctx
    asked = min(max(plan.choice if failed.n_gpu_layers is None else failed.n_gpu_layers, 0), plan.most)
    while n_ctx >= SMALLEST_CONTEXT:
        shrunk = n_ctx < (failed.n_ctx or plan.n_ctx)
        found = _largest(plan, asked, n_ctx, ram_available, among_same=shrunk)
        if found is not None:
            layers, why = found
            if shrunk:
                why = f"a context of {n_ctx} tokens with {layers} of {plan.most} layers: a longer one does not fit."
            changes = {"n_gpu_layers": layers, "placement": plan.placement, "n_ctx": n_ctx if shrunk else failed.n_ctx}
            return Fitting(replace(failed, **changes), why)
        n_ctx = n_ctx // 2 // 256 * 256
    return None


def _unplanned(failed: LoadSpec) -> Fitting:
    if failed.n_gpu_layers is not None:
        return Fitting(replace(failed, n_gpu_layers=None), "as many layers as fit by the worker's own plan.")
    margin = 2 * (MARGIN if failed.vram_margin is None else failed.vram_margin)
    why = f"as many layers as fit with {size_text(margin)} of each device left free."
    return Fitting(replace(failed, vram_margin=margin), why)


def _largest(plan: PlanView, asked: int, n_ctx: int, ram_available: int, *, among_same: bool) -> tuple[int, str] | None:
    """The largest count below ``asked``, or that count itself where the context is shorter, and why so many."""
    have = [budget.bytes for budget in plan.budgets]
    before = _needs(plan.rows[asked], plan, n_ctx)
    was_planned = not among_same and _fits(before, have)
    limits = [need - _slack(need) for need in before] if was_planned else have
    for layers in range(asked if among_same else asked - 1, -1, -1):
        row = plan.rows[layers]
        needs = _needs(row, plan, n_ctx)
        ram = row.ram.kv * n_ctx // plan.n_ctx + row.ram.compute
        if ram <= ram_available and (layers == 0 or _fits(needs, limits)):
            return layers, _why(plan, layers, asked, n_ctx, was_planned=was_planned)
    return None


def _needs(row: PlanRow, plan: PlanView, n_ctx: int) -> list[int]:
    """Bytes of each device with a context of ``n_ctx`` tokens: the cache grows with it."""
    return [device.weights + device.kv * n_ctx // plan.n_ctx + device.compute for device in row.devices]


def _fits(needs: Sequence[int], have: Sequence[int | None]) -> bool:
    return all(size is None or need <= size for need, size in zip(needs, have, strict=True))


def _slack(need: int) -> int:
    return min(SLACK, round(need * SMALL_SLACK))


def _why(plan: PlanView, layers: int, asked: int, n_ctx: int, *, was_planned: bool) -> str:
    count = f"{layers} of {plan.most} layers"
    if was_planned:
        return f"{count}: {asked} did not fit though the plan said so, and these leave more free."
    needs = _needs(plan.rows[min(layers + 1, plan.most)], plan, n_ctx)
    for budget, need in zip(plan.budgets, needs, strict=True):
        if budget.bytes is not None and need > budget.bytes:
            return f"{count}: {layers + 1} would need {part_of(need, budget.bytes)} on {budget.name}."
    return f"{count}: the most below {asked} that fits."
