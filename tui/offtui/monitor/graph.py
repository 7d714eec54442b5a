"""Lines of a history drawn with characters: braille, blocks or plain ASCII. Pure; the right edge is now."""

import functools
from collections.abc import Sequence
from typing import Literal

Style = Literal["braille", "block", "ascii"]

_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII = "_.-'"
"""From low to high within a cell."""
_DOTS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""Bits of a braille cell, left and right column, from the lowest dot up."""
_BRAILLE = 0x2800
_FILLED = [
    [chr(_BRAILLE + sum(_DOTS[0][:left]) + sum(_DOTS[1][:right])) if left or right else " " for right in range(5)]
    for left in range(5)
]
"""Cells filled from below, by the number of dots in the left and the right column."""


def samples_per_column(style: Style) -> int:
    """Values one character takes side by side: resample to ``width`` times this."""
    return 2 if style == "braille" else 1


def render(
    series: Sequence[float | None],
    width: int,
    height: int,
    style: Style = "braille",
    *,
    low: float = 0.0,
    high: float | None = None,
    fill: bool = False,
) -> list[str]:
    """Draw values as ``height`` lines of ``width`` characters.

    Args:
        series: oldest first; the newest stands at the right edge, surplus old ones are left out. ``None`` is a gap.
        width: characters; braille draws two values in each.
        height: lines.
        style: braille and ASCII draw a line, blocks an area.
        low: value of the lower edge; what lies below is drawn there.
        high: value of the upper edge; without it, the greatest value there is.
        fill: draw the area under the line, in braille and ASCII too.
    """
    if width < 1 or height < 1:
        return [""] * max(0, height)
    count = width * samples_per_column(style)
    values = list(series[-count:])
    values = [None] * (count - len(values)) + values
    top = max((value for value in values if value is not None), default=low) if high is None else high
    if style == "block":
        return _blocks(values, height, low, top)
    if fill and style == "braille":
        return _filled(values, low, top, width, height)
    steps = height * 4
    levels = [_level(value, low, top, steps) for value in values]
    spans = _spans(levels, fill)
    return _braille(spans, width, height) if style == "braille" else _ascii(levels, spans, height)


def _level(value: float | None, low: float, high: float, steps: int) -> int | None:
    """Which of ``steps`` levels a value is on, from 0."""
    if value is None or value != value:
        return None
    share = (value - low) / (high - low) if high > low else 0.0
    return min(steps - 1, max(0, round(min(1.0, max(0.0, share)) * (steps - 1))))


def _spans(levels: Sequence[int | None], fill: bool) -> list[tuple[int, int] | None]:
    """Lowest and highest level to draw in each column, so that neighbours join to a line."""
    spans: list[tuple[int, int] | None] = []
    before: int | None = None
    for level in levels:
        if level is None:
            spans.append(None)
        elif fill:
            spans.append((0, level))
        elif before is None or abs(level - before) <= 1:
            spans.append((level, level))
        else:  # from beside the level before to this one
            spans.append((before + 1, level) if level > before else (level, before - 1))
        before = level
    return spans


def _braille(spans: Sequence[tuple[int, int] | None], width: int, height: int) -> list[str]:
    cells = [[0] * width for _ in range(height)]
    for column, span in enumerate(spans):
        if span is None:
            continue
        dots = _DOTS[column % 2]
        for level in range(span[0], span[1] + 1):
            cells[height - 1 - level // 4][column // 2] |= dots[level % 4]
    return ["".join(chr(_BRAILLE + cell) if cell else " " for cell in row) for row in cells]


def _filled(values: Sequence[float | None], low: float, high: float, width: int, height: int) -> list[str]:
    """The area under a line. By tables, as many lanes are drawn at a time: a cell costs two looks into a list."""
    steps = height * 4
    scale = (steps - 1) / (high - low) if high > low else 0.0
    heights = [
        0 if value is None or value != value
        else 1 if value <= low
        else steps if value >= high
        else int((value - low) * scale + 1.5)
        for value in values
    ]  # fmt: skip
    left, right = heights[0 : 2 * width : 2], heights[1 : 2 * width : 2]
    return [
        "".join([_FILLED[a[one]][a[two]] for one, two in zip(left, right, strict=True)])
        for a in (_dots(row * 4, steps) for row in range(height - 1, -1, -1))
    ]


@functools.cache
def _dots(base: int, steps: int) -> tuple[int, ...]:
    """How many dots of the row above ``base`` are set in a column, by its height."""
    return tuple(min(4, max(0, height - base)) for height in range(steps + 1))


def _ascii(levels: Sequence[int | None], spans: Sequence[tuple[int, int] | None], height: int) -> list[str]:
    rows = [[" "] * len(levels) for _ in range(height)]
    for column, (level, span) in enumerate(zip(levels, spans, strict=True)):
        if level is None or span is None:
            continue
        for row in range(span[0] // 4, span[1] // 4 + 1):
            rows[height - 1 - row][column] = "|"
        rows[height - 1 - level // 4][column] = _ASCII[level % 4]
    return ["".join(row) for row in rows]


def _blocks(values: Sequence[float | None], height: int, low: float, high: float) -> list[str]:
    steps = height * 8
    levels = [_level(value, low, high, steps) for value in values]
    return [
        "".join(" " if level is None else _BLOCKS[min(8, max(0, level + 1 - row * 8))] for level in levels)
        for row in range(height - 1, -1, -1)
    ]
