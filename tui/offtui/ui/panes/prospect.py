"""What the dial shows of a plan: the curves around the strip, and the figures of the count it points at. Pure."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

from textual.content import Content

from offtui.monitor.graph import Style
from offtui.text import clean_line
from offtui.ui.widgets.strip import Strip, strip_row

if TYPE_CHECKING:
    from offtui.planner.view import PlanRow, PlanView

MOST_ROWS = 10
"""Of the curve of speeds: more rows say no more."""
LEGEND = (
    ("●", "$primary", "measured on this machine"),
    ("○", "$primary", "predicted"),
    ("□", "$accent", "would come, ▪ would go"),
    ("×", "$error", "does not fit"),
)
KEPT = {"ffn": ("▄", "$ours", "but for its FFN, ▖ would"), "experts": ("▞", "$ours", "but for experts, ▝ would")}
"""Likewise of a placement other than whole layers."""
"""Sign, its style, what it means."""
LEGEND_WIDTH = 30
"""Columns it takes."""
MOST_DEVICES = 4
"""With a line of their own."""


@dataclass(frozen=True)
class Seen:
    """Rows of each part."""

    curve: list[Content]
    strip: Content
    need: list[Content]
    figures: list[Content]
    hints: int
    """Rows of hint there is room for."""
    scale: str
    """Of the curve; empty where there is none."""

    def with_scale(self, count: Content, width: int) -> Content:
        """The number with the curve's scale at the right, where there is room for it."""
        gap = width - count.cell_length - len(self.scale)
        if not self.scale or gap < 2:
            return count
        return Content.assemble(count, " " * gap, (self.scale, "$quiet"))


class Prospect:
    """Draws plans in one style of graph."""

    def __init__(self, graph: str) -> None:
        self._style: Style = cast(Literal["braille", "block", "ascii"], graph)

    def look(self, plan: "PlanView", width: int, room: int, strip: Strip, here: int | None) -> Seen:
        """The rows for ``width`` cells and at most about ``room`` rows with the number and the hint.

        Args:
            plan: of the model that is turned.
            width: cells.
            room: rows.
            strip: what lies where, and where the dial points.
            here: the count that is loaded, or was wanted; ``None``: it is another placement's.
        """
        from offtui.ui.widgets.curve import Axis, first_too_much, need_rows, speed_rows, top_of

        axis = Axis(plan.most, width)
        draft = strip.draft.layers if strip.draft is not None else None
        row = strip_row(axis, replace(strip, limit=first_too_much(plan) - 1))
        at = draft if draft is not None else plan.choice if here is None else here
        figures = figure_lines(plan, plan.rows[min(max(at, 0), plan.most)], draft)
        rest = room - 2 - len(figures)
        hints = 2 if rest >= 9 else 1 if rest >= 1 else 0
        rest -= hints
        if rest < 2 or not plan.budgets:  # without a device all counts are one
            return Seen([], row, [], figures, hints, "")
        need = 3 if rest >= 10 else 2 if rest >= 6 else 1 if rest >= 3 else 0
        curve = min(rest - need, MOST_ROWS)
        top = top_of(plan)
        speeds = speed_rows(plan, axis, curve, self._style, here, draft)
        return Seen(
            _with_legend(speeds, width - axis.columns, plan.placement) if self._style != "ascii" else speeds,
            row,
            need_rows(plan, axis, need, self._style, draft) if need else [],
            figures,
            hints,
            f"0–{top:g} t/s",
        )


def _with_legend(rows: list[Content], room: int, placement: str) -> list[Content]:
    """The rows with what the signs mean beside them, where there is room for it."""
    legend = (*LEGEND[:-1], KEPT[placement], LEGEND[-1]) if placement in KEPT else LEGEND
    if len(rows) < len(legend) or room < LEGEND_WIDTH:
        return rows
    above = len(rows) - len(legend)
    beside = [Content.assemble("   ", (sign, look), (f" {word}", "$quiet")) for sign, look, word in legend]
    return rows[:above] + [Content.assemble(row, note) for row, note in zip(rows[above:], beside, strict=True)]


def figure_lines(plan: "PlanView", row: "PlanRow", draft: int | None) -> list[Content]:
    """Speed, memory and whether it fits, of one layer count; as many lines for each of a plan's counts."""
    from offtui.planner.view import fit_line, need_line, rate_line

    rate, look = rate_line(row), "bold $accent" if draft is not None else "bold"
    mark = {"fits": ("✓ ", "$success"), "too much": ("✗ ", "$error"), "unknown": ("? ", "$warning")}[row.fit]
    if row.fit == "fits" and plan.is_short(row):
        mark = ("! ", "$warning")
    fit = Content.assemble(mark, (clean_line(fit_line(plan, row)), "$error" if row.fit == "too much" else ""))
    needs = [clean_line(part) for part in need_line(plan, row).split(" · ")]
    if len(plan.budgets) == 1:
        needs = [" · ".join(needs)]
    elif len(needs) > MOST_DEVICES + 1:
        needs = [*needs[: MOST_DEVICES - 1], "…", needs[-1]]
    joules = "" if row.joules is None else f" · {row.joules:.3g} J/token"
    head = Content.assemble(("● " if row.runs else "○ ", look), (rate, look), (joules, "$quiet"))
    return [head, *[Content(f"  {need}") for need in needs], fit]
