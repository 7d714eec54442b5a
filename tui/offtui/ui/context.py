"""What becomes of a context that is nearly full: whether a larger one fits, by the plan. Pure."""

from typing import TYPE_CHECKING

from offtui.engine.state import SessionState

if TYPE_CHECKING:
    from offtui.planner.view import PlanView

NEAR = 8
"""One part of so many of the context is left when it counts as nearly full."""
GROWTH = 1.15
"""Compute buffers grow with the context too, by less than that share of the KV cache."""


def is_nearly_full(state: SessionState) -> bool:
    """Whether an answer will soon have no room."""
    loaded = state.loaded
    return loaded is not None and state.n_past > loaded.n_ctx - loaded.n_ctx // NEAR


def larger(state: SessionState, plan: "PlanView | None") -> int | None:
    """The context to load instead: twice as long, at most what the model was trained for; ``None``: there is none.

    Only where KV cache and what depends on it fit beside everything else, on each device and in RAM.
    """
    loaded = state.loaded
    if loaded is None or plan is None or plan.spec.model != loaded.spec.model:
        return None
    n_ctx = min(2 * loaded.n_ctx, max(loaded.model.n_ctx_train, loaded.n_ctx))
    if n_ctx <= loaded.n_ctx:
        return None
    share = GROWTH * (n_ctx - loaded.n_ctx) / loaded.n_ctx
    budgets = {budget.name: budget.bytes for budget in plan.budgets}
    free = {device.name: device.free for device in state.memory or loaded.memory}
    for device in loaded.devices:
        more, room = round(device.kv * share), free.get(device.name)
        budget = budgets.get(device.name)
        if (budget is not None and device.total + more > budget) or (
            budget is None and room is not None and more > room
        ):
            return None
    return n_ctx
