"""The monitor: memory of every device and of the machine, and tokens per second with a short history."""

from typing import TYPE_CHECKING, ClassVar, Literal, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import var

from offtui.engine.state import Phase, SessionState
from offtui.monitor.graph import Style, render, samples_per_column
from offtui.monitor.history import Series
from offtui.monitor.sample import Sample
from offtui.protocol.facts import Timings
from offtui.protocol.spec import Placement
from offtui.text import clean_line
from offtui.ui.commands import Where, bindings
from offtui.ui.devices import DeviceUse, RamUse, device_uses, ram_use
from offtui.ui.widgets.draw import memory_bar
from offtui.ui.widgets.line import Line
from offtui.units import UNKNOWN, gib, rate_text, seconds_text, size_text

if TYPE_CHECKING:
    from offtui.planner.view import PlanView

SPAN = 120.0
"""Seconds of history on screen."""
GRAPH_LINES = 3
_LABEL = 12


class MonitorPane(Vertical, can_focus=True):
    """Fixed lines, each painted only when its text changes."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.MONITOR)]

    session: var[SessionState] = var(SessionState())
    sample: var[Sample | None] = var[Sample | None](None)
    draft: var[int | None] = var[int | None](None)
    placement: var[Placement] = var[Placement]("layers")
    plan: "var[PlanView | None]" = var["PlanView | None"](None)

    def __init__(self, *, graph: str = "braille", id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = " Monitor "
        self._graph: Style = cast(Literal["braille", "block", "ascii"], graph)
        self._rates = Series()
        self._tokens: tuple[int, int, float] | None = None
        """Turn, its tokens and the time of the newest, at the sample before."""
        self._ended: Timings | None = None
        self._paused = False

    def compose(self) -> ComposeResult:
        """Memory above, speed below."""
        yield Line(id="monitor-memory")
        yield Line(id="monitor-speed")
        yield Line(id="monitor-graph")
        yield Line(id="monitor-turn")
        yield Line(id="monitor-problem")

    def watch_session(self, before: SessionState, after: SessionState) -> None:
        """Show what changed; speed is shown with the samples while an answer is written."""
        if after.phase is not Phase.GENERATING or before.phase is not Phase.GENERATING:
            self._paint()

    def watch_sample(self, sample: Sample | None) -> None:
        """Measure the speed since the sample before, and show both."""
        if sample is not None:
            self._rates.add(sample.time, self._rate())
            self._paint()

    def watch_draft(self) -> None:
        """Show what the devices would hold with the dial's draft."""
        self._paint()

    def watch_placement(self) -> None:
        """Likewise with another placement."""
        self._paint()

    def on_resize(self) -> None:
        """Fit bars and history."""
        self._paint()

    def action_pause(self) -> None:
        """Hold the figures still, or let them go on."""
        self._paused = not self._paused
        self.border_title = " Monitor · paused " if self._paused else " Monitor "
        self._paint()

    def _rate(self) -> float | None:
        turn = self.session.turn
        timings = self.session.last_timings
        if turn is None or turn.last_token is None:
            self._tokens = None
            # An answer that came and went between two samples shows with its mean.
            ended, self._ended = self._ended, timings
            return timings.tps if timings is not None and timings is not ended else None
        now = (turn.turn, turn.tokens, turn.last_token)
        before, self._tokens = self._tokens, now
        if before is None or before[0] != now[0]:
            return turn.tps
        tokens, seconds = now[1] - before[1], now[2] - before[2]
        return tokens / seconds if tokens > 0 and seconds > 0 else None

    def _paint(self) -> None:
        if self._paused or not self.is_mounted:
            return
        width = max(self.content_size.width, 20)
        self._set("#monitor-memory", self._memory(width))
        self._set("#monitor-speed", [self._speed(width)])
        self._set("#monitor-graph", self._history(width))
        self._set("#monitor-turn", self._turn())
        problems = self.sample.problems if self.sample else ()
        self._set("#monitor-problem", [Content.styled(clean_line(problem), "$warning") for problem in problems[:1]])

    def _set(self, selector: str, lines: list[Content]) -> None:
        self.query_one(selector, Line).show_lines(lines)

    def _memory(self, width: int) -> list[Content]:
        lines: list[Content] = []
        uses = device_uses(self.session, self.sample)
        for use in uses:
            lines += device_lines(use, width, self._would(use.name))
        if not uses and self.session.loaded is not None:
            lines.append(Content.assemble(("VRAM".ljust(_LABEL), "$secondary"), ("no GPU device", "$quiet")))
        lines += ram_lines(ram_use(self.session, self.sample), width)
        cpu = self.sample.host.cpu if self.sample else None
        load = self.sample.host.load1 if self.sample else None
        lines.append(
            Content.assemble(
                ("CPU".ljust(_LABEL), "$secondary"),
                "  –" if cpu is None else f"{cpu * 100:3.0f} %",
                ("" if load is None else f"   load {load:.2f}", "$quiet"),
            )
        )
        lines.append(Content(""))
        return lines

    def _would(self, device: str) -> int | None:
        """Bytes of ours on a device with the dial's draft; ``None``: there is no draft, or no plan for it."""
        plan, loaded, draft = self.plan, self.session.loaded, self.draft
        if plan is None or loaded is None or draft is None or plan.spec.model != loaded.spec.model:
            return None
        index = next((index for index, budget in enumerate(plan.budgets) if budget.name == device), None)
        return (
            None if index is None or draft > plan.most else plan.under(self.placement).rows[draft].devices[index].total
        )

    def _speed(self, width: int) -> Content:
        turn = self.session.turn
        timings = self.session.last_timings
        rate = turn.tps if turn is not None else timings.tps if timings is not None else None
        figure = f"{rate_text(rate)} t/s"
        peak = self._peak()
        scale = "" if peak is None else f"0–{_round_up(peak):g} t/s, 2 min"
        return Content.assemble(
            ("Generation".ljust(_LABEL), "$secondary"),
            (figure, "bold $primary" if turn is not None else "bold"),
            (scale.rjust(width - _LABEL - len(figure)), "$quiet"),
        )

    def _peak(self) -> float | None:
        return self._rates.peak(self.sample.time - SPAN) if self.sample else None

    def _history(self, width: int) -> list[Content]:
        count = width * samples_per_column(self._graph)
        now = self.sample.time if self.sample else 0.0
        columns = self._rates.columns(count, min(SPAN, count * 1.0), now)
        peak = self._peak()
        if peak is None:
            return [Content.styled(text, "$quiet") for text in ("", "no answer in the last two minutes", "")]
        lines = render(columns, width, GRAPH_LINES, self._graph, high=_round_up(peak), fill=True)
        return [Content.styled(line, "$ours") for line in lines]

    def _turn(self) -> list[Content]:
        timings = self.session.last_timings
        prompt = Content.assemble(
            ("Prompt".ljust(_LABEL), "$secondary"), f"{rate_text(timings.prompt_tps if timings else None)} t/s"
        )
        if timings is None:
            return [prompt]
        first = Content.assemble(
            ("First token".ljust(_LABEL), "$secondary"),
            seconds_text(timings.ttft_seconds),
            (f"   {timings.reused_tokens} of {timings.prompt_tokens} tokens reused", "$quiet"),
        )
        return [prompt, first]


def device_lines(use: DeviceUse, width: int, would: int | None = None) -> list[Content]:
    """Name and figures, bar, and what else is known, of one device; ``would``: bytes of ours with the dial's draft."""
    known = use.used is not None and use.total is not None
    figures = f"{gib(use.used)} / {gib(use.total)} GiB" if known else "memory unknown"
    if use.used is not None and known and would is not None:
        figures = f"{gib(use.used)} → {gib(use.used - use.ours + would)} / {gib(use.total)} GiB"
    title = clean_line(f"{use.name}  {use.title}")
    room = width - len(figures) - 2
    shown = title if len(title) <= room else title[: max(room - 1, 1)] + "…"
    lines = [Content.assemble((shown.ljust(room + 2), "$secondary"), figures)]
    if use.used is not None and use.total:
        lines.append(memory_bar(width, use.ours, use.used, use.total, would))
    ours = size_text(use.ours) if would is None else f"{size_text(use.ours)} → {size_text(would)}"
    notes = [f"ours {ours}"] if use.usable else ["this llama.cpp cannot use it: offtui doctor"]
    if use.util is not None:
        notes.append(f"busy {use.util * 100:.0f} %")
    if use.power_w is not None:
        notes.append(f"{use.power_w:.0f} W")
    if use.temp_c is not None:
        notes.append(f"{use.temp_c:.0f} °C")
    lines.append(Content.styled(" · ".join(notes), "$quiet"))
    return lines


def ram_lines(use: RamUse, width: int) -> list[Content]:
    """Figures and bar of the machine's memory."""
    figures = f"{gib(use.used)} / {gib(use.total)} GiB"
    lines = [Content.assemble(("RAM".ljust(width - len(figures)), "$secondary"), figures)]
    if use.used is not None and use.total:
        lines.append(memory_bar(width, use.ours, use.used, use.total))
    lines.append(Content.styled(f"ours {size_text(use.ours) if use.ours else UNKNOWN}", "$quiet"))
    return lines


def _round_up(peak: float | None) -> float:
    """A top for the history that seldom moves: 1, 2 or 5 times a power of ten."""
    if peak is None or peak <= 0:
        return 1.0
    power = 1.0
    while power * 10 <= peak:
        power *= 10
    while power > peak:
        power /= 10
    return next(step * power for step in (1, 2, 5, 10) if step * power >= peak)
