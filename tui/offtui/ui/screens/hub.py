"""The hub: search, read, see what fits, download, load. By keys alone; whatever waits does so on a thread."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input
from textual.worker import Worker, get_current_worker  # pyright: ignore[reportUnknownVariableType] -- Worker[Unknown]

from offtui.text import clean_line
from offtui.ui.command import Where
from offtui.ui.commands import bindings
from offtui.ui.panes import hub_rows
from offtui.ui.screens.hub_repo import HubRepoScreen
from offtui.ui.widgets.line import Line
from offtui.ui.widgets.rowlist import RowList

if TYPE_CHECKING:
    from offtui.hub.names import Offer
    from offtui.hub.wire import Found, HubFailure, Looking, Repo, Sort
    from offtui.models.downloads import Job
    from offtui.models.fitting import Here
    from offtui.models.hubdesk import HubDesk
    from offtui.models.recommended import Recommended

SORTS: "tuple[Sort, ...]" = ("downloads", "likes", "trending", "newest")
NARROW = 110
"""Columns below which a repository covers the list it was chosen from."""
JOBS = 4
"""Downloads seen at once."""


class HubScreen(HubRepoScreen):
    """Search field and repositories at the left, what one offers at the right, downloads below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.HUB),
        ("escape", "back", "Back"),
        ("f7", "leave", "Back"),
    ]
    AUTO_FOCUS = "#hub-words"

    def __init__(
        self,
        desk: "HubDesk",
        here: "Callable[[], Here | None]",
        load: Callable[[Path], None],
        words: str = "",
        folder: str = "",
    ) -> None:
        """A screen over the hub.

        Args:
            desk: that searches and downloads.
            here: the machine as it is known now.
            load: loads a file and leaves.
            words: to search for at once.
            folder: proposed where a download shall go into one.
        """
        super().__init__(desk, here)
        self._load, self._words, self._folder = load, words, folder
        self._sort: Sort = SORTS[0]
        self._repos: tuple[Repo, ...] | None = None
        self._first: Recommended | None = None
        """What is recommended; ``None`` once something was searched for."""

    def compose(self) -> ComposeResult:
        """Field, two columns, downloads, a word, keys."""
        yield Input(
            self._words,
            placeholder="words, author:NAME, arch:qwen3, license:mit, size:<8GiB, params:3B..9B",
            id="hub-words",
        )
        with Horizontal(id="hub-body"):
            yield RowList(id="hub-repos")
            with Vertical(id="hub-repo"):
                yield Line(id="hub-head")
                yield RowList(id="hub-offers")
        yield RowList(id="hub-jobs")
        yield Line(id="hub-note")
        yield Line(id="hub-keys")

    def on_mount(self) -> None:
        """Search at once, or show what to begin with."""
        self.lay_out()
        if self._words:
            self._search(self._words)
        else:
            from offtui.models.recommended import recommended

            self._first = recommended(self._here())
            self._show_repos()
            self.say(f"models to begin with here, as of {self._first.as_of}; or type words and press Enter")

    def on_resize(self) -> None:
        """Two columns or one."""
        self.lay_out()
        self.say_again()

    def on_descendant_focus(self) -> None:
        """Other keys matter."""
        self.lay_out()

    # Searching

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Search."""
        message.stop()
        self._search(message.value)

    def action_search(self) -> None:
        """To the field."""
        self.leave_repo()
        self.lay_out()
        self.query_one("#hub-words", Input).focus()

    def action_sort(self) -> None:
        """By the next of downloads, likes, trend and date."""
        self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
        self._search(self.query_one("#hub-words", Input).value)

    def _search(self, words: str) -> None:
        self.begin("search", "searching…")
        sort = self._sort
        self.off(lambda: self._desk.search(words, sort, self._hear_looking), self._found, "search")

    def _hear_looking(self, looking: "Looking") -> None:
        """On the thread of the search."""
        worker = cast("Worker[None]", get_current_worker())
        if not worker.is_cancelled:
            self.whole_app.call_from_thread(self._show_looking, worker, looking)

    def _show_looking(self, worker: "Worker[None]", looking: "Looking") -> None:
        if self.is_mounted and self._errand == "search" and not worker.is_cancelled:
            self.say(hub_rows.looking_text(looking))

    def _found(self, answer: "Found | HubFailure") -> None:
        from offtui.hub.wire import Found

        self._errand = None
        if not isinstance(answer, Found):
            self.lay_out()
            self.fail(answer)
            return
        self.leave_repo()
        self._repos, self._first = answer.repos, None
        self._show_repos(top=True)
        self.lay_out()
        self.say(hub_rows.found_text(answer, self._sort))
        if answer.repos:
            self.query_one("#hub-repos", RowList).focus()

    def _show_repos(self, *, top: bool = False) -> None:
        rows = self.query_one("#hub-repos", RowList)
        cursor = 0 if top else None
        if self._first is not None:
            models = self._first.model
            rows.show(len(models), lambda row, width: hub_rows.recommended_lines(models[row], width), cursor, height=2)
        else:
            repos = self._repos or ()
            rows.show(len(repos), lambda row, width: hub_rows.repo_lines(repos[row], width), cursor, height=2)

    # One repository

    def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        """Open the repository; take the offer; hold the download, go on with it, or load it."""
        message.stop()
        match message.rows.id:
            case "hub-repos":
                repos = self._first.model if self._first is not None else self._repos or ()
                one = repos[message.index]
                self.open_repo(getattr(one, "repo", None) or getattr(one, "name", ""))
            case "hub-offers":
                self._take(message.index)
            case "hub-jobs":
                self._turn_job(self.jobs[message.index])
            case _:
                pass

    def action_readme(self) -> None:
        """The README as text."""
        name = self._repo_in_question()
        if name:
            self.begin("readme", f"reading {name}…")
            self.off(lambda: self._desk.readme(name), lambda text: self._show_readme(name, text), "readme")

    def _show_readme(self, name: str, text: "str | HubFailure") -> None:
        self._errand = None
        self.lay_out()
        if not isinstance(text, str):
            self.fail(text)
            return
        from offtui.ui.screens.page import PageScreen

        self.say("")
        lines = [Content(line) for line in (text or "There is no README.").split("\n")]
        self.whole_app.push_screen(PageScreen(f"README of {name}", lines))

    def _repo_in_question(self) -> str:
        if self._opened is not None:
            return self._opened.repo.name
        index = self.query_one("#hub-repos", RowList).cursor
        if index is None:
            return ""
        if self._first is not None:
            return self._first.model[index].repo
        return self._repos[index].name if self._repos else ""

    # Downloads

    def _take(self, index: int) -> None:
        opened = self._opened
        if opened is None:
            return
        offer: Offer = opened.offers[index]
        job = hub_rows.jobs_by_offer(self.jobs, opened.repo.name).get(offer.name)
        present = opened.present.get(offer.name)
        if job is not None and job.state not in ("failed", "done"):
            self._turn_job(job)
        elif offer.kind != "model" and (present or job is not None):
            self.say("it is here; it belongs to the models beside it and is not loaded alone")
        elif job is not None and job.state == "done":
            self._turn_job(job)
        elif present and Path(present[0]).is_file():
            self._load(Path(present[0]))
        elif offer.missing:
            parts = "part" if offer.missing == 1 else "parts"
            self.say(f"the repository lacks {offer.missing} {parts} of it", "$error")
        else:
            self._desk.download(opened, offer)
            self.say("downloading; chatting goes on meanwhile")

    def action_take_to(self) -> None:
        """Download what is under the cursor into a folder that is asked for."""
        from offtui.ui.screens.folder import FolderScreen

        opened, index = self._opened, self.query_one("#hub-offers", RowList).cursor
        if opened is None or index is None:
            return
        offer = opened.offers[index]
        if offer.missing:
            self._take(index)
            return

        def chosen(folder: str | None) -> None:
            if folder:
                self._folder = folder
                self._desk.download(opened, offer, folder)
                self.say(f"downloading into {clean_line(folder, 200)}; chatting goes on meanwhile")

        self.whole_app.push_screen(FolderScreen(f"Download {clean_line(offer.name, 100)} into", self._folder), chosen)

    def _turn_job(self, job: "Job") -> None:
        if job.state == "done":
            self._load(Path(job.paths[0]))
        elif job.state in ("running", "queued", "waiting"):
            self._desk.downloads.pause(job.id)
            self.say("held; what came is kept")
        else:
            self._desk.downloads.resume(job.id)
            self.say("downloading; chatting goes on meanwhile")

    def action_hold(self) -> None:
        """Hold the download under the cursor, or go on with it."""
        job = self._job_in_question()
        if job is not None and job.state != "done":
            self._turn_job(job)

    def action_cancel(self) -> None:
        """Give the download under the cursor up."""
        job = self._job_in_question()
        if job is not None:
            self._desk.downloads.cancel(job.id)
            self.say("removed from the list" if job.state == "done" else "given up; what came is deleted")

    def _job_in_question(self) -> "Job | None":
        rows = self.query_one("#hub-jobs", RowList)
        if rows.has_focus and rows.cursor is not None:
            return self.jobs[rows.cursor]
        offers = self.query_one("#hub-offers", RowList)
        if self._opened is not None and offers.has_focus and offers.cursor is not None:
            name = self._opened.offers[offers.cursor].name
            return hub_rows.jobs_by_offer(self.jobs, self._opened.repo.name).get(name)
        return self.jobs[0] if len(self.jobs) == 1 else None

    def watch_jobs(self, before: "tuple[Job, ...]", after: "tuple[Job, ...]") -> None:
        """Show how far they are, and say which one is here."""
        if not self.is_mounted:
            return
        states = {job.id: job.state for job in before}
        for job in after:
            if not before or job.state == states.get(job.id):
                continue
            name = clean_line(job.name.rpartition("/")[2])
            if job.state == "done":
                self.say(f"{name} is here and checked; Enter loads it", "$success")
            elif job.why and job.state in ("failed", "paused", "waiting"):
                self.say(f"{name}: {job.why}", "$error" if job.state == "failed" else "$warning")
        self.lay_out()
        self.show_offers()

    # Leaving

    def action_back(self) -> None:
        """From what is being asked for, from a repository to the list, from there away."""
        if self.give_up():
            self.say("stopped")
            self.lay_out()
        elif self._opened is not None and not self.query_one("#hub-words", Input).has_focus:
            self.leave_repo()
            self.say("")
            self.lay_out()
            self.query_one("#hub-repos", RowList).focus()
        else:
            self.action_leave()

    def action_leave(self) -> None:
        """Close; downloads go on."""
        self.give_up()
        self.dismiss(None)

    # Drawing

    def lay_out(self) -> None:
        """Show what there is now: two columns or one, the downloads, the keys."""
        if not self.is_mounted:
            return
        wide = self.size.width >= NARROW
        self.query_one("#hub-repos").display = wide or self._opened is None
        self.query_one("#hub-repo").display = self._opened is not None
        rows, jobs = self.query_one("#hub-jobs", RowList), self.jobs
        if rows.has_focus and not jobs:
            self.query_one("#hub-offers" if self._opened is not None else "#hub-repos").focus()
        rows.display = bool(jobs)
        rows.border_title, is_short = hub_rows.jobs_title(jobs)
        rows.set_class(is_short, "-short")
        rows.styles.height = min(len(jobs), JOBS) + 1
        rows.show(len(jobs), lambda row, width: hub_rows.job_lines(jobs[row], width))
        focus = next((id for id in ("hub-words", "hub-jobs") if self.query_one(f"#{id}").has_focus), "")
        asking, width = self._errand is not None, self.size.width - 2
        keys = hub_rows.keys_line(focus, self._opened is not None, self._sort, width, is_asking=asking)
        self.query_one("#hub-keys", Line).show(keys)
