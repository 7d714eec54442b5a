"""Downloads one after another, in a process of their own, remembered over restarts. The screen never waits for them."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from offtui.hub.client import HubClient
from offtui.hub.names import Offer
from offtui.hub.wire import Answer, Drop, Failed, Fetch, Fetched, Progress, RemoteFile
from offtui.models.meter import Meter
from offtui.store.catalogue import Catalogue
from offtui.store.measurements import FileId

AGAIN = 30.0
"""Seconds until a download that lost the network is tried again; twice as long each time that brought no byte."""
LONGEST_PAUSE = 480.0
LIVES = 5
"""How often its process may die of something else before it is given up."""
LEAVE = 3.0
KEEP_SECONDS = 2.0
KEEP_SHARE = 32
"""After so long, or so much of the whole, how far a download is is written down: it is shown first after a crash."""

State = Literal["queued", "running", "waiting", "paused", "done", "failed"]
"""``waiting``: for the network."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One download."""

    repo: str
    commit: str
    name: str
    """Of the offer."""
    quant: str
    files: tuple[RemoteFile, ...]
    to: str = ""
    """A folder; empty: Hugging Face's cache."""
    state: State = "queued"
    done: int = 0
    """Bytes that are here."""
    step: str = ""
    """``checking``, ``retrying`` and the like; empty: bytes come."""
    speed: float | None = None
    """Bytes per second."""
    left: float | None = None
    """Seconds."""
    why: str = ""
    """Of ``failed`` and ``waiting``."""
    wait: float = 0.0
    """Seconds until a try that the download itself waits for."""
    again: float = 0.0
    """Of ``waiting`` when it is tried again, in seconds since 1970."""
    free: int | None = None
    """Bytes of the disk it goes to that are free."""
    lacks: int = 0
    """Bytes that the disk lacks for what is still to come."""
    paths: tuple[str, ...] = ()
    """Of ``done`` where the files are; the first is what to load."""

    @property
    def id(self) -> str:
        """The same for the same files in the same place."""
        return f"{self.repo}@{self.commit}/{self.name}>{self.to}"

    @property
    def total(self) -> int:
        """Bytes."""
        return sum(file.bytes for file in self.files)


def job_of(repo: str, commit: str, offer: Offer, to: str = "") -> Job:
    """A download of an offer."""
    return Job(repo=repo, commit=commit, name=offer.name, quant=offer.quant, files=offer.files, to=to)


Listener = Callable[[tuple[Job, ...]], None]
"""Called on the thread of the downloads; must not block long."""


class Downloads:
    """Has a thread of its own. All methods return at once, from any thread, but ``close``."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._todo: queue.SimpleQueue[Callable[[_Work], object] | None] = queue.SimpleQueue()
        self._client = HubClient()
        self._thread = threading.Thread(target=self._run, name="offtui-downloads", daemon=True)
        self._thread.start()

    def add(self, job: Job) -> None:
        """Download it when its turn comes; one that is there already goes on."""
        self._todo.put(lambda work: work.add(job))

    def pause(self, id: str) -> None:
        """Hold it; what came is kept."""
        self._todo.put(lambda work: work.pause(id))

    def resume(self, id: str) -> None:
        """Go on with it."""
        self._todo.put(lambda work: work.resume(id))

    def cancel(self, id: str) -> None:
        """Give it up and delete what came; one that is done only leaves the list."""
        self._todo.put(lambda work: work.cancel(id))

    def close(self) -> None:
        """End it; what runs is held and kept. May be called again."""
        self._todo.put(None)
        self._client.close()
        self._thread.join(LEAVE)

    def _run(self) -> None:
        with contextlib.closing(_Work(self._client, self._listener, self._todo.put)) as work:
            while True:
                try:
                    todo = self._todo.get(timeout=work.pause_seconds)
                except queue.Empty:
                    work.wake()
                    continue
                if todo is None:
                    return
                todo(work)


class _Work:
    """What the thread does; nothing here is touched by another."""

    def __init__(
        self, client: HubClient, listener: Listener, post: Callable[[Callable[["_Work"], object]], None]
    ) -> None:
        self._client, self._listener, self._post = client, listener, post
        self._catalogue = Catalogue()
        self._jobs: dict[str, Job] = {}
        self._running: tuple[str, int] | None = None
        self._meter = Meter()
        self._lives: dict[str, int] = {}
        self._retry_at: dict[str, float] = {}
        self._kept = (0.0, 0)
        """When how many bytes were written down."""
        self._vain: dict[str, int] = {}
        """Tries in a row that brought no byte."""
        for id, body in self._catalogue.downloads().items():
            with contextlib.suppress(msgspec.MsgspecError):  # of an offtui whose jobs were others
                job = msgspec.json.decode(body, type=Job)
                self._jobs[id] = _still(job, state="paused", free=None, lacks=0)
        self._tell()

    def close(self) -> None:
        self._catalogue.close()

    @property
    def pause_seconds(self) -> float | None:
        """Until something is to be tried again; ``None``: nothing is."""
        return max(min(self._retry_at.values()) - time.monotonic(), 0.0) if self._retry_at else None

    def wake(self) -> None:
        now = time.monotonic()
        for id in [id for id, at in self._retry_at.items() if at <= now]:
            del self._retry_at[id]
            self._change(id, state="queued")
        self._next()

    def add(self, job: Job) -> None:
        known = self._jobs.get(job.id)
        if known is not None and known.state in ("queued", "running"):
            return
        self._jobs[job.id] = job
        self._keep(job.id)
        self._next()

    def resume(self, id: str) -> None:
        job = self._jobs.get(id)
        if job is not None and job.state in ("paused", "failed", "waiting"):
            self._retry_at.pop(id, None)
            self._lives.pop(id, None)
            self._vain.pop(id, None)
            self._change(id, state="queued", why="")
            self._next()

    def pause(self, id: str) -> None:
        job = self._jobs.get(id)
        if job is None or job.state not in ("queued", "running", "waiting"):
            return
        self._retry_at.pop(id, None)
        if self._running is not None and self._running[0] == id:
            self._client.stop(self._running[1], keep=True)
        else:
            self._change(id, state="paused")

    def cancel(self, id: str) -> None:
        job = self._jobs.get(id)
        if job is None:
            return
        self._retry_at.pop(id, None)
        if self._running is not None and self._running[0] == id:
            self._client.stop(self._running[1], keep=False)
        elif job.state != "done":
            drop = Drop(id=self._client.next_id(), repo=job.repo, commit=job.commit, files=job.files, to=job.to)
            self._client.ask(drop, lambda _: None)
        self._forget(id)

    def hear(self, id: str, answer: Answer) -> None:
        """What the process says of a download."""
        if self._running is None or self._running != (id, answer.id):
            return
        if isinstance(answer, Progress):
            self._progress(id, answer)
            return
        self._running = None
        if isinstance(answer, Fetched):
            for path, sha256 in zip(answer.paths, answer.sha256, strict=True):
                file = FileId.of(path)
                if file is not None and sha256:
                    self._catalogue.keep_hash(file, sha256)
            self._halt(id, state="done", done=answer.bytes, paths=answer.paths, why="", lacks=0)
        elif isinstance(answer, Failed):
            self._failed(id, answer)
        self._next()

    def _progress(self, id: str, progress: Progress) -> None:
        if progress.step == "fetching":
            self._meter.note(progress.done)
            if progress.done > progress.resumed:
                self._vain.pop(id, None)
        else:
            self._meter.restart()
        self._change(
            id,
            keep=self._is_worth_keeping(progress),
            done=progress.done,
            step="" if progress.step == "fetching" else progress.step,
            why=progress.why,
            wait=progress.wait,
            free=progress.free,
            lacks=progress.lacks,
            speed=self._meter.speed,
            left=self._meter.left(progress.total - progress.done),
        )

    def _is_worth_keeping(self, progress: Progress) -> bool:
        now, (when, done) = time.monotonic(), self._kept
        if progress.step == "checking":  # counts again what is here
            return False
        if now - when < KEEP_SECONDS and abs(progress.done - done) < progress.total // KEEP_SHARE:
            return False
        self._kept = (now, progress.done)
        return True

    def _failed(self, id: str, answer: Failed) -> None:
        failure = answer.failure
        match failure.kind:
            case "stopped":
                self._halt(id, state="paused", why="")
            case "died" if self._lives.setdefault(id, LIVES) > 0:
                self._lives[id] -= 1
                self._halt(id, state="queued")
            case "no_network" | "server" | "rate_limited":
                vain = self._vain.get(id, 0)
                self._vain[id] = vain + 1
                pause = max(min(AGAIN * 2**vain, LONGEST_PAUSE), failure.retry_after)
                self._retry_at[id] = time.monotonic() + pause
                self._halt(id, state="waiting", why=failure.message, again=time.time() + pause)
            case "no_space":
                self._halt(id, state="paused", why=failure.message)
            case _:
                self._halt(id, state="failed", why=f"{failure.message} {failure.advice}".strip())

    def _next(self) -> None:
        """Start the first that waits for its turn, if none runs."""
        job = next((job for job in self._jobs.values() if job.state == "queued"), None)
        if self._running is None and job is not None:
            id = self._client.next_id()
            self._running = (job.id, id)
            self._meter.restart()
            self._change(job.id, state="running", why="")
            fetch = Fetch(id=id, repo=job.repo, commit=job.commit, files=job.files, to=job.to)
            self._client.ask(fetch, lambda answer, of=job.id: self._post(lambda work: work.hear(of, answer)))
        self._tell()

    def _halt(self, id: str, **changes: object) -> None:
        """No byte comes of it any more."""
        if id in self._jobs:
            self._jobs[id] = _still(self._jobs[id], **changes)
            self._keep(id)
            self._tell()

    def _change(self, id: str, *, keep: bool = True, **changes: object) -> None:
        if id in self._jobs:
            self._jobs[id] = msgspec.structs.replace(self._jobs[id], **changes)
            if keep:
                self._keep(id)
            self._tell()

    def _keep(self, id: str) -> None:
        job = self._jobs[id]
        self._catalogue.keep_downloads({id: b"" if job.state == "done" else msgspec.json.encode(job)})

    def _forget(self, id: str) -> None:
        for of_it in (self._jobs, self._lives, self._vain):
            of_it.pop(id, None)
        self._catalogue.keep_downloads({id: b""})
        if self._running is not None and self._running[0] == id:
            self._running = None
        self._next()

    def _tell(self) -> None:
        self._listener(tuple(self._jobs.values()))


def _still(job: Job, **changes: object) -> Job:
    """A download that no byte comes of."""
    return msgspec.structs.replace(job, speed=None, left=None, step="", wait=0.0, **changes)
