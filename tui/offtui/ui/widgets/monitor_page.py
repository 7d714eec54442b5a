"""The page of the full monitor: who gets how many rows, and what stands in them. Pure."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual.content import Content

from offtui.engine.state import SessionState
from offtui.monitor.graph import Style
from offtui.monitor.history import Event
from offtui.monitor.sample import HostSample, Sample
from offtui.recorder.devices import DeviceUse, RamUse, device_uses, ram_use
from offtui.recorder.tape import Answer, Tape
from offtui.text import clean_line
from offtui.ui.panes.status import status
from offtui.ui.widgets import lanes
from offtui.ui.widgets.gauges import Look, cpu_line, device_height, device_lines, flow_text, ram_lines
from offtui.ui.widgets.lanes import Window
from offtui.ui.widgets.strip import Split
from offtui.units import count_text, joules_text, rate_text, seconds_text

LEAST_LANES = 6
"""Lanes that there should be room for before devices get more than a row each."""
NOTED = 30
"""Rows from which there is room for the layers of each load."""
_BELOW = 3
"""Rows below the lanes: marks, axis, what is read."""


@dataclass(frozen=True)
class Page:
    """All that the page shows."""

    width: int
    height: int
    tape: Tape
    session: SessionState | None
    """``None``: none can be seen."""
    sample: Sample | None
    window: Window
    live: bool
    """The right edge is now, and moves."""
    would: Callable[[str], int | None]
    """Bytes of ours on a device with the dial's draft."""
    style: Style = "braille"
    answer: Answer | None = None
    """Which is looked at."""
    notice: str = ""
    draft: Split | None = None


def page_lines(page: Page) -> list[Content]:
    """At most ``page.height`` rows; ``page.tape`` is held by the caller."""
    head = _head(page)
    energy = _energy(page)
    uses = device_uses(page.session or SessionState(), page.sample)
    ram = ram_use(page.session or SessionState(), page.sample)
    below = _BELOW + len(energy) + (1 if page.height >= NOTED else 0)
    gauges = _gauges(page, uses, ram, page.height - len(head) - below)
    room = page.height - len(head) - len(gauges) - below
    return [*head, *gauges, *_lanes(page, uses, ram, room), *_foot(page), *energy][: page.height]


def _head(page: Page) -> list[Content]:
    state = page.session
    if state is None:
        lines = [Content.styled(clean_line(page.notice) or "no offtui runs: the machine alone", "$quiet")]
    else:
        lines = [status(state, page.sample, page.draft, page.width)]
    problems = list(page.sample.problems) if page.sample is not None else []
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        said = textwrap.wrap(clean_line(problems[0]) + more, max(page.width, 1), max_lines=2, placeholder="…")
        lines += [Content.styled(row, "$warning").truncate(page.width, ellipsis=True) for row in said]
    return lines


def _gauges(page: Page, uses: Sequence[DeviceUse], ram: RamUse, room: int) -> list[Content]:
    """The devices in the most rows each with which the lanes still have room."""
    for rows, full, least in ((3, True, 2 * LEAST_LANES), (2, False, 2 * LEAST_LANES), (2, False, LEAST_LANES)):
        look = Look(page.width, rows, full, page.style == "ascii")
        if sum(device_height(use, look) for use in uses) + rows + 1 + least <= room:
            return _gauges_of(page, uses, ram, look)
    most = max(room - 2 - LEAST_LANES, 1)
    return _gauges_of(page, uses, ram, Look(page.width, 1, False, page.style == "ascii"), most)


def _gauges_of(
    page: Page, uses: Sequence[DeviceUse], ram: RamUse, look: Look, most: int | None = None
) -> list[Content]:
    """``most``: devices that are shown at most."""
    sample = page.sample
    shown = uses if most is None or len(uses) <= most else uses[: max(most - 1, 0)]
    lines = [line for use in shown for line in device_lines(use, look, page.would(use.name))]
    if len(shown) < len(uses):
        lines.append(_rest(uses[len(shown) :], look.width))
    lines += ram_lines(ram, look)
    host = sample.host if sample is not None else HostSample()
    worker = sample.worker if sample is not None else None
    full = Look(look.width, look.rows, True, look.ascii)
    cpu = cpu_line(host, worker, full)
    flow = flow_text(host, worker)
    if flow and cpu.cell_length + len(flow) + 3 <= page.width:
        cpu = Content.assemble(cpu, ("   " + flow, "$primary"))
    return [*lines, cpu]


def _rest(uses: Sequence[DeviceUse], width: int) -> Content:
    used = sum(use.used or 0 for use in uses)
    total = sum(use.total or 0 for use in uses)
    text = f"and {len(uses)} more devices, {used / 2**30:.1f}/{total / 2**30:.1f} GiB"
    return Content.styled(text, "$quiet").truncate(width, ellipsis=True)


def _lanes(page: Page, uses: Sequence[DeviceUse], ram: RamUse, room: int) -> list[Content]:
    shown = lanes.shown_lanes(page.tape.history, min(room, room // 2 if room >= 2 * LEAST_LANES else room))
    if not shown:
        return []
    history, window, cells = page.tape.history, page.window, lanes.graph_width(page.width)
    values = [lanes.lane_values(history, lane, window, cells, page.style) for lane in shown]
    peaks = [lanes.known_peak(columns) for columns in values]
    tops = lanes.tops(shown, peaks, uses, ram.total)
    marks = lanes.guides(history, window, cells)
    heights = [room // len(shown) + (1 if index < room % len(shown) else 0) for index in range(len(shown))]
    rows: list[Content] = []
    for lane, columns, peak, top, height in zip(shown, values, peaks, tops, heights, strict=True):
        strip = lanes.Strip(lane, columns, history.series(lane.series).last_at(window.now), peak, top)
        rows += lanes.lane_rows(strip, window, marks, page.width, height, page.style)
    return rows


def _foot(page: Page) -> list[Content]:
    marks = [lanes.mark_row(page.tape.history, page.window, page.width)]
    if page.height >= NOTED:
        marks.append(lanes.note_row(page.tape.history, page.window, page.width))
    axis = lanes.axis_row(page.window, page.width, live=page.live)
    return [*marks, axis, _readout(page)]


def _readout(page: Page) -> Content:
    """What the cursor or the chosen answer says; without either what the letters mean."""
    window, history = page.window, page.tape.history
    if window.cursor is not None:
        cells = lanes.graph_width(page.width)
        at = lanes.time_of(window, cells, window.cursor)
        newest = page.sample.time if page.sample is not None else at
        near = lanes.near_marks(history, window, cells, window.cursor)
        said = " · ".join(_mark_text(mark.event, mark.note) for mark in near)
        ago = f", {seconds_text(max(newest - at, 0.0))} ago"
        return Content.assemble(
            (lanes.clock_text(history.wall(at)), "bold $accent"),
            (ago, "$quiet"),
            (f"   {said}" if said else "", "$accent"),
        ).truncate(page.width, ellipsis=True)
    if page.answer is not None:
        return Content(answer_text(page.answer)).truncate(page.width, ellipsis=True)
    return Content.styled(lanes.LEGEND, "$quiet").truncate(page.width, ellipsis=True)


def _mark_text(event: Event, note: str) -> str:
    return f"{event.value} {clean_line(note, 100)}".strip()


def answer_text(answer: Answer) -> str:
    """``answer 3 · 9/13 layers · 412 tokens · 31.4 t/s · first token 85 ms · 812 J, 1.97 J/token``."""
    parts = [f"answer {answer.number}", f"{answer.n_gpu_layers}/{answer.most} layers"]
    timings = answer.timings
    if timings is None:
        return " · ".join([*parts, answer.stop])
    parts += [f"{timings.tokens} tokens", f"{rate_text(timings.tps)} t/s"]
    if answer.energy_j is not None and answer.joules_per_token is not None:
        parts.append(f"{joules_text(answer.energy_j)}, {answer.joules_per_token:.3g} J/token")
    parts.append(f"first token {seconds_text(timings.ttft_seconds or None)}")
    fresh = timings.prompt_tokens - timings.reused_tokens
    parts.append(
        f"prompt {count_text(fresh)} of {count_text(timings.prompt_tokens)} at {rate_text(timings.prompt_tps)} t/s"
    )
    return " · ".join([*parts, answer.stop])


def _energy(page: Page) -> list[Content]:
    """What a token took by layer count, where that is known."""
    known = page.tape.joules_by_layers()
    if not known:
        return []
    text = "   ".join(f"{layers}: {joules:.3g}" for layers, joules in known.items())
    return [
        Content.assemble(("J/token by layers".ljust(lanes.NAME), "$secondary"), text).truncate(
            page.width, ellipsis=True
        )
    ]
