"""A word when other processes give device memory back or take it: what would fit now. Nothing is loaded by it."""

from typing import TYPE_CHECKING

from offtui.protocol.events import Loaded
from offtui.units import MIB, size_text

if TYPE_CHECKING:
    from offtui.planner.view import PlanView

WORTH = 256 * MIB
"""Bytes from which a change is worth a word; or a sixteenth of what there is, where that is less."""


class Sharing:
    """Compares each plan with the first one after a load: what the load itself takes is counted in by both."""

    def __init__(self) -> None:
        self._loaded: Loaded | None = None
        self._first: PlanView | None = None

    def hint(self, plan: "PlanView", loaded: Loaded | None) -> str:
        """``5.2 GiB freed: 14 more layers would fit``; empty where nothing has changed that matters."""
        if loaded is None or plan.spec.model != loaded.spec.model:
            return ""
        if loaded is not self._loaded or self._first is None:
            self._loaded, self._first = loaded, plan
            return ""
        return memory_hint(self._first, plan, loaded)


def memory_hint(first: "PlanView", now: "PlanView", loaded: Loaded) -> str:
    """What has become of the memory since the first plan of a load. Pure."""
    placement = loaded.spec.placement
    if placement == "best" or first.budget is None or now.budget is None:
        return ""
    change = now.budget - first.budget
    if abs(change) < min(WORTH, first.budget // 16):
        return ""
    got, fits = loaded.layers.got, now.under(placement).choice
    if change > 0 and fits > got:
        more = fits - got
        return f"{size_text(change)} freed: {more} more {'layer' if more == 1 else 'layers'} would fit"
    if change < 0 and fits < got:
        return f"{size_text(-change)} taken by others: {fits} layers would fit now"
    return ""
