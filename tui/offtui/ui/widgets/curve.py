"""The dial's curves: tokens per second and memory over all layer counts, on the columns of the strip. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content

from offtui.monitor.graph import Style, render, samples_per_column
from offtui.planner.view import PlanRow, PlanView
from offtui.ui.widgets.strip import Cell, joined

_EMPTY_BRAILLE = 0x2800


@dataclass(frozen=True)
class Axis:
    """Which columns a layer count has."""

    most: int
    width: int

    @property
    def step(self) -> int:
        """Columns of each count; 0: there are more counts than columns."""
        return self.width // (self.most + 1)

    @property
    def columns(self) -> int:
        """Columns in use."""
        return self.step * (self.most + 1) if self.step else self.width

    def column(self, count: int) -> int:
        """The middle column of a count."""
        if self.step:
            return count * self.step + (self.step - 1) // 2
        return round(count * (self.width - 1) / max(self.most, 1))

    def count(self, column: float) -> float:
        """The count at a column, between two counts a fraction."""
        spread = self.most / max(self.width - 1, 1)
        here = (column - (self.step - 1) / 2) / self.step if self.step else column * spread
        return min(max(here, 0.0), float(self.most))


def top_of(view: PlanView) -> float:
    """The upper edge of the curve of speeds: 1, 1.5, 2, 3, 5 or 7 times a power of ten."""
    highest = max(row.rate.value for row in view.rows)
    power = 10.0 ** (len(str(int(highest))) - 1) if highest >= 1 else 0.1
    return next((step * power for step in (1, 1.5, 2, 3, 5, 7, 10) if step * power >= highest), highest)


def speed_rows(
    view: PlanView, axis: Axis, height: int, style: Style, here: int | None, draft: int | None
) -> list[Content]:
    """Tokens per second: filled where it fits, a dotted line where it does not.

    ``●`` was measured here, ``○`` is where the draft or the load that is up is predicted.
    """
    top = top_of(view)
    rates = [row.rate.value for row in view.rows]
    fine = samples_per_column(style)
    counts = [axis.count((x + 0.5) / fine - 0.5) for x in range(axis.columns * fine)]
    values = [_between(rates, count) for count in counts]
    over = [view.rows[round(count)].fit == "too much" for count in counts]
    solid = [None if beyond else value for value, beyond in zip(values, over, strict=True)]
    dotted = [
        value if beyond and x % 2 == 0 else None for x, (value, beyond) in enumerate(zip(values, over, strict=True))
    ]
    below = render(solid, axis.columns, height, style, high=top, fill=True)
    beyond = render(dotted, axis.columns, height, "ascii" if style == "block" else style, high=top)
    cells = [_merged(a, b) for a, b in zip(below, beyond, strict=True)]
    for row in view.rows:
        if row.runs:
            _mark(cells, axis, row, top, style, "$primary bold")
    for count, look in ((here, "$primary bold"), (draft, "$accent bold")):
        if count is not None and 0 <= count <= axis.most:
            _mark(cells, axis, view.rows[count], top, style, look)
    return [joined(row) for row in cells]


def need_rows(view: PlanView, axis: Axis, height: int, style: Style, draft: int | None) -> list[Content]:
    """Memory of the devices: blocks where it fits, hatched where it does not, the budget as a line of dashes."""
    budget = view.budget
    needs = [row.vram for row in view.rows]
    top = max([*needs, budget or 0, 1])
    counts = [round(axis.count(column)) for column in range(axis.columns)]
    drawn = render([needs[count] for count in counts], axis.columns, height, "block", high=float(top))
    level = None if budget is None else height - 1 - min(round(budget / top * height), height - 1)
    rows: list[Content] = []
    for number, text in enumerate(drawn):
        cells: list[Cell] = []
        for column, character in enumerate(text):
            row = view.rows[counts[column]]
            if character == " ":
                cells.append(("┄" if style != "ascii" else "-", "$warning") if number == level else (" ", ""))
            elif row.fit == "too much":
                cells.append(("▒" if style != "ascii" else "x", "$error"))
            else:
                look = "$accent" if counts[column] == draft else "$ours"
                cells.append((character if style != "ascii" else "#", look))
        rows.append(joined(cells))
    return rows


def _between(values: Sequence[float], place: float) -> float:
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def _merged(below: str, beyond: str) -> list[Cell]:
    cells: list[Cell] = []
    for a, b in zip(below, beyond, strict=True):
        if b == " ":
            cells.append((a, "$ours"))
        elif a == " ":
            cells.append((b, "$quiet"))
        elif ord(a) >= _EMPTY_BRAILLE and ord(b) >= _EMPTY_BRAILLE:
            cells.append((chr(ord(a) | ord(b)), "$ours"))
        else:
            cells.append((a, "$ours"))
    return cells


def _mark(cells: list[list[Cell]], axis: Axis, row: PlanRow, top: float, style: Style, look: str) -> None:
    height = len(cells)
    level = min(int(row.rate.value / top * height), height - 1)
    marks = "*o" if style == "ascii" else "●○"
    cells[height - 1 - level][axis.column(row.n_gpu_layers)] = (marks[0] if row.runs else marks[1], look)


def first_too_much(view: PlanView) -> int:
    """The smallest layer count from which on none fits; one more than all where all fit."""
    fitting = [row.n_gpu_layers for row in view.rows if row.fit != "too much"]
    return fitting[-1] + 1 if fitting else 0
