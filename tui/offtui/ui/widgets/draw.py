"""Bars as text: pure functions, one cell per character."""

import functools
import itertools
from dataclasses import dataclass

from textual.content import Content

from offtui.units import size_text

_LEVELS = "▁▂▃▄▅▆▇"


@dataclass(frozen=True)
class _Signs:
    """The characters of a bar of memory."""

    weights: str
    kv: str
    compute: str
    others: str
    mapped: str
    free: str
    goes: str
    comes: str
    over: str


_SIGNS = _Signs("█", "▓", "▒", "░", "▞", "·", "▪", "□", "×")
_PLAIN = _Signs("#", "=", "-", ":", "%", ".", "<", "+", "X")
_STYLES = {"others": "$others", "free": "$line", "goes": "$accent", "comes": "$accent"}


@functools.lru_cache(128)
def memory_bar(
    width: int,
    ours: int,
    used: int,
    total: int,
    would: int | None = None,
    *,
    kv: int = 0,
    compute: int = 0,
    cached: int = 0,
    ascii: bool = False,
) -> Content:
    """A bar of ``total`` bytes: ``█`` weights, ``▓`` KV cache, ``▒`` compute, ``░`` others, ``▞`` mapped, ``·`` free.

    What is used at all shows in at least one cell, so that a little is never drawn as nothing.

    Args:
        width: cells.
        ours: of the model that is up; ``kv`` and ``compute`` are parts of it, the rest is weights.
        used: by whomever.
        total: there are.
        would: what ours would be with the dial's draft: ``▪`` would go, ``□`` would come, ``×`` at the end is more
            than there is.
        kv: cache.
        compute: buffers.
        cached: weights in pages that the system can drop, which are not in ``used``.
        ascii: no character but those of ASCII.
    """
    signs = _PLAIN if ascii else _SIGNS
    if total <= 0 or width <= 0:
        return Content.styled(signs.free * max(0, width), "$line")
    used = min(max(used, ours), total)
    mine = _cells(ours, total, width)
    all_used = max(_cells(used, total, width), mine)
    inside = _ours(mine, ours, kv, compute, signs)
    others = (signs.others * (all_used - mine), "$others")
    mapped = min(_cells(cached, total, width), width - all_used)
    if would is None or would == ours:
        free = width - all_used - mapped
        return Content.assemble(
            (inside, "$ours"), others, (signs.mapped * mapped, "$ours"), (signs.free * free, "$line")
        )
    stays = min(_cells(would, total, width), mine)
    after = used - ours + would
    comes = max(_cells(after, total, width) - all_used, 0) if would > ours else 0
    last = signs.over if after > total else ""
    mapped = min(mapped, width - all_used - comes)
    free = signs.free * (width - all_used - comes - mapped)
    bar = Content.assemble(
        (inside[:stays], "$ours"), (signs.goes * (mine - stays), "$accent"), others,
        (signs.comes * comes, "$accent"), (signs.mapped * mapped, "$ours"), (free, "$line"),
    )  # fmt: skip
    return Content.assemble(bar[: width - 1], (last, "bold $error")) if last else bar


def _ours(cells: int, ours: int, kv: int, compute: int, signs: "_Signs") -> str:
    """Weights, KV cache and compute side by side, as wide as their shares."""
    if not ours:
        return ""
    weights_end = round(max(ours - kv - compute, 0) / ours * cells)
    kv_end = round(max(ours - compute, 0) / ours * cells)
    if not weights_end and ours > kv + compute:
        weights_end, kv_end = 1, max(kv_end, 1)
    return signs.weights * weights_end + signs.kv * (kv_end - weights_end) + signs.compute * (cells - kv_end)


@functools.lru_cache(128)
def legend(parts: tuple["Part", ...], width: int, *, ascii: bool = False) -> Content:
    """What the signs of a bar mean, with figures, in as many words as there is room for; no figure is cut.

    In a narrow row what there is nothing of goes first, then the words are short, then the last parts go.
    """
    signs = _PLAIN if ascii else _SIGNS
    some = [part for part in parts if part.size != 0]
    forms = [
        [(part.sign, part.text + part.more) for part in parts],
        [(part.sign, part.text + part.more) for part in some],
        [(part.sign, part.text) for part in some],
    ]
    short = [(part.sign, part.short) for part in some]
    forms += [short[:count] for count in range(len(short), 0, -1)]
    for form in forms:
        if sum(len(text) + 4 for _, text in form) - 2 <= width:
            pieces = [
                ((getattr(signs, sign), _STYLES.get(sign, "$ours")), (f" {text}  ", "$quiet")) for sign, text in form
            ]
            return Content.assemble(*itertools.chain(*pieces)).rstrip()
    return Content("")


@dataclass(frozen=True)
class Part:
    """One part of a bar, for its legend."""

    sign: str
    """As the fields of the signs."""
    word: str
    size: int | None
    """Bytes."""
    more: str = ""
    """Said after the figure, where there is room."""

    @property
    def text(self) -> str:
        """With its unit."""
        return f"{self.word} {size_text(self.size)}"

    @property
    def short(self) -> str:
        """In few cells: ``KV 1.2G``."""
        return f"{self.word} {size_text(self.size).replace(' ', '').removesuffix('iB')}"


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
