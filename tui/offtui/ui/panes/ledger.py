"""The truth line: what the load that is up put where, in MiB, from the buffers themselves."""

import textwrap
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import var

from offtui.engine.state import Phase, SessionState
from offtui.protocol.facts import DeviceLedger
from offtui.text import clean_line
from offtui.ui.panes.column import PaneGrew
from offtui.ui.widgets.line import Line
from offtui.units import MIB, size_text

if TYPE_CHECKING:
    from offtui.planner.view import PlanView

AS_PLANNED = 74
"""Cells from which there is room to say so."""
_WIDTHS = (7, 9, 8, 9)
"""Cells of the columns layers, weights, KV cache, compute."""


class LedgerPane(Vertical):
    """A small table: a row per device, RAM last."""

    session: var[SessionState] = var(SessionState())
    plan: "var[PlanView | None]" = var["PlanView | None"](None)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = " What lies where · MiB "

    def compose(self) -> ComposeResult:
        """The table."""
        yield Line()

    def watch_session(self, before: SessionState, state: SessionState) -> None:
        """Show the new ledger."""
        if before.loaded is not state.loaded or before.phase is not state.phase:
            self._paint()

    def watch_plan(self) -> None:
        """Say whether the load is as it was planned."""
        self._paint()

    def on_resize(self) -> None:
        """Fit the columns; the panes beside have other room."""
        self._paint()
        self.post_message(PaneGrew())

    def _paint(self) -> None:
        if not self.is_mounted:
            return
        state = self.session
        self.query_one(Line).show_lines(ledger_lines(state, max(self.content_size.width, 20), self.plan))


def ledger_lines(state: SessionState, width: int, plan: "PlanView | None" = None) -> list[Content]:
    """The table for ``width`` cells, and where the plan was wrong about what is exact."""
    if state.loaded is None:
        text = "loading…" if state.phase is Phase.LOADING else "nothing is loaded"
        return [Content.styled(text, "$quiet")]
    name_width = max(min(width - sum(_WIDTHS), 18), 4)
    head = Content.styled(" " * name_width + _columns(("layers", "weights", "KV", "compute")), "$quiet")
    entries = [entry for entry in state.loaded.devices if entry.kind != "cpu"]
    entries += [entry for entry in state.loaded.devices if entry.kind == "cpu"]
    rows = [_row(entry, name_width) for entry in entries]
    layers = state.loaded.layers
    verdict = f"asked {layers.asked}, got {layers.got} of {layers.max}"
    style = "$success" if layers.asked == layers.got else "$warning"
    mapped = sum(entry.mapped for entry in entries)
    budget = state.loaded.spec.vram_budget
    same = plan is not None and plan.spec.model == state.loaded.spec.model
    notes = [] if budget is None else [f"budget {size_text(budget)}"]
    notes += [f"of RAM {_mib(mapped)} mapped"] if mapped else []
    if plan is not None and same and plan.truth and not plan.bugs and width >= AS_PLANNED:
        notes.append("weights and KV as planned")
    said = [Content.styled(verdict, style)]
    for note in notes:
        if said[-1].cell_length + len(note) + 3 <= width:
            said[-1] = Content.assemble(said[-1], (f" · {note}", "$quiet"))
        else:
            said.append(Content.styled(note, "$quiet"))
    bugs = plan.bugs if plan is not None and same else ()
    wrong = [row for bug in bugs[:2] for row in textwrap.wrap(f"plan was wrong: {clean_line(str(bug))}", width)]
    return [head, *rows, *said, *[Content.styled(row, "$error") for row in wrong]]


def _row(entry: DeviceLedger, name_width: int) -> Content:
    name = "RAM" if entry.kind == "cpu" else clean_line(entry.name)
    shown = name if len(name) <= name_width - 1 else name[: name_width - 2] + "…"
    figures = _columns((str(entry.layers), _mib(entry.weights), _mib(entry.kv), _mib(entry.compute)))
    return Content.assemble((shown.ljust(name_width), "$secondary"), figures)


def _columns(texts: tuple[str, str, str, str]) -> str:
    return "".join(text.rjust(width) for text, width in zip(texts, _WIDTHS, strict=True))


def _mib(size: int) -> str:
    value = size / MIB
    if size == 0:
        return "0"
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"
