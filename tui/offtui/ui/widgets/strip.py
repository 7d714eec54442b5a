"""The dial's strip: a cell per layer that says where it lies, and where it would with the draft. Pure.

Where there are more layers than columns a cell stands for the layers of its column, so that the strip stays in line
with the curves above and below it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from textual.content import Content

from offtui.protocol.spec import Placement

if TYPE_CHECKING:
    from offtui.ui.widgets.curve import Axis

Cell = tuple[str, str]
"""A character and its style."""
Where = Literal["device", "part", "ram"]
"""A layer lies wholly on a device, without the matrices that its placement keeps in RAM, or in RAM."""

THERE: dict[Placement, str] = {"layers": "■", "ffn": "▄", "experts": "▞"}
"""Signs of layers of which that much lies on a device."""
COMING: dict[Placement, str] = {"layers": "□", "ffn": "▖", "experts": "▝"}
"""The same, with the draft."""
LEAVES, STAYS, REFUSED, LACKING, HALF = "▪", "·", "×", "▫", "▌"


@dataclass(frozen=True)
class Split:
    """A placement and the layers that lie wholly on devices."""

    layers: int
    placement: Placement = "layers"

    def where(self, layer: int) -> Where:
        """Of one layer, counted from 1, the output layer."""
        if layer <= self.layers:
            return "device"
        return "part" if self.layers > 0 and self.placement != "layers" else "ram"


@dataclass(frozen=True)
class Strip:
    """What the strip shows."""

    most: int
    """Layers."""
    now: Split
    asked: int
    """Layers wholly on devices that were asked for."""
    draft: Split | None = None
    limit: int | None = None
    """The last layer that fits by the plan; ``None``: unknown."""

    def cell(self, layer: int) -> Cell:
        """One layer, from 1, the output layer.

        ``■`` lies on a device, ``▄`` without its feed-forward matrices, ``▞`` without its experts, ``·`` in RAM;
        hollow and small signs are where it would be with the draft: ``□``, ``▖``, ``▝``, and ``▪`` goes to RAM.
        ``▫`` was asked for but is not there, ``×`` does not fit.
        """
        here = self.now.where(layer)
        beyond = self.limit is not None and layer > self.limit
        if self.draft is None:
            if here != "ram":
                return THERE["layers" if here == "device" else self.now.placement], "$ours"
            if beyond:
                return REFUSED, "$quiet"
            return (LACKING, "$warning") if layer <= self.asked else (STAYS, "$quiet")
        there = self.draft.where(layer)
        if there == "ram":
            if here != "ram":
                return LEAVES, "$accent"
            return (REFUSED, "$quiet") if beyond else (STAYS, "$quiet")
        kind = "layers" if there == "device" else self.draft.placement
        if here == there and (there == "device" or self.now.placement == self.draft.placement):
            return THERE[kind], "$ours"
        if beyond and there == "device":
            return REFUSED, "$error"
        return COMING[kind], "$accent"

    def cells(self, layers: Sequence[int]) -> Cell:
        """Several layers in one cell: what the draft changes among them, else what lies there, half where not all."""
        found = [self.cell(layer) for layer in layers]
        first = found[0]
        if all(cell == first for cell in found):
            return first
        changed = next((cell for cell in found if cell[1] in ("$accent", "$error", "$warning")), None)
        if changed is not None:
            return changed
        return (HALF, "$ours") if first[0] == THERE["layers"] else next(c for c in found if c[1] == "$ours")


def strip_row(axis: "Axis", strip: Strip) -> Content:
    """The strip on the columns of the curves; in front the place of no layer at all."""
    if axis.step:
        gap = 1 if axis.step > 2 else 0
        cells: list[Cell] = [(" ", "")] * axis.step
        for layer in range(1, strip.most + 1):
            cells += [strip.cell(layer)] * (axis.step - gap) + [(" ", "")] * gap
        return joined(cells)
    columns: list[list[int]] = [[] for _ in range(axis.columns)]
    for layer in range(1, strip.most + 1):
        columns[axis.column(layer)].append(layer)
    return joined([strip.cells(layers) if layers else (" ", "") for layers in columns])


def strip_lines(width: int, strip: Strip) -> list[Content]:
    """The strip without curves: as many lines of the same length as it takes."""
    cells = [strip.cell(layer) for layer in range(1, strip.most + 1)]
    lines = -(-len(cells) // max(1, width)) or 1
    per_line = max(1, -(-len(cells) // lines))
    return [joined(cells[start : start + per_line]) for start in range(0, len(cells), per_line)]


def joined(cells: Sequence[Cell]) -> Content:
    """One row, neighbours of one style together."""
    parts: list[Cell] = []
    for character, style in cells:
        if parts and parts[-1][1] == style:
            parts[-1] = (parts[-1][0] + character, style)
        else:
            parts.append((character, style))
    return Content.assemble(*parts)
