"""The whole plan: every layer count as a table, the placements beside each other, the advice, load against plan."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from offtui.planner.view import SIGNS, Ladder, PlanRow, PlanView, rough
from offtui.protocol.spec import Placement
from offtui.text import clean_line
from offtui.ui.key_line import border_keys
from offtui.ui.widgets.strip import LEAVES, REFUSED, STAYS, THERE
from offtui.units import GIB, MIB, rate_text, size_text

_HEADS: tuple[str, ...] = ("layers", "VRAM", "weights", "KV", "compute", "RAM", "tokens/s", "fits")
_FORMULA = ("formula", 5)
"""Head and place of the column with the formula's figure, where llama.cpp's own is another."""
_JOULES = "J/token"
"""Head of the column with what tokens took, where that was measured and there is room for it; the dial says it too."""
_MOST_CELLS = 75
"""Of a row, so that the smallest terminal shows all of it."""
_SHARE = 0.9
"""Of the screen's rows that the page takes at most."""
_AROUND = 7
"""Rows of the frame and the heads of the columns, and some for lines that are wrapped."""
APART = 1 * MIB
"""Bytes by which the two must differ for both to be shown."""
_NAMES: dict[Placement, str] = {"layers": "whole layers", "ffn": "FFN in RAM", "experts": "experts in RAM"}


class PlanScreen(ModalScreen[None]):
    """A page to scroll, opened where the dial points."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "leave", "Back"),
        ("d", "leave", "Back"),
        ("q", "leave", "Back"),
        ("p", "placement", "Next placement"),
    ]

    def __init__(self, view: PlanView, lies: tuple[Placement, int] | None, draft: int | None) -> None:
        """A page about ``view``.

        Args:
            view: the plan, under the placement that the dial turns.
            lies: placement and layers of what is loaded; ``None``: nothing, or another model.
            draft: where the dial points; ``None``: at what is loaded.
        """
        super().__init__()
        self._view, self._lies = view, lies
        self._turned = None if draft is None else (view.placement, draft)

    def compose(self) -> ComposeResult:
        """What was found and the heads of the columns stay; the rows scroll, with what the signs mean below them."""
        with Vertical(id="plan-box") as box:
            box.border_title = Content(f"The plan · {_unit(self._view)[2]} at a context of {self._view.n_ctx}")
            box.border_subtitle = border_keys(self, *([("p", "placement")] if len(self._view.ladders) > 1 else []))
            with VerticalScroll(id="plan-head", can_focus=False):
                yield Static(id="plan-found", markup=False)
            yield Static(id="plan-columns", markup=False)
            with VerticalScroll(id="plan-rows"):
                yield Static(id="plan-table", markup=False)
                yield Static(id="plan-legend", markup=False)

    def on_mount(self) -> None:
        """Show the row the dial points at."""
        self._fill()

    def action_placement(self) -> None:
        """The table of the next placement."""
        there = self._view.placements
        self._view = self._view.under(there[(there.index(self._view.placement) + 1) % len(there)])
        self._fill()

    def on_resize(self) -> None:
        """Scroll the rows where there is no room for all of them."""
        box, rows = self.query_one("#plan-box", Vertical), self.query_one("#plan-rows", VerticalScroll)
        count = (
            len(head_lines(self._view))
            + len(table_lines(self._view, None, None))
            + len(legend_lines(self._view))
            + _AROUND
        )
        is_high = count > int(self.size.height * _SHARE)
        box.styles.height, rows.styles.height = (f"{_SHARE:%}", "1fr") if is_high else ("auto", "auto")
        self.call_after_refresh(self._show_row)

    def _fill(self) -> None:
        columns, *rows = table_lines(self._view, self._at(self._lies), self._at(self._turned))
        self.query_one("#plan-found", Static).update(Content("\n").join(head_lines(self._view)))
        self.query_one("#plan-columns", Static).update(columns)
        self.query_one("#plan-table", Static).update(Content("\n").join(rows))
        self.query_one("#plan-legend", Static).update(Content("\n").join(legend_lines(self._view)))
        self.call_after_refresh(self._show_row)

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)

    def _at(self, spot: tuple[Placement, int] | None) -> int | None:
        """The row of this placement's table; the ends are those of each."""
        if spot is None:
            return None
        return spot[1] if spot[0] == self._view.placement or spot[1] in (0, self._view.most) else None

    def _show_row(self) -> None:
        box = self.query_one("#plan-rows", VerticalScroll)
        found = [row for row in (self._at(self._turned), self._at(self._lies), self._view.choice) if row is not None]
        if found[0] >= box.size.height:
            box.scroll_to(y=found[0] - box.size.height // 2, animate=False)


def head_lines(view: PlanView) -> list[Content]:
    """What was found: why, budget, placements, advice, truth and notices."""
    lines = [Content.styled(clean_line(view.why), "bold")]
    for index, budget in enumerate(view.budgets):
        held = f"{size_text(budget.margin)} left free"
        if budget.context:
            source = "learned" if index < len(view.learned) and view.learned[index] else "as usual"
            held = f"{size_text(budget.context)} for the backend ({source}), {held}"
        room = "its memory is unknown" if budget.bytes is None else f"{size_text(budget.bytes)} to plan with; {held}"
        lines.append(Content.assemble((f"{clean_line(budget.name)}  ", "$secondary"), (room, "$quiet")))
    lines += placement_lines(view)
    lines += [Content.assemble(("Perhaps better  ", "$accent"), f"{advice}.") for advice in view.advice]
    lines += truth_lines(view)
    return [*lines, *[Content.styled(clean_line(notice), "$warning") for notice in view.notices]]


def legend_lines(view: PlanView) -> list[Content]:
    """What the figures and signs mean."""
    figures = "Compute: ~ by formula, ≈ corrected by others, else llama.cpp's own."
    speeds = "tokens/s: ~ predicted (nine of ten lie between), else measured here."
    signs = f"{THERE['layers']} there  {LEAVES} goes  {STAYS} in RAM  {REFUSED} does not fit"
    kept = [f"{THERE[kind]} but for {_NAMES[kind].partition(' ')[0]}" for kind in view.placements if kind != "layers"]
    strip = "  ".join([f"Strip: {signs}", *kept])
    return [Content(""), *[Content.styled(text, "$quiet") for text in (figures, speeds, strip)]]


def placement_lines(view: PlanView) -> list[Content]:
    """As much of each placement as fits, and what that brings; nothing where there is but one."""
    if len(view.ladders) < 2 or not view.budgets:
        return []
    best, base = view.best, view.ladders[0].rate
    return [_placement(view, ladder, ladder is best, base) for ladder in view.ladders]


def _placement(view: PlanView, ladder: Ladder, is_best: bool, base: float) -> Content:
    row = ladder.rows[ladder.choice]
    mark = "▶" if is_best else " "
    name = f"{mark} {_NAMES[ladder.placement]:<15}"
    if not ladder.fits:
        return Content.styled(f"{name} not even its smallest fits", "$quiet")
    rate = rate_text(row.rate.value) if row.runs else f"~{rough(row.rate.low)}–{rough(row.rate.high)}"
    times = "" if ladder is view.ladders[0] else f"  {ladder.rate / base:.1f}×"
    text = f"{name} {ladder.choice:>3} of {view.most}  {size_text(row.vram):>9}  {rate:>11} t/s{times}"
    return Content.styled(text, "$primary" if is_best else "")


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


def _unit(view: PlanView) -> tuple[int, int, str]:
    """Of the table: bytes, digits after the point, and name."""
    most = max(max(row.vram, row.ram.total) for row in view.rows)
    return (GIB, 2, "GiB") if most >= GIB else (MIB, 1, "MiB")


def table_lines(view: PlanView, got: int | None, draft: int | None) -> list[Content]:
    """A head and a row for each layer count; without a device all counts are one."""
    rows = view.rows if view.budgets else view.rows[:1]
    heads, cells = list(_HEADS), [_cells(view, row, got, draft) for row in rows]
    if any(_apart(row) for row in rows):
        name, place = _FORMULA
        heads.insert(place, name)
        unit, digits, _ = _unit(view)
        for row, texts in zip(rows, cells, strict=True):
            texts.insert(place, f"{sum(row.formula[:-1]) / unit:.{digits}f}" if _apart(row) else "")
    widths = _widths(heads, cells)
    if any(row.joules is not None for row in rows) and sum(widths) + 2 * len(widths) + len(_JOULES) <= _MOST_CELLS:
        heads.insert(-1, _JOULES)
        for row, texts in zip(rows, cells, strict=True):
            texts.insert(-1, "" if row.joules is None else f"{row.joules:.3g}")
        widths = _widths(heads, cells)
    head = _aligned(heads, widths)
    lines = [_row(view, row, texts, widths, got, draft) for row, texts in zip(rows, cells, strict=True)]
    return [Content.styled("".join(head), "$quiet"), *lines]


def _widths(heads: list[str], cells: list[list[str]]) -> list[int]:
    return [max(len(texts[column]) for texts in (heads, *cells)) for column in range(len(heads))]


def _aligned(texts: list[str], widths: list[int]) -> tuple[str, str]:
    """Numbers to the right; the last column, of words, to the left and by itself."""
    numbers = "  ".join(text.rjust(width) for text, width in zip(texts[:-1], widths[:-1], strict=True))
    return numbers, f"  {texts[-1]}"


def _apart(row: PlanRow) -> bool:
    """Whether llama.cpp's own figure, or what its neighbours' make likely, is another than the formula's."""
    pairs = zip(row.compute[:-1], row.formula[:-1], strict=False)
    return row.source != "formula" and any(abs(own - plain) >= APART for own, plain in pairs)


def _cells(view: PlanView, row: PlanRow, got: int | None, draft: int | None) -> list[str]:
    k = row.n_gpu_layers
    unit, digits, _ = _unit(view)
    sizes = (
        row.vram,
        sum(device.weights for device in row.devices),
        sum(device.kv for device in row.devices),
        sum(device.compute for device in row.devices),
        row.ram.total,
    )
    vram, weights, kv, compute, ram = (f"{size / unit:.{digits}f}" for size in sizes)
    mark = "→" if k == draft else "■" if k == got else "▶" if k == view.choice else " "
    rate = rate_text(row.rate.value) if row.runs else f"~{rough(row.rate.low)}–{rough(row.rate.high)}"
    return [f"{mark} {k:>3}", vram, weights, kv, SIGNS[row.source] + compute, ram, rate, _fit(view, row)]


def _fit(view: PlanView, row: PlanRow) -> str:
    if row.fit == "too much":
        unit, _, name = _unit(view)
        return f"✗ +{row.excess / unit:.{2 if name == 'GiB' else 0}f}"
    if row.n_gpu_layers == view.choice and view.budgets:
        return "✓ most" if view.choice < view.most else "✓ all"
    return ""


def _row(
    view: PlanView, row: PlanRow, texts: list[str], widths: list[int], got: int | None, draft: int | None
) -> Content:
    too_much = row.fit == "too much"
    k = row.n_gpu_layers
    style = "$accent" if k == draft else "$primary" if k == got else "$quiet" if too_much else ""
    numbers, fit = _aligned(texts, widths)
    return Content.assemble((numbers, style), (fit, "$error" if too_much else "$success"))
