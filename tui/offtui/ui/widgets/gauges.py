"""Memory of the devices and of the machine as rows: names, figures, bars, who else is there. Pure."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content

from offtui.engine.state import SessionState
from offtui.monitor.sample import GpuProcess, GpuSample, HostSample, ProcessSample
from offtui.protocol.spec import Placement
from offtui.recorder.devices import DeviceUse, RamUse
from offtui.text import clean_line
from offtui.ui.widgets.draw import Part, legend, memory_bar, small_bar
from offtui.units import UNKNOWN, gib, size_text

if TYPE_CHECKING:
    from offtui.planner.view import PlanView

LABEL = 12
"""Cells of a label."""
_NAMED = 3
"""Processes that are named; the others are counted."""
_SHORT = 60
"""Cells below which a row leaves out what is less important."""


@dataclass(frozen=True)
class Look:
    """How gauges are drawn."""

    width: int
    rows: int = 3
    """For each device: 3 with notes, 2 without, 1 all in one row."""
    full: bool = False
    """All there is to know, and a legend."""
    ascii: bool = False


def device_lines(use: DeviceUse, look: Look, would: int | None = None) -> list[Content]:
    """One device; ``would``: bytes of ours with the dial's draft."""
    figures = _figures(use.used, use.total, None if would is None or use.used is None else use.used - use.ours + would)
    if look.rows == 1:
        return [_one_row(use, look, would)]
    title = clean_line(f"{use.name}  {use.title}" if use.title != use.name else use.name)
    if look.rows == 2 and look.width >= _SHORT:
        figures = "   ".join([*_short_notes(use.card), figures])
    lines = [_title(title, figures, look.width)]
    if use.used is not None and use.total:
        lines.append(_bar(use, look.width, would, look.ascii))
    if look.rows == 2:
        return lines
    if look.full:
        lines.append(legend(tuple(_legend(use)), look.width, ascii=look.ascii))
        if notes := _notes(use, full=True):
            lines.append(_fitting(notes, look.width))
        if others := others_text(use, look.width):
            lines.append(Content.styled(others, "$quiet"))
        return lines
    ours = size_text(use.ours) if would is None else f"{size_text(use.ours)} → {size_text(would)}"
    notes = [f"ours {ours}"] if use.usable else ["this llama.cpp cannot use it: offtui doctor"]
    lines.append(_fitting([*notes, *_notes(use, full=False)], look.width))
    return lines


def device_height(use: DeviceUse, look: Look) -> int:
    """How many rows ``device_lines`` gives."""
    if look.rows == 1:
        return 1
    rows = 2 if use.used is not None and use.total else 1
    if look.rows == 2:
        return rows
    if not look.full:
        return rows + 1
    return rows + 1 + bool(_notes(use, full=True)) + bool(use.others)


def ram_lines(use: RamUse, look: Look) -> list[Content]:
    """The machine's memory."""
    known = use.used is not None and use.total
    bar = Content("")
    cached = min(use.cached or 0, use.mapped) if use.mapped else 0
    if known:
        width = look.width if look.rows > 1 else max(look.width - LABEL - 12, 8)
        bar = memory_bar(
            width, use.ours, use.used or 0, use.total or 0, kv=use.kv, compute=use.compute, cached=cached,
            ascii=look.ascii,
        )  # fmt: skip
    if look.rows == 1:
        figures = f"{gib(use.used)}/{gib(use.total)}".rjust(11)
        return [Content.assemble(("RAM".ljust(LABEL), "$secondary"), bar, f" {figures}")]
    lines = [_title("RAM", _figures(use.used, use.total), look.width)]
    if known:
        lines.append(bar)
    if look.rows > 2 or look.full:
        lines.append(_ram_notes(use, cached, look))
    return lines


def _ram_notes(use: RamUse, cached: int, look: Look) -> Content:
    if look.full:
        others = None if use.used is None else max(use.used - use.ours, 0)
        parts = _ours(use)
        if use.mapped:
            inside = None if use.cached is None else cached
            parts.append(Part("mapped", "mapped", inside, f" of {size_text(use.mapped)} in RAM"))
        parts.append(Part("others", "others", others))
        return legend(tuple(parts), look.width, ascii=look.ascii)
    notes = [f"ours {size_text(use.ours) if use.ours else UNKNOWN}"]
    if use.mapped:
        share = "" if use.cached is None else f" ({cached * 100 // use.mapped} % in RAM)"
        notes.append(f"mapped {size_text(use.mapped)}{share}")
    return _fitting(notes, look.width)


def cpu_line(host: HostSample, worker: ProcessSample | None, look: Look) -> Content:
    """The processors: all, each, and the worker's share of them."""
    cpu = UNKNOWN.rjust(3) if host.cpu is None else f"{host.cpu * 100:3.0f} %"
    parts = [Content.assemble(("CPU".ljust(LABEL), "$secondary"), cpu)]
    if look.full and host.per_core and len(host.per_core) <= max(look.width - 60, 8):
        cores = "".join(small_bar(1, share) for share in host.per_core)
        parts.append(Content.styled(cores, "$others"))
    notes = [] if host.load1 is None else [f"load {host.load1:.2f}"]
    if look.full:
        if worker is not None and worker.cpu is not None:
            notes.append(f"worker {worker.cpu:.1f} cores, {size_text(worker.rss)}")
        if host.swap_used:
            notes.append(f"swap {size_text(host.swap_used)}")
    parts.append(_fitting(notes, look.width - sum(part.cell_length + 3 for part in parts)))
    return Content("   ").join(part for part in parts if part.cell_length)


def flow_text(host: HostSample, worker: ProcessSample | None) -> str:
    """What goes over disks and network, while it is much."""
    read = max((value for value in (host.disk_read, worker.read if worker else None) if value is not None), default=0.0)
    flows = [("reading", read), ("writing", host.disk_write), ("receiving", host.net_in), ("sending", host.net_out)]
    return " · ".join(f"{word} {size_text(round(rate))}/s" for word, rate in flows if rate is not None and rate >= MUCH)


MUCH = 4 * 1024 * 1024
"""Bytes per second from which disk and network are worth a word."""


def others_text(use: DeviceUse, width: int) -> str:
    """Who else holds memory of a device, by name where it can be known."""
    if not use.others:
        return ""
    named = [_process_text(process) for process in use.others[:_NAMED]]
    rest = len(use.others) - len(named)
    text = "also here: " + ", ".join(named) + (f" and {rest} more" if rest else "")
    return text if len(text) <= width else text[: width - 1] + "…"


def _process_text(process: GpuProcess) -> str:
    name = clean_line(process.name, 24) or f"process {process.pid}"
    return f"{name} {size_text(process.used)}"


def _bar(use: DeviceUse, width: int, would: int | None, ascii: bool) -> Content:
    return memory_bar(
        width, use.ours, use.used or 0, use.total or 0, would, kv=use.kv, compute=use.compute, ascii=ascii
    )


def _one_row(use: DeviceUse, look: Look, would: int | None) -> Content:
    figures = f"{gib(use.used)}/{gib(use.total)}".rjust(11)
    tail = [f"{note:>6}" for note in _short_notes(use.card)] if look.width >= _SHORT else []
    room = look.width - LABEL - len(figures) - sum(len(text) + 1 for text in tail) - 1
    title = use.name if len(use.name) < LABEL else use.name[: LABEL - 2] + "…"
    known = use.used is not None and use.total
    bar = _bar(use, max(room, 4), would, look.ascii) if known else Content(" " * max(room, 4))
    style = "$secondary" if use.usable else "$quiet"
    return Content.assemble((title.ljust(LABEL), style), bar, f" {figures}", (" ".join(["", *tail]), "$quiet"))


def _short_notes(card: GpuSample | None) -> list[str]:
    if card is None:
        return []
    return [
        UNKNOWN if value is None else f"{value:.0f} {unit}"
        for value, unit in (
            (None if card.util is None else card.util * 100, "%"),
            (card.power_w, "W"),
            (card.temp_c, "°C"),
        )
    ]


@functools.lru_cache(64)
def _title(title: str, figures: str, width: int) -> Content:
    room = max(width - len(figures) - 2, 1)
    shown = title if len(title) <= room else title[: max(room - 1, 1)] + "…"
    return Content.assemble((shown.ljust(room + 2), "$secondary"), figures)


def _figures(used: int | None, total: int | None, after: int | None = None) -> str:
    if used is None and total is None:
        return "memory unknown"
    if after is not None:
        return f"{gib(used)} → {gib(after)} / {gib(total)} GiB"
    return f"{gib(used)} / {gib(total)} GiB"


def _legend(use: DeviceUse) -> list[Part]:
    others = None if use.used is None else max(use.used - use.ours, 0)
    return [*_ours(use), Part("others", "others", others), Part("free", "free", use.free)]


def _ours(use: DeviceUse | RamUse) -> list[Part]:
    """What a load has there; nothing, where there is none."""
    if not use.ours:
        return []
    return [
        Part("weights", "weights", use.weights),
        Part("kv", "KV", use.kv),
        Part("compute", "compute", use.compute),
    ]


def _notes(use: DeviceUse, *, full: bool) -> list[str]:
    card = use.card
    if card is None:
        return []
    notes = _load_notes(card, full=full)
    if not full:
        return notes
    if use.worker is not None and use.worker > use.ours:
        notes.append(f"{size_text(use.worker - use.ours)} for the backend")
    if not use.usable:
        notes.insert(0, "this llama.cpp cannot use it: offtui doctor")
    return notes


def _load_notes(card: GpuSample, *, full: bool) -> list[str]:
    notes: list[str] = []
    if card.util is not None:
        notes.append(f"busy {card.util * 100:.0f} %")
    if full and card.mem_util is not None:
        notes.append(f"memory {card.mem_util * 100:.0f} %")
    if card.power_w is not None:
        limit = f"/{card.power_limit_w:.0f}" if full and card.power_limit_w is not None else ""
        notes.append(f"{card.power_w:.0f}{limit} W")
    if card.temp_c is not None:
        notes.append(f"{card.temp_c:.0f} °C")
    if card.throttle:
        notes.append(f"held back by {', '.join(card.throttle)}")
    if not full:
        return notes
    if card.clock_mhz is not None:
        notes.append(f"{card.clock_mhz} MHz")
    if card.fan is not None:
        notes.append(f"fan {card.fan * 100:.0f} %")
    if card.pcie_in is not None and card.pcie_out is not None:
        notes.append(f"PCIe in {size_text(card.pcie_in)}/s out {size_text(card.pcie_out)}/s")
    if card.unified:
        notes.append("shares the RAM")
    return notes


def _fitting(notes: Sequence[str], width: int) -> Content:
    """As many of the notes as there is room for."""
    return _as_many(tuple(notes), width)


@functools.lru_cache(64)
def _as_many(notes: tuple[str, ...], width: int) -> Content:
    kept = list(notes)
    while len(kept) > 1 and len(" · ".join(kept)) > width:
        kept.pop()
    return Content.styled(" · ".join(kept), "$quiet").truncate(max(width, 1), ellipsis=True)


def would_be(
    plan: "PlanView | None", session: SessionState, draft: int | None, placement: Placement, device: str
) -> int | None:
    """Bytes of ours on a device with the dial's draft; ``None``: there is no draft, or no plan for it."""
    loaded = session.loaded
    if plan is None or loaded is None or draft is None or plan.spec.model != loaded.spec.model:
        return None
    index = next((index for index, budget in enumerate(plan.budgets) if budget.name == device), None)
    return None if index is None or draft > plan.most else plan.under(placement).rows[draft].devices[index].total
