"""What the main screen does with the hub: opens it, and says what was downloaded."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.app import App
from textual.reactive import var

from offtui.text import clean_line
from offtui.ui.messages import JobsChanged, ModelChosen
from offtui.ui.panes.models import ModelsPane
from offtui.ui.screens.watched import WatchedScreen

if TYPE_CHECKING:
    from offtui.models.downloads import Job


class HubbedScreen(WatchedScreen):
    """A screen from which models are fetched."""

    jobs: "var[tuple[Job, ...]]" = var["tuple[Job, ...]"](())

    def action_hub(self, words: str = "") -> None:
        """The hub, searched for these words at once."""
        from offtui.ui.screens.hub import HubScreen

        desk = self._desk.hub()
        if desk is None:
            return
        app = cast("App[None]", self.app)  # pyright: ignore[reportUnknownMemberType] -- Textual leaves App[Unknown]

        def load(path: Path) -> None:
            screen.dismiss(None)
            self.post_message(ModelChosen(path))

        folder = next(iter(self._options.config.models), "")
        screen = HubScreen(desk, lambda: self.query_one(ModelsPane).here, load, words, str(folder))
        screen.set_reactive(HubScreen.jobs, self.jobs)
        self.watch(self, "jobs", lambda jobs: setattr(screen, "jobs", jobs), init=False)
        app.push_screen(screen)

    def on_jobs_changed(self, message: JobsChanged) -> None:
        """Downloads went on; one that ended is said."""
        before, self.jobs = self.jobs, message.jobs
        states = {job.id: job.state for job in before}
        for job in message.jobs:
            if states.get(job.id) in ("running", "queued") and job.state in ("done", "failed"):
                name = clean_line(job.name.rpartition("/")[2], 80)
                self.flash(f"{name} is here: F7, Enter loads it" if job.state == "done" else f"{name}: {job.why}")
