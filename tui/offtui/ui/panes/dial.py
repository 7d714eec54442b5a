"""The dial: how many layers lie on a device and what of the others does, and how it should be."""

import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.events import Key
from textual.reactive import var
from textual.timer import Timer
from textual.widget import Widget

from offtui.engine.state import Phase, SessionState
from offtui.protocol.facts import LayerCount
from offtui.protocol.spec import LoadSpec, Placement
from offtui.recorder.devices import has_device
from offtui.text import clean_line
from offtui.ui.commands import Where, bindings
from offtui.ui.messages import DraftMoved, LayersWanted, PaneLeft, StudyLeft
from offtui.ui.panes import turning
from offtui.ui.panes.column import Fitting
from offtui.ui.panes.prospect import Prospect
from offtui.ui.widgets.line import Line
from offtui.ui.widgets.strip import Split, Strip, strip_lines

if TYPE_CHECKING:
    from offtui.planner.view import PlanView

QUIET = 0.6
"""Seconds without a key after which the draft is loaded."""


class DialPane(Fitting, can_focus=True):
    """A strip of n_layer + 1 cells and the number, turned by keys; its intent goes up after a short quiet.

    It is about the model that is up, or about one that is only studied, which Enter alone loads.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.DIAL), ("escape", "revert", "Revert")]

    session: var[SessionState] = var(SessionState())
    draft: var[int | None] = var[int | None](None)
    """Layers the dial points at; ``None``: at what is loaded."""
    placement: var[Placement] = var[Placement]("layers")
    """The one that is turned."""
    plan: "var[PlanView | None]" = var["PlanView | None"](None)
    study: var[LoadSpec | None] = var[LoadSpec | None](None)
    """A load that is only thought of."""
    trouble: var[str] = var("")
    """Why the study has no plan."""

    def __init__(
        self,
        *,
        quiet: float = QUIET,
        graph: str = "braille",
        price: Callable[[int, Placement], str] = lambda _layers, _placement: "",
        id: str | None = None,
    ) -> None:
        """``price`` says what it would cost to load so many layers; empty where that is unknown."""
        super().__init__(id=id)
        self._price = price
        self._prospect = Prospect(graph)
        self.border_title = " Layers "
        self._quiet = quiet
        self._timer: Timer | None = None
        self._typed = ""
        self._layers: LayerCount | None = None
        """Of the load that is up, or was the last to be."""
        self._lies: Placement = "layers"
        """How it is placed."""
        self._model = ""
        self._has_device = False

    def compose(self) -> ComposeResult:
        """The number, the speeds, the strip, the memory needed, what that means, a line of hint."""
        yield Line(id="dial-count")
        yield Line(id="dial-curve")
        yield Line(id="dial-strip")
        yield Line(id="dial-need")
        yield Line(id="dial-figures")
        yield Line(id="dial-hint")

    def watch_session(self, before: SessionState, state: SessionState) -> None:
        """Take over what is loaded; the draft goes when another model is wanted."""
        if _relevant(before) == _relevant(state):
            return
        if state.loaded is not None:
            placed = state.loaded.spec.placement
            lies: Placement = "layers" if placed == "best" else placed
            if before.loaded is not state.loaded and self.draft is None and self.study is None:
                self.placement = lies
            self._layers, self._lies = state.loaded.layers, lies
            self._model = state.loaded.spec.model
            self._has_device = has_device(state)
        elif state.wanted is None or state.wanted.model != self._model:
            self._layers = None
            if self.study is None:
                self._forget()
        self._paint()

    def watch_draft(self) -> None:
        """Tell the others where the dial points."""
        self.post_message(DraftMoved(self.draft, self.placement))
        self._paint()

    def watch_placement(self) -> None:
        """Tell the others what is turned."""
        self.border_title = Content(turning.title(self.placement, ""))
        self.post_message(DraftMoved(self.draft, self.placement))
        self._paint()

    def watch_plan(self) -> None:
        """Show what every layer count would cost and bring; once the panes beside have their places."""
        if self.study is not None and self.draft is None:
            plan = self._fitting_plan()
            if plan is not None:
                self.placement = plan.placement
                self.draft = plan.choice
        self.call_after_refresh(self._paint)

    def watch_study(self, before: LoadSpec | None, after: LoadSpec | None) -> None:
        """Point at nothing yet; back on the model that is up, at what is loaded."""
        if before != after:
            self._forget()
            self.watch_plan()

    def watch_trouble(self) -> None:
        """Say it."""
        self._paint()

    def on_resize(self) -> None:
        """Wrap the strip anew."""
        self._paint()

    def fit(self) -> None:
        """The panes beside have other heights than before."""
        self._paint()

    def on_blur(self) -> None:
        """A number half typed is finished."""
        self._typed = ""

    def on_key(self, event: Key) -> None:
        """Digits type the number."""
        if event.character is not None and event.character.isdecimal() and event.character.isascii():
            event.stop()
            typed = self._typed + event.character
            most = self._most()
            if most is not None and int(typed) > most:
                typed = event.character
            self._point(int(typed))
            self._typed = typed

    def action_step(self, by: int) -> None:
        """One layer more or less."""
        self.turn(by)

    def turn(self, by: int) -> bool:
        """Move the draft by that many layers; whether there is anything to turn."""
        if self._can_turn():
            self._point((self._here() if self.draft is None else self.draft) + by)
        return self._can_turn()

    def action_none(self) -> None:
        """Everything in RAM."""
        self._point(0)

    def action_all(self) -> None:
        """Everything on the device."""
        most = self._most()
        if most is not None:
            self._point(most)

    def action_auto(self) -> None:
        """Let the plan choose."""
        if self.study is not None:
            plan = self._fitting_plan()
            if plan is not None:
                self.draft = plan.choice
        elif self._can_turn():
            placement = self.placement
            self._forget()
            self.post_message(LayersWanted(None, placement))

    def action_placement(self) -> None:
        """Look at the next placement, at the most of it that fits; Enter loads it."""
        plan = self._fitting_plan()
        if plan is None:
            return
        there = plan.placements
        self._look_at(plan.under(there[(there.index(plan.placement) + 1) % len(there)]))

    def action_best(self) -> None:
        """Look at the placement that promises most, at the most of it that fits; Enter loads it."""
        plan = self._fitting_plan()
        if plan is not None:
            self._look_at(plan.under(plan.best.placement))

    def action_apply(self) -> None:
        """Load the draft now."""
        draft, placement = self.draft, self.placement
        if draft is None:
            return
        if self.study is not None:
            self.post_message(LayersWanted(draft, placement))
            return
        changed = self.session.loaded is None or (draft, placement) != (self._here(), self._lies)
        self._forget()
        self.placement = placement
        if changed:
            self.post_message(LayersWanted(draft, placement))

    def action_revert(self) -> None:
        """Drop the draft; without one, leave the dial."""
        if self.study is not None:
            self.post_message(StudyLeft())
            return
        if self.draft is None:
            self.post_message(PaneLeft())
        self._forget()

    def knows(self, model: str) -> bool:
        """Whether that model was up, so that it can be turned with nothing loaded."""
        return self._layers is not None and self._model == model

    @property
    def is_about_to_load(self) -> bool:
        """Whether the draft is loaded after a short quiet; else it waits for Enter."""
        return self._timer is not None

    def _can_turn(self) -> bool:
        if self.study is not None:
            return self._fitting_plan() is not None
        return self._layers is not None and self._has_device

    def _most(self) -> int | None:
        if self.study is not None:
            plan = self._fitting_plan()
            return None if plan is None else plan.most
        return None if self._layers is None else self._layers.max

    def _here(self) -> int:
        """Where turning begins: at what lies on the device, or was wanted there when the load failed."""
        if self._layers is None or self.study is not None:
            return 0
        wanted = self.session.wanted
        if self.session.loaded is None and wanted is not None and wanted.n_gpu_layers is not None:
            return wanted.n_gpu_layers
        return self._layers.got

    def _look_at(self, plan: "PlanView") -> None:
        """Point at the choice of a placement, or at what is loaded where it is placed so; nothing is loaded by that."""
        self._stop_timer()
        here = self.study is None and self.session.loaded is not None and plan.placement == self._lies
        self.placement = plan.placement
        self.draft = None if here and plan.choice == self._here() else plan.choice

    def _point(self, layers: int) -> None:
        self._typed = ""
        most = self._most()
        plan = self._fitting_plan()
        if most is None or not self._can_turn() or (plan is not None and not plan.budgets):
            return
        self.draft = min(max(layers, 0), most)
        self._stop_timer()
        if self.study is None:
            self._timer = self.set_timer(self._quiet, self.action_apply)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _forget(self) -> None:
        self._typed = ""
        self._stop_timer()
        self.draft = None
        if self.session.loaded is not None:
            self.placement = self._lies

    def _paint(self) -> None:
        if not self.is_mounted:
            return
        width = max(self.content_size.width, 20)
        hints = [row for hint in self._hints() for row in textwrap.wrap(hint, width)]
        plan = self._fitting_plan()
        self.border_title = Content(turning.title(self.placement, turning.studied(self.study)))
        if plan is None or not self._can_turn():
            self._show(self._count(), [], strip_lines(width, self._strip()) if self._layers else [], [], [], hints)
            return
        here = self._here() if self.study is None and self.placement == self._lies else None
        seen = self._prospect.look(plan, width, self._room(), self._strip(), here)
        count = seen.with_scale(self._count(), width)
        shown = hints[-seen.hints :] if seen.hints else []
        self._show(count, seen.curve, [seen.strip], seen.need, seen.figures, shown)

    def _show(
        self,
        count: Content,
        curve: list[Content],
        strip: list[Content],
        need: list[Content],
        figures: list[Content],
        hints: list[str],
    ) -> None:
        self.query_one("#dial-count", Line).show(count)
        self.query_one("#dial-curve", Line).show_lines(curve)
        self.query_one("#dial-strip", Line).show_lines(strip)
        self.query_one("#dial-need", Line).show_lines(need)
        self.query_one("#dial-figures", Line).show_lines(figures)
        self.query_one("#dial-hint", Line).show_lines([Content.styled(row, "$quiet") for row in hints])

    def _fitting_plan(self) -> "PlanView | None":
        """The plan, where it is one of the model that the dial turns, and there is something to turn."""
        plan, layers = self.plan, self._layers
        if plan is None or not (plan.budgets or self.study):
            return None
        if self.study is not None:
            about = plan.spec.model == self.study.model
            # the first plan of a study says itself which placement it is about
            return (plan if self.draft is None else plan.under(self.placement)) if about else None
        if layers is None or not self._has_device or plan.spec.model != self._model or plan.most != layers.max:
            return None
        return plan.under(self.placement)

    def _room(self) -> int:
        """Rows for the content, so that all panes of the column are seen."""
        column = self.parent
        if not isinstance(column, Widget):
            return 0
        beside = [pane for pane in column.children if pane is not self and pane.display]
        taken = sum(pane.outer_size.height + pane.styles.margin.height for pane in beside)
        return column.size.height - taken - self.styles.margin.height - self.gutter.height

    def _strip(self) -> Strip:
        """What lies where, and where the dial points."""
        draft = None if self.draft is None else Split(self.draft, self.placement)
        most = self._most() or 0
        layers = self._layers
        if layers is None or self.study is not None:
            return Strip(most, Split(0), 0, draft)
        got, asked = (layers.got, layers.asked) if self.session.loaded is not None else (0, self._here())
        return Strip(most, Split(got, self._lies), asked, draft)

    def _count(self) -> Content:
        if self.study is not None:
            return turning.study_line(self.draft, self._most(), self.trouble)
        layers = self._layers
        if layers is None:
            return Content.styled("no model", "$quiet")
        if self.session.phase is Phase.LOADING:
            return turning.loading_line(self.session, layers)
        if self.draft is not None:
            return turning.draft_line(self._here(), self.draft, layers.max)
        if self.session.loaded is None:
            return Content.styled(f"nothing is loaded; {self._here()} of {layers.max} were wanted", "$quiet")
        return turning.loaded_line(layers)

    def _hints(self) -> list[str]:
        most = self._most()
        if most is None:
            return [clean_line(self.trouble, 200)] if self.trouble else []
        if self.study is not None:
            at = self._here() if self.draft is None else self.draft
            return [turning.meaning(at, most, self.placement), "Enter loads so · Esc leaves it"]
        if not self._has_device:
            return [turning.why_none(self.session)]
        if self.draft is not None:
            loads = "Enter loads now" if self._timer is not None else "Enter loads so, ← → turn"
            lines = [turning.meaning(self.draft, most, self.placement), f"{loads} · Esc reverts"]
            return [line for line in (*lines, self._price(self.draft, self.placement)) if line]
        meant = turning.meaning(self._here(), most, self._lies)
        return [meant, "← → turn · 0-9 type · p placement"]


def _relevant(state: SessionState) -> tuple[object, ...]:
    return state.phase, state.wanted, state.progress, id(state.loaded)
