"""The whole plan: every layer count as a table, the budget, the advice, and the load against its plan."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from offtui.planner.view import PlanRow, PlanView, rough
from offtui.text import clean_line
from offtui.units import GIB, MIB, rate_text, size_text

_HEADS = ("layers", "VRAM", "weights", "KV", "compute", "RAM", "tokens/s")
_WIDTHS = (6, 7, 8, 6, 8, 7, 14)


class PlanScreen(ModalScreen[None]):
    """A page to scroll, opened where the dial points."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "leave", "Back"),
        ("d", "leave", "Back"),
        ("q", "leave", "Back"),
    ]

    def __init__(self, view: PlanView, got: int | None, draft: int | None) -> None:
        """A page about ``view``.

        Args:
            view: the plan.
            got: layers that are on the devices now; ``None``: nothing is loaded.
            draft: where the dial points; ``None``: at what is loaded.
        """
        super().__init__()
        self._view, self._got, self._draft = view, got, draft

    def compose(self) -> ComposeResult:
        """The page."""
        with VerticalScroll(id="plan-box") as box:
            box.border_title = "The plan"
            box.border_subtitle = "Esc closes"
            yield Static(Content("\n").join(head_lines(self._view)), markup=False)
            rows = table_lines(self._view, self._got, self._draft)
            yield Static(Content("\n").join(rows), id="plan-table", markup=False)

    def on_mount(self) -> None:
        """Show the row the dial points at."""
        self.call_after_refresh(self._show_row)

    def _show_row(self) -> None:
        box = self.query_one("#plan-box", VerticalScroll)
        table = self.query_one("#plan-table", Static)
        at = self._draft if self._draft is not None else self._got
        if at is not None:
            place = table.virtual_region.y + 1 + at
            if place >= box.size.height:
                box.scroll_to(y=place - box.size.height // 2, animate=False)

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)


def head_lines(view: PlanView) -> list[Content]:
    """Why, budget, advice, truth and notices."""
    lines = [Content.styled(clean_line(view.why), "bold")]
    for budget in view.budgets:
        held = f"{size_text(budget.margin)} left free"
        if budget.context:
            held = f"{size_text(budget.context)} for the backend, {held}"
        room = "its memory is unknown" if budget.bytes is None else f"{size_text(budget.bytes)} to plan with; {held}"
        lines.append(Content.assemble((f"{clean_line(budget.name)}  ", "$secondary"), (room, "$quiet")))
    lines += [Content.assemble(("Perhaps better  ", "$accent"), f"{advice}.") for advice in view.advice]
    lines += truth_lines(view)
    lines += [Content.styled(clean_line(notice), "$warning") for notice in view.notices]
    note = f"{_unit(view)[1]} at a context of {view.n_ctx}; ~ by formula, else llama.cpp's own figure."
    speeds = "tokens/s: ~ predicted (nine of ten lie between), else measured here."
    return [*lines, Content(""), Content.styled(note, "$quiet"), Content.styled(speeds, "$quiet"), Content("")]


def truth_lines(view: PlanView) -> list[Content]:
    """The load that is up against its plan; a bug of the plan is called one."""
    if not view.truth:
        return []
    if view.bugs:
        return [Content.styled(f"The plan was wrong: {clean_line(str(bug))}", "$error") for bug in view.bugs]
    exact = max((abs(entry.bytes) for entry in view.truth if entry.purpose != "compute"), default=0)
    compute = max((abs(entry.bytes) for entry in view.truth if entry.purpose == "compute"), default=0)
    text = f"weights and KV within {size_text(exact)}, compute within {size_text(compute)}"
    return [Content.assemble(("Plan = load  ", "$success"), (text, "$quiet"))]


def _unit(view: PlanView) -> tuple[int, str]:
    """Of the table: bytes and name."""
    most = max(max(row.vram, row.ram.total) for row in view.rows)
    return (GIB, "GiB") if most >= GIB else (MIB, "MiB")


def table_lines(view: PlanView, got: int | None, draft: int | None) -> list[Content]:
    """A head and a row for each layer count; without a device all counts are one."""
    rows = view.rows if view.budgets else view.rows[:1]
    head = "".join(text.rjust(width) for text, width in zip(_HEADS, _WIDTHS, strict=True))
    return [Content.styled(head, "$quiet"), *[_row(view, row, got, draft) for row in rows]]


def _row(view: PlanView, row: PlanRow, got: int | None, draft: int | None) -> Content:
    k = row.n_gpu_layers
    about = "" if row.exact else "~"
    unit, _ = _unit(view)
    sizes = (
        row.vram,
        sum(device.weights for device in row.devices),
        sum(device.kv for device in row.devices),
        sum(device.compute for device in row.devices),
        row.ram.total,
    )
    vram, weights, kv, compute, ram = (f"{size / unit:.{2 if unit == GIB else 1}f}" for size in sizes)
    mark = "→" if k == draft else "■" if k == got else "▶" if k == view.choice else " "
    rate = rate_text(row.rate.value) if row.runs else f"~{rough(row.rate.low)}–{rough(row.rate.high)}"
    cells = (f"{mark} {k:>3}", vram, weights, kv, about + compute, ram, rate)
    text = "".join(cell.rjust(width) for cell, width in zip(cells, _WIDTHS, strict=True))
    style = "$accent" if k == draft else "$primary" if k == got else ""
    note = ""
    if row.fit == "too much":
        style, note = style or "$quiet", f" ✗ {size_text(row.excess)} over"
    elif k == view.choice and view.budgets:
        note = " ✓ the most" if k < view.most else " ✓ all of it"
    return Content.assemble((text, style), (note, "$error" if row.fit == "too much" else "$success"))
