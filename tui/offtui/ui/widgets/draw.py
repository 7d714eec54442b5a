"""Bars as text: pure functions, one cell per character."""

from textual.content import Content

_LEVELS = "▁▂▃▄▅▆▇"


def memory_bar(width: int, ours: int, used: int, total: int, would: int | None = None) -> Content:
    """A bar of ``total`` bytes: solid what is ours, hatched what others use, dots what is free.

    What is used at all shows in at least one cell, so that a little is never drawn as nothing. ``would`` is what ours
    would be with the dial's draft: ``▪`` would go, ``□`` would come, ``×`` at the end is more than there is.
    """
    if total <= 0 or width <= 0:
        return Content.styled("·" * max(0, width), "$line")
    used = min(max(used, ours), total)
    mine = _cells(ours, total, width)
    all_used = max(_cells(used, total, width), mine)
    if would is None or would == ours:
        return Content.assemble(
            ("█" * mine, "$ours"), ("▒" * (all_used - mine), "$others"), ("·" * (width - all_used), "$line")
        )
    stays = min(_cells(would, total, width), mine)
    after = used - ours + would
    comes = max(_cells(after, total, width) - all_used, 0) if would > ours else 0
    last = "×" if after > total else ""
    free = "·" * (width - all_used - comes)
    bar = Content.assemble(
        ("█" * stays, "$ours"), ("▪" * (mine - stays), "$accent"), ("▒" * (all_used - mine), "$others"),
        ("□" * comes, "$accent"), (free, "$line"),
    )  # fmt: skip
    return Content.assemble(bar[: width - 1], (last, "bold $error")) if last else bar


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
