"""Bars and the dial's strip as text: pure functions, one cell per character."""

from collections.abc import Sequence

from textual.content import Content

_LEVELS = "▁▂▃▄▅▆▇"


def memory_bar(width: int, ours: int, used: int, total: int) -> Content:
    """A bar of ``total`` bytes: solid what is ours, hatched what others use, dots what is free.

    What is used at all shows in at least one cell, so that a little is never drawn as nothing.
    """
    if total <= 0 or width <= 0:
        return Content.styled("·" * max(0, width), "$line")
    used = min(max(used, ours), total)
    mine = _cells(ours, total, width)
    all_used = max(_cells(used, total, width), mine)
    return Content.assemble(
        ("█" * mine, "$ours"), ("▒" * (all_used - mine), "$others"), ("·" * (width - all_used), "$line")
    )


def _cells(part: int, total: int, width: int) -> int:
    return 0 if part <= 0 else max(1, min(width, round(part / total * width)))


def small_bar(width: int, share: float) -> str:
    """A share 0…1 in a few cells, as in the line of status: ``▇▇▇▅▁``."""
    steps = len(_LEVELS)
    filled = round(min(max(share, 0.0), 1.0) * width * steps)
    cells = [min(max(filled - cell * steps, 0), steps) for cell in range(width)]
    return "".join(_LEVELS[max(level - 1, 0)] for level in cells)


def progress_bar(width: int, share: float) -> Content:
    """A share 0…1 as a thin line."""
    done = round(min(max(share, 0.0), 1.0) * width)
    return Content.assemble(("━" * done, "$primary"), ("─" * (width - done), "$line"))


def layer_strip(width: int, got: int, asked: int, draft: int | None, most: int) -> list[Content]:
    """The dial: a cell per layer, the output layer first, as many lines of the same length as it takes.

    ``■`` lies on a device, ``▫`` was asked for but is not there, ``□`` would come with the draft, ``▪`` would go,
    ``·`` stays in RAM.
    """
    cells = [_layer(layer, got, asked, draft) for layer in range(1, most + 1)]
    lines = -(-len(cells) // max(1, width)) or 1
    per_line = max(1, -(-len(cells) // lines))
    return [_joined(cells[start : start + per_line]) for start in range(0, len(cells), per_line)]


def _layer(layer: int, got: int, asked: int, draft: int | None) -> tuple[str, str]:
    if layer <= got:
        return ("▪", "$accent") if draft is not None and layer > draft else ("■", "$ours")
    if draft is not None:
        return ("□", "$accent") if layer <= draft else ("·", "$quiet")
    return ("▫", "$warning") if layer <= asked else ("·", "$quiet")


def _joined(cells: Sequence[tuple[str, str]]) -> Content:
    return Content.assemble(*cells)
