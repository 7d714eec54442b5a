"""What the main screen does with plans: holds the newest, says where it was wrong, opens it as a table."""

from typing import TYPE_CHECKING, cast

from textual.app import App
from textual.reactive import var
from textual.screen import Screen

from offtui.engine.state import Phase, SessionState
from offtui.ui.messages import PlanMade
from offtui.ui.panes.footer import KeyFooter

if TYPE_CHECKING:
    from offtui.planner.view import PlanView


class PlannedScreen(Screen[None]):
    """A screen over a session whose every layer count is planned."""

    session: var[SessionState] = var(SessionState(phase=Phase.LOADING))
    draft: var[int | None] = var[int | None](None)
    plan: "var[PlanView | None]" = var["PlanView | None"](None)
    """Of the model that is up, or wanted; ``None`` until it is known."""

    def on_plan_made(self, message: PlanMade) -> None:
        """The planner has thought; what a person should know of it is said, once."""
        before, self.plan = self.plan, message.view
        for notice in message.view.notices:
            if before is None or notice not in before.notices:
                self.flash(notice, "$warning")
        if message.view.bugs and (before is None or before.bugs != message.view.bugs):
            self.flash(f"The plan was wrong: {message.view.bugs[0]}", "$error")

    def action_plan(self) -> None:
        """The plan of every layer count, as a table."""
        from offtui.ui.screens.plan import PlanScreen

        if self.plan is None:
            self.flash("There is no plan yet: load a model first.")
            return
        loaded = self.session.loaded
        got = loaded.layers.got if loaded is not None and loaded.spec.model == self.plan.spec.model else None
        app = cast("App[None]", self.app)  # pyright: ignore[reportUnknownMemberType] -- Textual leaves App[Unknown]
        app.push_screen(PlanScreen(self.plan, got, self.draft))

    def flash(self, text: str, style: str = "$accent") -> None:
        """Say something in the last row for a moment."""
        self.query_one(KeyFooter).flash(text, style)
