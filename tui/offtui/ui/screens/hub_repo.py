"""One repository of the hub: what it offers, what of it is here, and the plans of what is looked at."""

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from textual.content import Content
from textual.reactive import var
from textual.timer import Timer
from textual.worker import Worker, get_current_worker  # pyright: ignore[reportUnknownVariableType] -- Worker[Unknown]

from offtui.ui.panes import hub_rows
from offtui.ui.screens.errand import ErrandScreen
from offtui.ui.widgets.line import Line
from offtui.ui.widgets.rowlist import RowList

if TYPE_CHECKING:
    from offtui.hub.names import Offer
    from offtui.hub.wire import HubFailure
    from offtui.models.downloads import Job
    from offtui.models.fitting import Here
    from offtui.models.hubdesk import Errand, HubDesk, Opened
    from offtui.models.remote import Planned

MANY = 64
"""Models of a repository above which only those in view are planned: each takes some hundred KiB of traffic."""
NOTE_ROWS = 3
PAUSE = 0.4
"""Seconds from the last scrolling to the plans of what came into view."""


class HubRepoScreen(ErrandScreen):
    """The right half of the hub's screen."""

    jobs: "var[tuple[Job, ...]]" = var["tuple[Job, ...]"](())

    def __init__(self, desk: "HubDesk", here: "Callable[[], Here | None]") -> None:
        super().__init__()
        self._desk, self._here = desk, here
        self._opened: Opened | None = None
        self._planned: dict[str, Planned] = {}
        self._best: tuple[str, str] | None = None
        """Name of the best offer, and why."""
        self._rest: Timer | None = None
        self._said = ("", "$quiet")
        self._told_of: tuple[str, str] = ("", "")
        """The row that was said more of than it has room for, and what."""
        self._errand: Errand | None = None
        """What is being asked for, and can be given up."""

    def open_repo(self, repo: str) -> None:
        """Look at it."""
        self.begin("open", f"opening {repo}…")
        self.off(lambda: self._desk.open(repo), self._show_opened, "open")

    def begin(self, errand: "Errand", what: str) -> None:
        """Say what is being done; one errand at a time, the one before is not waited for."""
        self.give_up()
        self._errand = errand
        self.say(what)
        self.lay_out()

    def give_up(self) -> bool:
        """Wait no more for what is being asked; whether there was something."""
        errand, self._errand = self._errand, None
        if errand is None:
            return False
        self.call_off(errand)
        self._desk.give_up(errand)
        return True

    def leave_repo(self) -> None:
        """Look at none; what is still being asked is not waited for."""
        self._opened = None
        if self._rest is not None:
            self._rest.stop()
        if self._errand == "open":
            self.give_up()
            self.say("")
        self.call_off("plan")
        if self._errand is None:  # threads that wait are few
            self._desk.give_up_all()

    def on_unmount(self) -> None:
        """Python waits for its threads when it ends: none of them may wait for the hub."""
        self.call_off("plan")
        self.give_up()
        self._desk.give_up_all()

    def say(self, text: str, style: str = "$quiet") -> None:
        """Below, on as many rows as it takes."""
        self._said = (text, style)
        self.say_again()

    def say_again(self) -> None:
        """As the width is now."""
        text, style = self._said
        width = max(self.size.width - 2, 20)
        self.query_one("#hub-note", Line).show_lines(
            Content.styled(text, style).wrap(width)[:NOTE_ROWS] or [Content("")]
        )

    def fail(self, failure: "HubFailure") -> None:
        """Say why something could not be done."""
        self.say(f"{failure.message} {failure.advice}".strip(), "$error")

    def lay_out(self) -> None:
        """Show what there is now."""
        raise NotImplementedError

    def _show_opened(self, answer: "Opened | HubFailure") -> None:
        from offtui.hub.wire import HubFailure

        self._errand = None
        if isinstance(answer, HubFailure):
            self.lay_out()
            self.fail(answer)
            return
        self.call_off("plan")
        self._opened, self._planned, self._best = answer, {}, None
        self.lay_out()
        self.show_offers(top=True)
        self.query_one("#hub-offers", RowList).focus()
        models = [offer for offer in answer.offers if offer.kind == "model"]
        if self._here() is None:
            self.say("the machine is not known yet: a plan comes when a model is loaded")
        elif len(models) > MANY:
            self.say(f"{len(models)} models; those in view are planned")
        elif models:
            files = f"{len(models)} files" if len(models) > 1 else "the file"
            self.say(f"planning {files} for this machine…")
            self._plan(models)

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        """What a row has no room for is said below, when the cursor comes to it."""
        message.stop()
        rows, index = message.rows, message.index
        if not rows.has_focus or index is None:
            return
        name, more = "", ""
        if rows.id == "hub-jobs" and index < len(self.jobs):
            job = self.jobs[index]
            name, more = job.id, job.why if job.state in ("paused", "waiting", "failed") else ""
        elif rows.id == "hub-offers" and self._opened is not None and index < len(self._opened.offers):
            name = self._opened.offers[index].name
            plan = self._planned.get(name)
            why = plan.failure if plan is not None else None
            more = f"{why.message} {why.advice}".strip() if why is not None else ""
        if more and self._told_of != (name, more):
            self.say(more, "$warning")
        self._told_of = (name, more)

    def on_row_list_seen(self, message: RowList.Seen) -> None:
        """Of a repository with very many files those in view are planned, a moment after the last scrolling."""
        if message.rows.id != "hub-offers":
            return
        message.stop()
        opened = self._opened
        if opened is None or len([offer for offer in opened.offers if offer.kind == "model"]) <= MANY:
            return
        if self._rest is not None:
            self._rest.stop()
        seen = opened.offers[message.first : message.last]
        if any(offer.kind == "model" and offer.name not in self._planned for offer in seen):
            self._rest = self.set_timer(PAUSE, lambda: self._plan(seen))

    def _plan(self, wanted: "Sequence[Offer]") -> None:
        opened, here = self._opened, self._here()
        if opened is None or here is None:
            return
        todo = [offer for offer in wanted if offer.name not in self._planned]
        self.off(lambda: self._plan_all(opened, here, todo), self._planned_all, "plan")

    def _plan_all(self, opened: "Opened", here: "Here", todo: "Sequence[Offer]") -> "tuple[Opened, list[Planned]]":
        """On a thread: each plan is shown when it is made."""
        worker = cast("Worker[None]", get_current_worker())
        plans: list[Planned] = []
        with contextlib.closing(self._desk.plans(opened, here, todo)) as planned:
            while not worker.is_cancelled and (plan := next(planned, None)) is not None:
                plans.append(plan)
                self.whole_app.call_from_thread(self._note_plan, opened, plan)
        return opened, plans

    def _note_plan(self, opened: "Opened", planned: "Planned") -> None:
        if self._opened is opened and self.is_mounted:
            self._planned[planned.offer.name] = planned
            self.show_offers()

    def _planned_all(self, found: "tuple[Opened, list[Planned]]") -> None:
        from offtui.models.remote import best, none_fits

        opened, plans = found
        here = self._here()
        if self._opened is not opened or not plans or len(plans) > MANY:
            return
        if any(offer.kind == "model" and offer.name not in self._planned for offer in opened.offers):
            return  # the best of some is not the best
        failures = {plan.failure.message: plan.failure for plan in plans if plan.failure is not None}
        if len(failures) == 1 and all(plan.failure is not None for plan in plans):
            self.fail(failures.popitem()[1])
            return
        choice = best(plans)
        if choice is None:
            self.say(none_fits(plans, here) if here is not None else "", "$warning")
            return
        planned, why = choice
        self._best = (planned.offer.name, why)
        names = [offer.name for offer in opened.offers]
        self.show_offers(at=names.index(planned.offer.name))
        here_already = " · here already" if planned.offer.name in opened.present else ""
        self.say(f"★ {planned.offer.quant or planned.offer.name}: {why}{here_already}", "$accent")

    def show_offers(self, *, top: bool = False, at: int | None = None) -> None:
        """What the repository offers, as much as is known of it."""
        opened = self._opened
        if opened is None:
            return
        head = hub_rows.head_lines(opened.repo, opened.commit, opened.refused)
        self.query_one("#hub-head", Line).show_lines(head)
        jobs = hub_rows.jobs_by_offer(self.jobs, opened.repo.name)

        def make(row: int, width: int) -> list[Content]:
            offer = opened.offers[row]
            job = jobs.get(offer.name)
            return hub_rows.offer_lines(
                offer,
                self._planned.get(offer.name),
                width,
                job=job,
                is_best=self._best is not None and self._best[0] == offer.name,
                is_here=offer.name in opened.present or (job is not None and job.state == "done"),
            )

        self.query_one("#hub-offers", RowList).show(len(opened.offers), make, 0 if top else at)
