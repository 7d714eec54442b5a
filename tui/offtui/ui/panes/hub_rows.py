"""How the hub looks: rows of repositories, of what one offers, and of downloads. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from textual.content import Content

from offtui.text import clean_line
from offtui.units import UNKNOWN, count_text, params_text, seconds_text, size_text

if TYPE_CHECKING:
    from offtui.hub.names import Offer
    from offtui.hub.wire import Found, Repo, Sort
    from offtui.models.downloads import Job
    from offtui.models.recommended import Recommendation
    from offtui.models.remote import Planned

BAR = 12
"""Cells of a download's bar."""


def repo_lines(repo: "Repo", width: int) -> list[Content]:
    """Name, then what it is and how many took it."""
    marks = " gated" if repo.gated else " private" if repo.private else ""
    name = Content(clean_line(repo.name)).truncate(max(width - len(marks), 8), ellipsis=True)
    about = " ".join(
        part for part in (params_text(repo.n_params), repo.arch, repo.license) if part not in ("", UNKNOWN)
    )
    figures = f"↓ {count_text(repo.downloads)}  ♥ {count_text(repo.likes)}  {repo.updated}"
    suits = " ".join(clean_line(name, 40) for name in repo.suits)
    second = Content.assemble((f"{suits}   " if suits else "", "$success"), (f"{figures}   {about}", "$quiet"))
    second = second.truncate(width - 2, ellipsis=True)
    return [Content.assemble(name, (marks, "$warning")), Content.assemble("  ", second)]


def found_text(found: "Found", sort: "Sort") -> str:
    """How many repositories a search brought."""
    count = len(found.repos)
    told = f"{count} {'repository' if count == 1 else 'repositories'} by {sort}" if count else "nothing was found"
    return f"{told}; {found.looked_at} were looked at, more words narrow it" if found.looked_at else told


def recommended_lines(model: "Recommendation", width: int) -> list[Content]:
    """Name, then its size and what it is good for."""
    second = Content.styled(f"{model.size:.1f} GiB · {model.about}", "$quiet")
    name = Content(model.repo).truncate(width, ellipsis=True)
    return [name, Content.assemble("  ", second.truncate(width - 2, ellipsis=True))]


def offer_lines(
    offer: "Offer", planned: "Planned | None", width: int, *, job: "Job | None", is_best: bool, is_here: bool
) -> list[Content]:
    """Quant and size at the left, what fits at the right; a mark for the best one and for what is here."""
    mark = ("✓", "$success") if is_here else ("★", "$accent") if is_best else (" ", "")
    label = offer.quant if offer.kind == "model" and offer.quant else clean_line(offer.name.rpartition("/")[2])
    parts = f" ×{len(offer.files)}" if len(offer.files) > 1 else ""
    left = Content(f"{label}{parts}").truncate(17, ellipsis=True)
    size = f"{size_text(offer.bytes):>9}"
    room = max(width - 33, 6)
    right = _doing(job) if job is not None and job.state != "done" else _plan(offer, planned)
    gap = " " * max(18 - left.cell_length, 1)
    return [Content.assemble(mark, " ", left, gap, (size, "$quiet"), "   ", right.truncate(room, ellipsis=True))]


def _plan(offer: "Offer", planned: "Planned | None") -> Content:
    if offer.kind != "model":
        return Content.styled(
            {"mmproj": "projector for images", "lora": "LoRA adapter"}.get(offer.kind, offer.kind), "$quiet"
        )
    if offer.missing:
        return Content.styled(f"lacks {offer.missing} parts", "$error")
    if planned is None:
        return Content.styled("…", "$quiet")
    if planned.failure is not None:
        return Content.styled(planned.failure.message, "$quiet")
    fitting = planned.fitting
    if fitting is None:
        return Content.styled("no language model", "$quiet")
    style = "$success" if fitting.is_good else "$warning" if fitting.fits else "$error"
    return Content.styled(fitting.line, style)


def _doing(job: "Job") -> Content:
    percent = int(100 * job.done / job.total) if job.total else 0
    words = {"queued": "waits for its turn", "waiting": "waits for the network", "paused": "paused", "failed": "failed"}
    return Content.styled(f"{percent} % {words.get(job.state, '')}".rstrip(), "$primary")


def job_lines(job: "Job", width: int) -> list[Content]:
    """Bar, amount, speed and time left; or what it waits for."""
    share = job.done / job.total if job.total else 1.0
    full = round(share * BAR)
    bar = Content.assemble(("█" * full, "$primary"), ("·" * (BAR - full), "$quiet"))
    name = f"{job.repo.rpartition('/')[2]} {job.quant}".strip()
    amount = f"{size_text(job.done)} of {size_text(job.total)}"
    match job.state:
        case "running" if job.step:
            steps = {
                "waiting": "another program downloads it",
                "checking": "checking what is here",
                "retrying": job.why,
            }
            tail, style = steps.get(job.step, job.step), "$warning"
        case "running":
            speed = f"{size_text(int(job.speed))}/s · {seconds_text(job.left)} left" if job.speed else "starting"
            tail, style = speed, "$success"
        case "done":
            amount = size_text(job.total)
            tail, style = "here and checked · Enter loads it", "$success"
        case "queued":
            tail, style = "waits for its turn", "$quiet"
        case "paused":
            tail, style = f"paused · {job.why or 'Enter goes on'}", "$warning"
        case "waiting":
            tail, style = f"tried again soon · {job.why}", "$warning"
        case "failed":
            tail, style = job.why, "$error"
    room = max(width - BAR - 10 - len(amount) - Content(tail).cell_length - 2, 12)
    shown = Content(clean_line(name)).truncate(room, ellipsis=True)
    line = Content.assemble(
        bar,
        f" {int(share * 100):>3} %  ",
        shown,
        " " * (room - shown.cell_length + 1),
        (f"{amount}  ", "$quiet"),
        (tail, style),
    )
    return [line.truncate(width, ellipsis=True)]


def jobs_by_offer(jobs: "tuple[Job, ...]", repo: str) -> "Mapping[str, Job]":
    """The downloads from a repository, by the offer's name."""
    return {job.name: job for job in jobs if job.repo == repo}


def head_lines(repo: "Repo", commit: str, refused: int) -> list[Content]:
    """What a repository is."""
    about = [
        params_text(repo.n_params),
        repo.arch,
        f"context {count_text(repo.n_ctx_train)}" if repo.n_ctx_train else "",
    ]
    about += [
        repo.license,
        "gated: accept its terms on its page" if repo.gated else "",
        "private" if repo.private else "",
    ]
    facts = " · ".join(part for part in about if part and part != UNKNOWN)
    figures = f"↓ {count_text(repo.downloads)}  ♥ {count_text(repo.likes)}  {repo.updated}  {commit[:8]}"
    lines = [Content.styled(clean_line(repo.name), "bold"), Content.styled(f"{figures}   {facts}", "$quiet")]
    if refused:
        lines.append(Content.styled(f"{refused} files have names that cannot be trusted and are left out", "$warning"))
    return lines


def keys_line(focus: str, is_opened: bool, sort: str) -> Content:
    """The keys that matter, by the id of the part that has the focus; ``""``: a list of repositories or offers."""
    if focus == "hub-words":
        pairs = [("Enter", "search"), ("Tab", "list"), ("Esc", "back")]
    elif focus == "hub-jobs":
        pairs = [("Enter", "hold, go on, load"), ("x", "give up"), ("Tab", "search"), ("Esc", "back")]
    elif is_opened:
        pairs = [("Enter", "download, load"), ("t", "to folder"), ("r", "readme"), ("p", "hold"), ("x", "give up")]
        pairs.append(("Esc", "list"))
    else:
        pairs = [("Enter", "open"), ("r", "readme"), ("s", f"sort: {sort}"), ("/", "search"), ("Esc", "back")]
    parts = [part for key, word in pairs for part in ((key, "bold $primary"), f" {word}   ")]
    return Content.assemble(*parts).rstrip()
