"""Lanes: lines of a history over one time axis whose right edge they share, with marks below. Pure."""

import functools
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from textual.content import Content

from offtui.monitor.graph import Style, render, samples_per_column
from offtui.monitor.history import Aggregate, Event, History, Mark
from offtui.recorder.devices import DeviceUse
from offtui.recorder.tape import Answer
from offtui.units import UNKNOWN, rate_text, seconds_text, size_text

NAME, SCALE = 22, 10
"""Cells left of a lane, for its name and value, and right of it, for its top."""
ZOOMS = (60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0)
"""Seconds that can be seen at a time."""
STILL = 12.0
"""Seconds for which lines that go on stay where they are: their new cells take free room at the right edge."""
AROUND = 1.25
"""How much longer than an answer the time is that is shown of it."""
LITTLE = 8
"""Of memory, the part that is little."""
T = TypeVar("T")
Cell = tuple[str, str]
"""A character and its style."""

LETTERS = {
    Event.LOAD: ("L", "$primary"),
    Event.RELOAD: ("R", "$accent"),
    Event.LOADED: ("U", "$success"),
    Event.PROMPT: ("P", "$secondary"),
    Event.FIRST_TOKEN: ("T", "$primary"),
    Event.STOP: ("S", "$secondary"),
    Event.CRASH: ("X", "$error bold"),
}
"""How marks are shown below the lanes."""
LEGEND = "L load  R reload  U up  P prompt  T first token  S stop  X crash"


@dataclass(frozen=True)
class Lane:
    """One series and how it is shown."""

    series: str
    name: str
    text: Callable[[float | None], str]
    how: Aggregate = "mean"


def _bytes(value: float | None) -> str:
    return UNKNOWN if value is None else size_text(round(value))


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value * 100:.0f} %"


def _watts(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0f} W"


def _rate(value: float | None) -> str:
    return f"{rate_text(value)} t/s"


TOKENS = Lane("tps", "Tokens", _rate)
LANES = (
    Lane("vram", "VRAM", _bytes, "max"),
    TOKENS,
    Lane("ram", "RAM", _bytes, "max"),
    Lane("power", "Power", _watts),
    Lane("util", "GPU busy", _percent),
    Lane("bandwidth", "GPU memory", _percent),
    Lane("prompt_tps", "Prompt", _rate, "max"),
    Lane("cpu", "CPU", _percent),
)
"""The most important first."""


@dataclass(frozen=True)
class Window:
    """What stretch of time is seen."""

    span: float
    now: float
    """Of the newest cell."""
    cursor: int | None = None
    """Cells from the newest one."""
    slice: tuple[float, float] | None = None
    """An answer that is looked at."""
    steady: bool = False
    """Cells stay where they are for ``STILL`` seconds; else the newest is always the last."""

    def ahead(self, cells: int) -> int:
        """Cells right of the newest that are yet to come."""
        if not self.steady:
            return 0
        width = self.span / cells
        together = min(math.ceil(STILL / width), max(cells // 4, 1))
        return together - 1 - math.floor(self.now / width) % together


def window_of(answer: Answer) -> Window:
    """The time of an answer with a little around it."""
    seconds = max(answer.ended - answer.began, 1.0)
    span = max(seconds * AROUND, 4.0)
    return Window(span, answer.ended + (span - seconds) / 2, slice=(answer.began, answer.ended))


def shown_lanes(history: History, room: int) -> list[Lane]:
    """Lanes of which there is anything to see, as many as there is room for; RAM and tokens always."""
    known = [lane for lane in LANES if lane.series in ("tps", "ram") or history.series(lane.series).known]
    return known[: max(room, 0)]


def known_peak(values: Sequence[float | None]) -> float | None:
    """The greatest that is known."""
    return max([value for value in values if value is not None], default=None)


def tops(
    lanes: Sequence[Lane], peaks: Sequence[float | None], uses: Sequence[DeviceUse], ram_total: int | None
) -> list[float]:
    """The value of each lane's upper edge, by the greatest value in it."""
    fixed: dict[str, float | None] = {
        "vram": float(sum(use.total or 0 for use in uses if use.usable) or sum(use.total or 0 for use in uses)),
        "ram": ram_total,
        "util": 1.0,
        "bandwidth": 1.0,
        "cpu": 1.0,
        "power": sum(use.card.power_limit_w or 0.0 for use in uses if use.card is not None),
    }
    return [_top(lane, fixed.get(lane.series), peak) for lane, peak in zip(lanes, peaks, strict=True)]


def _top(lane: Lane, total: float | None, peak: float | None) -> float:
    """All there is; of memory of which little is used a power of two above that, so that its steps are seen."""
    if not total:
        return round_up(peak)
    if lane.series in ("vram", "ram") and peak and peak < total / LITTLE:
        return 2.0 ** math.ceil(math.log2(peak * 1.1))
    return total


@dataclass(frozen=True)
class Strip:
    """What one lane draws."""

    lane: Lane
    values: Sequence[float | None]
    """Its columns."""
    now: float | None
    """Its value at the right edge."""
    peak: float | None
    """The greatest of them."""
    top: float
    """Of its scale."""


def lane_rows(
    strip: Strip, window: Window, marks: tuple[tuple[int, str], ...], width: int, height: int, style: Style
) -> list[Content]:
    """One lane of ``height`` rows and ``width`` cells. ``marks``: see ``guides``."""
    lane, values, top = strip.lane, strip.values, strip.top
    cells = graph_width(width)
    cursor = None if window.cursor is None else window.cursor + window.ahead(cells)
    value = values_at(values, cursor, style) if cursor is not None else strip.now
    drawn = render(values, cells, height, style, high=top, fill=True)
    looks = _looks(window, cells)
    value_style = "bold $accent" if cursor is not None else "bold"
    rows: list[Content] = []
    for number, text in enumerate(drawn):
        left, edge = (" " * NAME, "", "", ""), ""
        if number == 0:
            left, edge = (
                (f"{lane.name:{NAME - 11}}", "$secondary", f"{lane.text(value):>10} ", value_style),
                lane.text(top),
            )
        elif number == 1 and strip.peak is not None:
            left = (f"peak {lane.text(strip.peak)}".rjust(NAME - 1)[: NAME - 1] + " ", "$quiet", "", "")
        rows.append(_lane_row(left, text, looks, marks, cursor, f" {edge}"[:SCALE]))
    return rows


@functools.lru_cache(512)
def _lane_row(
    left: tuple[str, str, str, str],
    text: str,
    looks: tuple[int, int],
    marks: tuple[tuple[int, str], ...],
    cursor: int | None,
    edge: str,
) -> Content:
    """One row; most are the same as at the look before, and what is the same object need not be painted."""
    name, name_style, value, value_style = left
    graph = _row(text, looks, dict(marks), cursor)
    return Content.assemble((name, name_style), (value, value_style), *graph, (edge, "$quiet"))


def lane_values(history: History, lane: Lane, window: Window, cells: int, style: Style) -> list[float | None]:
    """The values of a lane's columns, the newest last; whole cells move, so that they keep their looks."""
    fine = samples_per_column(style)
    width = window.span / cells
    edge = (math.floor(window.now / width) + 1) * width - width / fine / 2
    ahead = window.ahead(cells) * fine
    return [*history.columns(lane.series, cells * fine, window.span, edge, lane.how)[ahead:], *[None] * ahead]


def values_at(values: Sequence[float | None], cursor: int, style: Style) -> float | None:
    """The value under the cursor."""
    fine = samples_per_column(style)
    end = len(values) - cursor * fine
    inside = [value for value in values[max(end - fine, 0) : max(end, 0)] if value is not None]
    return inside[-1] if inside else None


def graph_width(width: int) -> int:
    """Cells of the lines themselves."""
    return max(width - NAME - SCALE, 8)


def time_of(window: Window, cells: int, cell: int) -> float:
    """The time in the middle of the cell that is ``cell`` from the newest."""
    width = window.span / cells
    return (math.floor(window.now / width) - cell + 0.5) * width


def cell_of(window: Window, cells: int, at: float) -> int | None:
    """The cell from the left that a time falls into; ``None`` outside."""
    return next((cell for _, cell in _placed([at], window, cells, lambda time: time)), None)


def _placed(items: Iterable[T], window: Window, cells: int, time: Callable[[T], float]) -> Iterator[tuple[T, int]]:
    """Those whose time is seen, each with its cell from the left."""
    width = window.span / cells
    first = math.floor(window.now / width) - (cells - 1 - window.ahead(cells))
    for item in items:
        cell = math.floor(time(item) / width) - first
        if 0 <= cell < cells:
            yield item, cell


def _marks(history: History, window: Window, cells: int) -> Iterator[tuple[Mark, int]]:
    return _placed(history.marks(window.now - window.span), window, cells, lambda mark: mark.time)


def guides(history: History, window: Window, cells: int) -> tuple[tuple[int, str], ...]:
    """Cells in which a load or a crash is marked, with its style: a line goes up from it through all lanes."""
    found = {
        cell: LETTERS[mark.event][1].removesuffix(" bold")
        for mark, cell in _marks(history, window, cells)
        if mark.event in (Event.LOAD, Event.RELOAD, Event.CRASH)
    }
    return tuple(found.items())


def _looks(window: Window, cells: int) -> tuple[int, int]:
    """The cells from the left between which what is looked at lies."""
    if window.slice is None:
        return 0, cells
    begin, end = (cell_of(window, cells, at) for at in window.slice)
    return (begin if begin is not None else 0), (end + 1 if end is not None else cells)


def _row(text: str, looks: tuple[int, int], marks: dict[int, str], cursor: int | None) -> list[Cell]:
    """A row of a lane: neighbours of one style together."""
    at = None if cursor is None else len(text) - 1 - cursor
    special = {cell for cell in marks if cell < len(text) and text[cell] == " "}
    if at is not None and at >= 0:
        special.add(at)
    parts: list[Cell] = []
    begin = 0
    for stop in sorted({*special, looks[0], min(looks[1], len(text)), len(text)}):
        if stop > begin:
            parts.append((text[begin:stop], "$ours" if looks[0] <= begin < looks[1] else "$others"))
        if stop in special:
            if stop == at:
                parts.append(
                    ("│" if text[stop] == " " else text[stop], "$accent" if text[stop] == " " else "reverse $accent")
                )
            else:
                parts.append(("┊", marks[stop]))
        begin = max(begin, stop + 1 if stop in special else stop)
    return parts


def mark_row(history: History, window: Window, width: int) -> Content:
    """Letters of what happened."""
    cells = graph_width(width)
    row: list[Cell] = [(" ", "")] * cells
    for mark, cell in _marks(history, window, cells):  # those that fall into one cell stand side by side
        place = next((free for free in range(cell, min(cell + 4, cells)) if row[free][0] == " "), cell)
        row[place] = LETTERS[mark.event]
    at = cells if window.cursor is None else window.cursor + window.ahead(cells)
    if at < cells and row[cells - 1 - at][0] == " ":
        row[cells - 1 - at] = ("│", "$accent")
    return Content.assemble(("Marks".ljust(NAME), "$secondary"), *_joined(row))


def note_row(history: History, window: Window, width: int) -> Content:
    """What loads were for: their layers, each from its letter on, where they do not meet."""
    cells = graph_width(width)
    text: list[Cell] = [(" ", "")] * cells
    for mark, cell in _marks(history, window, cells):
        if mark.event not in (Event.LOAD, Event.RELOAD) or not mark.note:
            continue
        place = min(cell, max(cells - len(mark.note), 0))
        if all(character == " " for character, _ in text[max(place - 1, 0) : place + len(mark.note) + 1]):
            text[place : place + len(mark.note)] = [(each, LETTERS[mark.event][1]) for each in mark.note]
    return Content.assemble(("layers".ljust(NAME), "$quiet"), *_joined(text))


def _joined(cells: Sequence[Cell]) -> list[Cell]:
    """Neighbours of one style together."""
    return [("".join(text for text, _ in run), style) for style, run in itertools.groupby(cells, lambda cell: cell[1])]


def axis_row(window: Window, width: int, *, live: bool) -> Content:
    """How long ago: a word at each quarter that there is room for, the newest cell last."""
    cells = graph_width(width)
    newest = cells - window.ahead(cells)
    text = [" "] * cells
    steps = 4 if cells >= 48 else 2
    for step in range(1 if window.steady else 0, steps):
        word = f"-{_round_text(window.span * (steps - step) / steps)}"
        place = newest - cells + round(cells * step / steps)
        if place >= 0:
            text[place : place + len(word)] = list(word)
    end = "now" if live else "held"
    text[newest - len(end) : newest] = list(end)
    span = _round_text(window.span) if window.steady else ""
    return Content.assemble((span.ljust(NAME), "$quiet"), ("".join(text[:cells]), "$quiet"))


def _round_text(seconds: float) -> str:
    return seconds_text(seconds).replace(".0 s", " s").replace(" 00 s", "")


def near_marks(history: History, window: Window, cells: int, cursor: int) -> list[Mark]:
    """Marks in the cell of the cursor."""
    here = cells - 1 - window.ahead(cells) - cursor
    return [mark for mark, cell in _marks(history, window, cells) if cell == here]


def clock_text(wall: float | None) -> str:
    """A time of day."""
    return UNKNOWN if wall is None else time.strftime("%H:%M:%S", time.localtime(wall))


def round_up(peak: float | None) -> float:
    """A top that seldom moves: 1, 2 or 5 times a power of ten."""
    if peak is None or peak <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(peak))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= peak * (1 - 1e-9))
