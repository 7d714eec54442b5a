"""Which cells go to the terminal when something on the screen has changed: those, and no others.

Textual's own compositor renders every widget of the screen for every change. Beside an answer that is being written
that is most of what the screen costs.
"""

from collections.abc import Iterator
from time import monotonic

from rich.console import Console
from rich.control import Control
from textual._compositor import (  # pyright: ignore[reportPrivateUsage] -- there is no public way to say how to paint
    Compositor,
    CompositorMap,
    CompositorUpdate,
    ReflowResult,
)
from textual.constants import MAX_FPS
from textual.geometry import Region, Size
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

APART = 1 / MAX_FPS
"""Seconds between two pictures at least."""

Spans = list[tuple[int, int]]
"""Stretches of cells in one row: from the first to past the last."""


class CellsUpdate(CompositorUpdate):
    """Strips at their places."""

    def __init__(self, pieces: list[tuple[int, int, Strip]]) -> None:
        """Paint these.

        Args:
            pieces: row, first cell, and what stands there from it on.
        """
        self.pieces = pieces

    def render_segments(self, console: Console) -> str:
        """As the terminal gets it."""
        parts: list[str] = []
        there = None
        for y, x, strip in self.pieces:
            if there != (y, x):
                parts.append(Control.move_to(x, y).segment.text)
            parts.append(strip.render(console))
            there = y, x + strip.cell_length
        return "".join(parts)


class CellCompositor(Compositor):
    """Asks only widgets with changed cells for their rows, and paints only those cells.

    A stretch that changed must not begin or end within a wide character.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: CompositorMap = {}
        """The places that widgets were told of."""

    def reflow(self, parent: Widget, size: Size) -> ReflowResult:
        """Find all places again, and which widgets have another size than they were told.

        Textual compares with the places found last. Those are also looked up in between, where a widget out of sight
        is dirty: one whose size has changed then is never told, and wraps for the old one from then on.
        """
        self._full_map = self._told
        result = super().reflow(parent, size)
        self._told = self._full_map
        return result

    def render_partial_update(self) -> CellsUpdate | None:  # pyright: ignore[reportIncompatibleMethodOverride] -- the base says which of its updates, not that it is one
        """What has changed since the last time; ``None``: nothing."""
        screen = self.size.region
        dirty = [region.intersection(screen) for region in self._dirty_regions]
        self._dirty_regions.clear()
        wanted: dict[int, Spans] = {}
        for y, start, end in self._regions_to_spans(dirty):
            if start < end:
                wanted.setdefault(y, []).append((start, end))
        if not wanted:
            return None
        pieces: list[tuple[int, int, Strip]] = []
        for widget, (region, clip) in self.visible_widgets.items():  # the front most first
            if not wanted:
                break
            seen = region.intersection(clip)
            first_cell, past_cell, rows = seen.x, seen.right, range(seen.y, seen.bottom)
            asked = sorted(y for y, spans in wanted.items() if y in rows and _meet(spans, first_cell, past_cell))
            for y, strip in _strips(widget, region, seen, asked) if asked else ():
                kept: Spans = []
                for start, end in wanted.pop(y):
                    first, last = max(start, first_cell), min(end, past_cell)
                    if first >= last:
                        kept.append((start, end))
                        continue
                    pieces.append((y, first, strip.crop(first - first_cell, last - first_cell)))
                    kept += [span for span in ((start, first), (last, end)) if span[0] < span[1]]
                if kept:
                    wanted[y] = kept
        return CellsUpdate(sorted(pieces, key=lambda piece: piece[:2]))


def _meet(spans: Spans, first: int, past: int) -> bool:
    return any(start < past and end > first for start, end in spans)


def _strips(widget: Widget, region: Region, seen: Region, rows: list[int]) -> Iterator[tuple[int, Strip]]:
    """Rows of a widget that are seen, by their number on the screen; asked for in runs."""
    begin = 0
    for place, y in enumerate(rows):
        if place + 1 < len(rows) and rows[place + 1] == y + 1:
            continue
        run = rows[begin : place + 1]
        begin = place + 1
        crop = Region(seen.x - region.x, run[0] - region.y, seen.width, len(run))
        yield from zip(run, widget.render_lines(crop), strict=False)


class CellScreen(Screen[None]):
    """Paints changed cells only, and as soon as there are any.

    Textual's own screen waits for the next beat of a timer: milliseconds more between a key and its character, and two
    more times to wake up for each picture.
    """

    def __init__(self) -> None:
        super().__init__()
        self._compositor = CellCompositor()
        self._painted = 0.0

    def on_idle(self) -> None:
        """Paint, unless the last picture is only a moment old, or places are to be found first."""
        waits = self._layout_required or self._scroll_required or self._recompose_required
        if waits or not (self._dirty_widgets or self._repaint_required):
            return
        now = monotonic()
        if now - self._painted >= APART and self.is_current:
            self._painted = now
            self._on_timer_update()

    def paint_soon(self, widget: Widget) -> None:
        """Paint the regions of a widget that are marked; as its own refresh, without three messages on the way.

        One that is out of sight is painted as a whole when it comes into sight; Textual would find all places again.
        """
        if self in self._compositor and widget in self._compositor.visible_widgets:
            self._dirty_widgets.add(widget)
            self.check_idle()
