"""What the main screen does with plans: holds the newest, says where it was wrong, opens it as a table, studies."""

from typing import TYPE_CHECKING, cast

from textual.app import App
from textual.reactive import var

from offtui.engine.state import Phase, SessionState
from offtui.protocol.spec import LoadSpec, Placement
from offtui.ui import messages
from offtui.ui.compositing import CellScreen
from offtui.ui.panes.footer import KeyFooter
from offtui.ui.sharing import Sharing

if TYPE_CHECKING:
    from offtui.planner.view import PlanView


class PlannedScreen(CellScreen):
    """A screen over a session whose every layer count is planned, and over models that are only thought of."""

    session: var[SessionState] = var(SessionState(phase=Phase.LOADING))
    draft: var[int | None] = var[int | None](None)
    """Layers the dial points at; ``None``: at what is loaded."""
    placement: var[Placement] = var[Placement]("layers")
    """The one that the dial turns."""
    plan: "var[PlanView | None]" = var["PlanView | None"](None)
    """Of the model that is up, wanted or studied; ``None`` until it is known."""
    study: var[LoadSpec | None] = var[LoadSpec | None](None)
    """A load that is only thought of: the dial is about it until it is loaded or left."""
    trouble: var[str] = var("")
    """Why the study has no plan."""
    hint: var[str] = var("")
    """What other processes' memory has to do with the layers that fit."""
    _sharing: Sharing

    def on_plan_made(self, message: messages.PlanMade) -> None:
        """The planner has thought; what a person should know of it is said, once."""
        before, self.plan = self.plan, message.view
        self.trouble = ""
        if self.study is None:
            self.hint = self._sharing.hint(message.view, self.session.loaded)
        for notice in message.view.notices:
            if before is None or notice not in before.notices:
                self.flash(notice, "$warning")
        if message.view.bugs and (before is None or before.bugs != message.view.bugs):
            self.flash(f"The plan was wrong: {message.view.bugs[0]}", "$error")

    def on_plan_refused(self, message: messages.PlanRefused) -> None:
        """What is studied cannot be planned."""
        if self.study is not None and message.refusal.spec == self.study:
            self.trouble = message.refusal.why

    def action_plan(self) -> None:
        """The plan of every layer count, as a table."""
        from offtui.ui.screens.plan import PlanScreen

        if self.plan is None:
            self.flash("There is no plan yet: load a model first.")
            return
        view = self.plan.under(self.placement)
        loaded = self.session.loaded
        same = loaded is not None and loaded.spec.model == view.spec.model
        placed = loaded.spec.placement if loaded is not None and same else "best"
        lies = None if loaded is None or placed == "best" else (placed, loaded.layers.got)
        app = cast("App[None]", self.app)  # pyright: ignore[reportUnknownMemberType] -- Textual leaves App[Unknown]
        app.push_screen(PlanScreen(view, lies, self.draft))

    def on_flashed(self, message: messages.Flashed) -> None:
        """A pane has something to say."""
        self.flash(message.text, message.style)

    def flash(self, text: str, style: str = "$accent") -> None:
        """Say something in the last row for a moment."""
        self.query_one(KeyFooter).flash(text, style)
