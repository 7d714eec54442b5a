"""What the dial shows of a plan: the curves around the strip, and the figures of the count it points at. Pure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from textual.content import Content

from offtui.monitor.graph import Style
from offtui.text import clean_line
from offtui.ui.widgets.draw import layer_cell, layer_strip

if TYPE_CHECKING:
    from offtui.planner.view import PlanRow, PlanView

MOST_ROWS = 10
"""Of the curve of speeds: more rows say no more."""
MOST_DEVICES = 4
"""With a line of their own."""


@dataclass(frozen=True)
class Seen:
    """Rows of each part."""

    curve: list[Content]
    strip: list[Content]
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

    def look(self, plan: "PlanView", width: int, room: int, got: int, asked: int, here: int, draft: int | None) -> Seen:
        """The rows for ``width`` cells and at most about ``room`` rows with the number and the hint.

        Args:
            plan: of the model that is turned.
            width: cells.
            room: rows.
            got: layers on the devices.
            asked: layers asked for.
            here: the count that is loaded, or was wanted.
            draft: where the dial points; ``None``: at ``here``.
        """
        from offtui.ui.widgets.curve import Axis, axis_strip, first_too_much, need_rows, speed_rows, top_of

        axis = Axis(plan.most, width)
        limit = first_too_much(plan) - 1
        if axis.step:
            strip = [axis_strip(axis, lambda layer: layer_cell(layer, got, asked, draft, limit))]
        else:
            strip = layer_strip(width, got, asked, draft, plan.most, limit)
        figures = figure_lines(plan, plan.rows[min(max(here if draft is None else draft, 0), plan.most)], draft)
        rest = room - 1 - len(strip) - len(figures)
        hints = 2 if rest >= 9 else 1 if rest >= 1 else 0
        rest -= hints
        if rest < 2:
            return Seen([], strip, [], figures, hints, "")
        need = 3 if rest >= 10 else 2 if rest >= 6 else 1 if rest >= 3 else 0
        curve = min(rest - need, MOST_ROWS)
        top = top_of(plan)
        return Seen(
            speed_rows(plan, axis, curve, self._style, here, draft),
            strip,
            need_rows(plan, axis, need, self._style, draft) if need else [],
            figures,
            hints,
            f"0–{top:g} t/s",
        )


def figure_lines(plan: "PlanView", row: "PlanRow", draft: int | None) -> list[Content]:
    """Speed, memory and whether it fits, of one layer count; as many lines for each of a plan's counts."""
    from offtui.planner.view import fit_line, need_line, rate_line

    rate, look = rate_line(row), "bold $accent" if draft is not None else "bold"
    mark = {"fits": ("✓ ", "$success"), "too much": ("✗ ", "$error"), "unknown": ("? ", "$warning")}[row.fit]
    fit = Content.assemble(mark, (clean_line(fit_line(plan, row)), "$error" if row.fit == "too much" else ""))
    needs = [clean_line(part) for part in need_line(plan, row).split(" · ")]
    if len(plan.budgets) == 1:
        needs = [" · ".join(needs)]
    elif len(needs) > MOST_DEVICES + 1:
        needs = [*needs[: MOST_DEVICES - 1], "…", needs[-1]]
    head = Content.assemble(("● " if row.runs else "○ ", look), (rate, look))
    return [head, *[Content(f"  {need}") for need in needs], fit]
