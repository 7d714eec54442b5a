"""The dial: how many layers lie on a device, and how many should."""

import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key
from textual.reactive import var
from textual.timer import Timer
from textual.widget import Widget

from offtui.engine.state import Phase, SessionState
from offtui.protocol.facts import LayerCount
from offtui.text import clean_line
from offtui.ui import wording
from offtui.ui.commands import Where, bindings
from offtui.ui.devices import has_device
from offtui.ui.messages import DraftMoved, LayersWanted, PaneLeft
from offtui.ui.panes.prospect import Prospect
from offtui.ui.widgets.draw import layer_strip
from offtui.ui.widgets.line import Line

if TYPE_CHECKING:
    from offtui.planner.view import PlanView

QUIET = 0.6
"""Seconds without a key after which the draft is loaded."""


class DialPane(Vertical, can_focus=True):
    """A strip of n_layer + 1 cells and the number, turned by keys; its intent goes up after a short quiet."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.DIAL), ("escape", "revert", "Revert")]

    session: var[SessionState] = var(SessionState())
    draft: var[int | None] = var[int | None](None)
    """Layers the dial points at; ``None``: at what is loaded."""
    plan: "var[PlanView | None]" = var["PlanView | None"](None)

    def __init__(
        self,
        *,
        quiet: float = QUIET,
        graph: str = "braille",
        price: Callable[[int], str] = lambda _: "",
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
            self._layers = state.loaded.layers
            self._model = state.loaded.spec.model
            self._has_device = has_device(state)
        elif state.wanted is None or state.wanted.model != self._model:
            self._layers = None
            self._forget()
        self._paint()

    def watch_draft(self) -> None:
        """Tell the others where the dial points."""
        self.post_message(DraftMoved(self.draft))
        self._paint()

    def watch_plan(self) -> None:
        """Show what every layer count would cost and bring; once the panes beside have their places."""
        self.call_after_refresh(self._paint)

    def on_resize(self) -> None:
        """Wrap the strip anew."""
        self._paint()

    def on_blur(self) -> None:
        """A number half typed is finished."""
        self._typed = ""

    def on_key(self, event: Key) -> None:
        """Digits type the number."""
        if event.character is not None and event.character.isdecimal() and event.character.isascii():
            event.stop()
            typed = self._typed + event.character
            if self._layers is not None and int(typed) > self._layers.max:
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
        if self._layers is not None:
            self._point(self._layers.max)

    def action_auto(self) -> None:
        """Let the plan choose."""
        if self._can_turn():
            self._forget()
            self.post_message(LayersWanted(None))

    def action_apply(self) -> None:
        """Load the draft now."""
        draft = self.draft
        if draft is None:
            return
        self._forget()
        if self.session.loaded is None or draft != self._here():
            self.post_message(LayersWanted(draft))

    def action_revert(self) -> None:
        """Drop the draft; without one, leave the dial."""
        if self.draft is None:
            self.post_message(PaneLeft())
        self._forget()

    def _can_turn(self) -> bool:
        return self._layers is not None and self._has_device

    def _here(self) -> int:
        """Where turning begins: at what lies on the device, or was wanted there when the load failed."""
        if self._layers is None:
            return 0
        wanted = self.session.wanted
        if self.session.loaded is None and wanted is not None and wanted.n_gpu_layers is not None:
            return wanted.n_gpu_layers
        return self._layers.got

    def _point(self, layers: int) -> None:
        self._typed = ""
        if self._layers is None or not self._has_device:
            return
        self.draft = min(max(layers, 0), self._layers.max)
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(self._quiet, self.action_apply)

    def _forget(self) -> None:
        self._typed = ""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        self.draft = None

    def _paint(self) -> None:
        if not self.is_mounted:
            return
        width = max(self.content_size.width, 20)
        hints = [row for hint in self._hints() for row in textwrap.wrap(hint, width)]
        plan = self._fitting_plan()
        if plan is None or self._layers is None:
            strip = self._strip()
            self._show(self._count(), [], strip, [], [], hints)
            return
        got, asked = self._lying(self._layers)
        seen = self._prospect.look(plan, width, self._room(), got, asked, self._here(), self.draft)
        count = seen.with_scale(self._count(), width)
        self._show(count, seen.curve, seen.strip, seen.need, seen.figures, hints[-seen.hints :] if seen.hints else [])

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
        if plan is None or layers is None or not self._has_device:
            return None
        return plan if plan.spec.model == self._model and plan.most == layers.max and plan.budgets else None

    def _room(self) -> int:
        """Rows for the content, so that all panes of the column are seen."""
        column = self.parent
        if not isinstance(column, Widget):
            return 0
        beside = [pane for pane in column.children if pane is not self and pane.display]
        taken = sum(pane.outer_size.height + pane.styles.margin.height for pane in beside)
        return column.size.height - taken - self.styles.margin.height - self.gutter.height

    def _lying(self, layers: LayerCount) -> tuple[int, int]:
        """Layers that lie on the devices, and that were asked for."""
        return (layers.got, layers.asked) if self.session.loaded is not None else (0, self._here())

    def _strip(self) -> list[Content]:
        if self._layers is None:
            return []
        got, asked = self._lying(self._layers)
        return layer_strip(max(self.content_size.width, 1), got, asked, self.draft, self._layers.max)

    def _count(self) -> Content:
        layers = self._layers
        if layers is None:
            return Content.styled("no model", "$quiet")
        if self.session.phase is Phase.LOADING:
            asked = self.session.wanted.n_gpu_layers if self.session.wanted else None
            goal = "as many as fit" if asked is None else f"{asked} of {layers.max}"
            return Content.assemble(
                "loading with ", (goal, "bold $primary"), " · ", wording.step_text(self.session.progress)
            )
        if self.draft is not None:
            return Content.assemble(
                f"{self._here()} → ",
                (f"{self.draft}", "bold $accent"),
                f" of {layers.max}",
                ("   not loaded yet", "$quiet"),
            )
        if self.session.loaded is None:
            return Content.styled(f"nothing is loaded; {self._here()} of {layers.max} were wanted", "$quiet")
        tail = "" if layers.asked == layers.got else f", asked {layers.asked}"
        return Content.assemble((f"{layers.got}", "bold $primary"), f" of {layers.max} on the device{tail}")

    def _hints(self) -> list[str]:
        if self._layers is None:
            return []
        if not self._has_device:
            return [_why(self.session)]
        if self.draft is not None:
            lines = [_meaning(self.draft, self._layers.max), "Enter loads now · Esc reverts", self._price(self.draft)]
            return [line for line in lines if line]
        return [_meaning(self._here(), self._layers.max), "← → turn · 0-9 type · Home none · End all"]


def _relevant(state: SessionState) -> tuple[object, ...]:
    return state.phase, state.wanted, state.progress, id(state.loaded)


def _meaning(layers: int, most: int) -> str:
    if layers == 0:
        return "0 = everything in RAM"
    if layers == 1:
        return "1 = output layer only"
    if layers >= most:
        return f"{most} = output + all {most - 1} blocks"
    return f"{layers} = output + last {layers - 1} of {most - 1} blocks"


def _why(state: SessionState) -> str:
    notices = state.loaded.notices if state.loaded else ()
    told = next((clean_line(notice) for notice in notices if "no gpu device" in notice.lower()), None)
    return told or f"{wording.no_device_text(state)}; offtui doctor says why."
