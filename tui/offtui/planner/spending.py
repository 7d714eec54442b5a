"""Joules per token by layer count, of answers whose energy was measured here."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from offtui.planner.speeds import NEWEST
from offtui.planner.view import Ladder, PlanView
from offtui.protocol.spec import Placement
from offtui.store.measurements import Spent


def joules_by_layers(spent: Sequence[Spent]) -> dict[int, float]:
    """Joules per token over the newest answers of each layer count; ``spent`` oldest first."""
    found: defaultdict[int, list[Spent]] = defaultdict(list)
    for answer in spent:
        if answer.tokens > 0:
            found[answer.n_gpu_layers].append(answer)
    newest = {layers: answers[-NEWEST:] for layers, answers in found.items()}
    return {
        layers: sum(answer.joules for answer in answers) / sum(answer.tokens for answer in answers)
        for layers, answers in newest.items()
    }


def with_joules(view: PlanView, spent: Mapping[Placement, Sequence[Spent]]) -> PlanView:
    """The plan with what tokens took where that was measured; the ends of every placement are whole layers."""
    if not any(spent.values()):
        return view
    known = {placement: joules_by_layers(answers) for placement, answers in spent.items()}
    ends = {at: joules for at, joules in known.get("layers", {}).items() if at in (0, view.most)}
    return msgspec.structs.replace(
        view, ladders=tuple(_ladder(each, known.get(each.placement, {}) | ends) for each in view.ladders)
    )


def _ladder(ladder: Ladder, joules: Mapping[int, float]) -> Ladder:
    rows = tuple(msgspec.structs.replace(row, joules=joules.get(row.n_gpu_layers)) for row in ladder.rows)
    return msgspec.structs.replace(ladder, rows=rows)
