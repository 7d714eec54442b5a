"""The monitor: memory of every device and of the machine, and tokens per second with a short history."""

from typing import TYPE_CHECKING, ClassVar, Literal, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import var

from offtui.engine.state import Phase, SessionState, TurnState
from offtui.monitor.graph import Style, render
from offtui.monitor.sample import HostSample, Sample
from offtui.protocol.spec import Placement
from offtui.recorder.devices import device_uses, ram_use
from offtui.recorder.tape import Answer, Tape
from offtui.text import clean_line
from offtui.ui.commands import Where, bindings
from offtui.ui.panes.column import PaneGrew
from offtui.ui.panes.painted import Painted
from offtui.ui.rhythm import is_only_memory
from offtui.ui.widgets.gauges import LABEL, Look, cpu_line, device_lines, flow_text, ram_lines, would_be
from offtui.ui.widgets.lanes import TOKENS, Window, lane_values, round_up, window_of
from offtui.ui.widgets.line import Line
from offtui.units import UNKNOWN, count_text, joules_text, rate_text, seconds_text, size_text

if TYPE_CHECKING:
    from offtui.planner.view import PlanView

SPAN = 120.0
"""Seconds of history on screen."""
GRAPH_LINES = 3
SEVERAL = 2
"""Devices from which on more than that have one row each."""


class MonitorPane(Painted, Vertical, can_focus=True):
    """Fixed lines, each painted only when its text changes."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.MONITOR)]

    session: var[SessionState] = var(SessionState())
    sample: var[Sample | None] = var[Sample | None](None)
    draft: var[int | None] = var[int | None](None)
    placement: var[Placement] = var[Placement]("layers")
    plan: "var[PlanView | None]" = var["PlanView | None"](None)
    answer: var[Answer | None] = var[Answer | None](None)
    """One that is looked at: its time in the place of the last two minutes."""

    def __init__(self, tape: Tape, *, graph: str = "braille", id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = " Monitor "
        self._graph: Style = cast(Literal["braille", "block", "ascii"], graph)
        self._tape = tape
        self._paused = False

    def compose(self) -> ComposeResult:
        """Memory above, speed below."""
        yield Line(id="monitor-memory")
        yield Line(id="monitor-speed")
        yield Line(id="monitor-graph")
        yield Line(id="monitor-turn")

    def watch_session(self, before: SessionState, after: SessionState) -> None:
        """Show what changed; speed is shown with the samples while an answer is written."""
        both = after.phase is Phase.GENERATING and before.phase is Phase.GENERATING
        if not both and not is_only_memory(before, after):
            self._paint()

    def watch_sample(self, sample: Sample | None) -> None:
        """Show what was seen."""
        if sample is not None:
            self._paint()

    def watch_answer(self) -> None:
        """Show its time, or what happens now."""
        self._paint()

    def on_resize(self) -> None:
        """The panes beside have other room."""
        self.post_message(PaneGrew())

    def action_pause(self) -> None:
        """Hold the figures still, or let them go on."""
        self._paused = not self._paused
        self.border_title = " Monitor · paused " if self._paused else " Monitor "
        self._paint()

    def _paint(self) -> None:
        if self._paused or not self.is_mounted:
            return
        width = max(self.content_size.width, 20)
        self._set("#monitor-memory", self._memory(width))
        with self._tape.lock:
            self._set("#monitor-speed", [self._speed(width)])
            self._set("#monitor-graph", self._history(width))
            self._set("#monitor-turn", self._turn(width))

    def _set(self, selector: str, lines: list[Content]) -> None:
        self.query_one(selector, Line).show_lines(lines)

    def _memory(self, width: int) -> list[Content]:
        lines: list[Content] = []
        uses = device_uses(self.session, self.sample)
        look = Look(width, rows=3 if len(uses) <= SEVERAL else 1, ascii=self._graph == "ascii")
        for use in uses:
            lines += device_lines(use, look, would_be(self.plan, self.session, self.draft, self.placement, use.name))
        if not uses and self.session.loaded is not None:
            lines.append(Content.assemble(("VRAM".ljust(LABEL), "$secondary"), ("no GPU device", "$quiet")))
        lines += ram_lines(ram_use(self.session, self.sample), look)
        host = self.sample.host if self.sample else HostSample()
        worker = self.sample.worker if self.sample else None
        lines.append(cpu_line(host, worker, look))
        # One row for whatever there is to say, so that the pane keeps its height.
        problems = self.sample.problems if self.sample else ()
        flow = flow_text(host, worker) if self.session.phase is Phase.LOADING else ""
        said = Content.styled(clean_line(problems[0]), "$warning") if problems else Content.styled(flow, "$quiet")
        lines.append(said.truncate(width, ellipsis=True))
        return lines

    def _speed(self, width: int) -> Content:
        turn = self.session.turn
        timings = self.session.last_timings
        answer = self.answer
        if answer is not None:
            name, rate = f"Answer {answer.number}", answer.timings.tps if answer.timings else None
        else:
            name = "Generation"
            rate = turn.tps if turn is not None else timings.tps if timings is not None else None
        figure = f"{rate_text(rate)} t/s"
        peak = self._peak()
        span = "2 min" if answer is None else seconds_text(answer.ended - answer.began)
        scale = "" if peak is None else f"0–{round_up(peak):g} t/s, {span}"
        return Content.assemble(
            (name.ljust(LABEL), "$secondary"),
            (figure, "bold $accent" if answer is not None else "bold $primary" if turn is not None else "bold"),
            (scale.rjust(width - LABEL - len(figure)), "$quiet"),
        )

    def _peak(self) -> float | None:
        series = self._tape.history.series("tps")
        if self.answer is not None:
            extent = series.extent(self.answer.began, self.answer.ended)
            return None if extent is None else extent[1]
        return series.peak(self.sample.time - SPAN) if self.sample else None

    def _history(self, width: int) -> list[Content]:
        peak = self._peak()
        if peak is None or self.sample is None:
            why = "no answer in the last two minutes" if self.answer is None else "too short for a line"
            return [Content.styled(text, "$quiet") for text in ("", why, "")]
        answer = self.answer
        window = Window(SPAN, self.sample.time, steady=True) if answer is None else window_of(answer)
        columns = lane_values(self._tape.history, TOKENS, window, width, self._graph)
        lines = render(columns, width, GRAPH_LINES, self._graph, high=round_up(peak), fill=True)
        return [Content.styled(line, "$ours" if answer is None else "$accent") for line in lines]

    def _turn(self, width: int) -> list[Content]:
        answer = self.answer
        timings = self.session.last_timings if answer is None else answer.timings
        prompt = f"{rate_text(timings.prompt_tps if timings else None)} t/s"
        ttft = seconds_text((timings.ttft_seconds or None) if timings else None)
        if answer is not None:
            vram = self._tape.history.series("vram").extent(answer.began, answer.ended)
            took = [joules_text(answer.energy_j)]
            if answer.joules_per_token is not None:
                took.append(f"{answer.joules_per_token:.3g} J/token")
            layers = f"{answer.n_gpu_layers}/{answer.most} layers"
            return [
                _row("VRAM", f"{_extent_text(vram)} · {layers}", "", width),
                _row("Energy", " · ".join(took), f"   first token {ttft}", width),
            ]
        if (turn := self.session.turn) is not None:
            return self._so_far(turn, width)
        reused = f"   {timings.reused_tokens} of {timings.prompt_tokens} tokens reused" if timings else ""
        return [_row("Prompt", prompt, "", width), _row("First token", ttft, reused, width)]

    def _so_far(self, turn: TurnState, width: int) -> list[Content]:
        """Of the answer that is being written, not of the one before."""
        rate, ttft = self._tape.so_far(self.session)
        total = turn.prompt_tokens
        done = reused = ""
        if total is not None:
            reused = f"   {turn.reused_tokens} of {total} tokens reused"
            done = f"   {count_text(turn.prompt_done)} of {count_text(total)} tokens" if ttft is None else ""
        return [
            _row("Prompt", f"{rate_text(rate)} t/s", done, width),
            _row("First token", seconds_text(ttft), reused, width),
        ]


def _row(name: str, figure: str, more: str, width: int) -> Content:
    row = Content.assemble((name.ljust(LABEL), "$secondary"), figure, (more, "$quiet"))
    return row.truncate(width, ellipsis=True)


def _extent_text(extent: tuple[float, float] | None) -> str:
    """``"6.1 GiB"``, ``"6.1 GiB–7.0 GiB"``."""
    if extent is None:
        return UNKNOWN
    low, high = (size_text(round(value)) for value in extent)
    return low if low == high else f"{low}–{high}"
