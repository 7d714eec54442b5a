"""Downloads files: from where the last run ended, checked by their hashes, published only when all are complete."""

import contextlib
import errno
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from offtui.hub import web
from offtui.hub.hasher import Hasher, pieces
from offtui.hub.layout import Place, clear, places, prepare, publish
from offtui.hub.tidy import locked
from offtui.hub.web import HubError
from offtui.hub.wire import SPARE, Failed, Fetch, Fetched, HubFailure, Progress
from offtui.text import clean_line
from offtui.units import MIB, size_text

CHUNK: Final = MIB // 4
"""Bytes written at once; what of one has come when the network breaks off is fetched again."""
SEGMENT: Final = 8 << 30
"""Bytes of one request: servers do not send files of more than some tens of GB at once."""
TELL_SECONDS: Final = 0.25
TRIES: Final = 6
"""In a row without a byte, until it is given up."""
LONGEST_WAIT: Final = 30.0
WAIT_STEP: Final = 1.0
"""Seconds from one word about a wait to the next."""
PASSING: Final = ("no_network", "server", "rate_limited")
"""Kinds of failures that may be over soon."""


class Stopping(Protocol):
    """Whether the fetch shall stop."""

    asked: threading.Event
    keep: bool
    cut: Callable[[], None]
    """Called when it shall: ends what may wait for bytes that do not come."""


def fetch(ask: Fetch, say: Callable[[Progress], None], stops: Stopping) -> Fetched:
    """Download all files or none.

    Raises:
        HubError: it cannot be done, or was stopped; what came is kept unless it shall not be.
    """
    work = _Work(ask, say, stops)
    try:
        return work.run()
    except HubError as error:
        if error.failure.kind == "stopped" and not stops.keep:
            work.drop()
        work.leave()
        raise
    except OSError as error:
        failure = _disk(error, work)
        work.leave()
        raise failure from error


def drop(ask: Fetch) -> Failed:
    """Delete what came of files that are not complete."""

    class Stopped:
        asked = threading.Event()
        keep = False
        cut = staticmethod(_nothing)

    work = _Work(ask, lambda _: None, Stopped())
    work.drop()
    clear(work.places, empty=True)
    return Failed(id=ask.id, failure=HubFailure("stopped", "The download was stopped."))


class _Work:
    def __init__(self, ask: Fetch, say: Callable[[Progress], None], stops: Stopping) -> None:
        self._ask, self._say, self._stops = ask, say, stops
        self.places = places(ask)
        self.total = sum(file.bytes for file in ask.files)
        self.done = 0
        self._resumed = 0
        self._told = 0.0

    def run(self) -> Fetched:
        for place in self.places:
            if not place.file.etag:
                raise HubError(
                    "bad_answer", f"{clean_line(place.file.name, 200)} has no hash on the hub to check it by."
                )
        prepare(self.places)
        self._resumed = sum(_here(place) for place in self.places)
        self.check_space()
        self._await_answer()
        hashes: list[str] = []
        for place in self.places:
            with self._alone(place):
                hashes.append(self._file(place))
        for place in self.places:
            if place.link is None and place.part.exists():
                os.replace(place.part, place.final)
        publish(self._ask, self.places)
        clear(self.places)
        paths = tuple(str(place.shown) for place in self.places)
        resumed = min(self._resumed, self.total)
        return Fetched(id=self._ask.id, paths=paths, bytes=self.total, sha256=tuple(hashes), resumed=resumed)

    def drop(self) -> None:
        """Delete what came."""
        for place in self.places:
            with locked(place.lock) as ours, contextlib.suppress(OSError):
                if ours:
                    place.part.unlink(missing_ok=True)

    def leave(self) -> None:
        """Without the files: say what is here, to the byte, and let nothing lie that is of no use."""
        clear(self.places, empty=True)
        self.done = sum(_here(place) for place in self.places)
        self._tell(at_once=True)

    def missing(self) -> int:
        """Bytes of the disk that are lacking for what is still to come."""
        need = sum(max(place.file.bytes - _here(place), 0) for place in self.places)
        free = self._free()
        return max(need + SPARE - free, 0) if need and free is not None else 0

    def _free(self) -> int | None:
        try:
            return shutil.disk_usage(self.places[0].part.parent).free
        except OSError:  # the folder went away, or is on a machine that did
            return None

    def check_space(self) -> None:
        missing = self.missing()
        if missing:
            text = f"The disk lacks {size_text(missing)} for the {size_text(self.total)} of this download."
            raise HubError("no_space", text, "Make room; what came so far is kept.", missing=missing)

    def _await_answer(self) -> None:
        """Without a hub nothing that is here is hashed: it would be read again by every try, for nothing."""
        sizes = [_here(place) for place in self.places]
        lacking = next((p for p, size in zip(self.places, sizes, strict=True) if size < p.file.bytes), None)
        if lacking is None or not any(sizes):
            return
        name, fails = clean_line(lacking.file.name, 200), 0
        url = web.file_url(self._ask.repo, self._ask.commit, lacking.file.name)
        self.done = sum(sizes)
        while True:
            try:
                with web.translated(name):
                    response = web.session().head(url, headers=web.headers(), follow_redirects=False)
                    if response.status_code >= 400:
                        web.check(response, name, self._ask.repo)
                break
            except HubError as error:
                if error.failure.kind not in PASSING:
                    break  # the download itself says it, or does better
                fails += 1
                self._pause(error, fails)
        self.done = 0

    # One file

    def _file(self, place: Place) -> str:
        """Bring it here; its SHA-256, ``""`` for a file that is kept in git."""
        file, name = place.file, clean_line(place.file.name, 200)
        if place.final.exists():
            if self._is_whole(place):
                self.done += file.bytes
                self._tell(at_once=True)
                return file.sha256
            if place.link is None:
                raise HubError("permission", f"{clean_line(str(place.final), 300)} exists and is another file.")
            place.final.unlink()  # a blob of other bytes than its name says is a broken one
        for _ in range(2):
            before = self.done
            if self._download(place):
                if place.link is not None:
                    os.replace(place.part, place.final)
                return file.sha256
            # the bytes are not those the hub has: a part of an earlier run may have been damaged, so once more
            self.done = before
            place.part.unlink()
            self._resumed = 0
        raise HubError("wrong_hash", f"{name} arrives with other bytes than the hub says it has; it was deleted.")

    def _download(self, place: Place) -> bool:
        """Whether the part is complete now and its hash is right."""
        file = place.file
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        prepare([place])  # somebody may have tidied meanwhile
        with open(os.open(place.part, flags, 0o644), "r+b", buffering=0) as part:
            if os.fstat(part.fileno()).st_size > file.bytes:
                part.truncate(0)  # longer than the file: not a part of it
            with contextlib.closing(Hasher(file.bytes, sha256=bool(file.sha256))) as hasher:
                for piece in pieces(part):
                    self._look(len(piece), "checking")
                    hasher.put(piece)
                self._all(place, part, hasher)
                os.fsync(part.fileno())
                return hasher.result() == file.etag

    def _all(self, place: Place, part: Any, hasher: Hasher) -> None:
        """Append what is missing, however often it breaks off."""
        fails = 0
        while (have := part.seek(0, os.SEEK_END)) < place.file.bytes:
            try:
                self._segment(place, part, hasher, have)
            except HubError as error:
                fails = 0 if part.seek(0, os.SEEK_END) > have else fails + 1
                self._pause(error, fails)

    def _segment(self, place: Place, part: Any, hasher: Hasher, have: int) -> None:
        name = clean_line(place.file.name, 200)
        last = min(have + SEGMENT, place.file.bytes) - 1
        asked = {**web.headers(), "Range": f"bytes={have}-{last}", "Accept-Encoding": "identity"}
        url = web.file_url(self._ask.repo, self._ask.commit, place.file.name)
        with web.translated(name), web.session().stream("GET", url, headers=asked) as response:
            web.check(response, name, self._ask.repo)
            self._check(response, place, have)
            with self._cutting(response):
                self._take(response, place, part, hasher, have)

    @contextlib.contextmanager
    def _cutting(self, response: Any) -> Generator[None]:
        """Whoever stops the download need not wait until the network says something."""
        self._stops.cut = lambda: web.hang_up(response)
        try:
            if self._stops.asked.is_set():
                raise HubError("stopped", "The download was stopped.")
            yield
        finally:
            self._stops.cut = _nothing  # the connection may be another request's next

    def _take(self, response: Any, place: Place, part: Any, hasher: Hasher, have: int) -> None:
        """Write what comes."""
        name = clean_line(place.file.name, 200)
        if response.status_code == 200 and have:  # it does not send parts: from the beginning
            part.truncate(0)
            part.seek(0)
            hasher.restart()
            self.done -= have
        # writing and hashing must not look like the network's failures
        for piece in response.iter_raw(CHUNK):
            if part.tell() + len(piece) > place.file.bytes:
                raise HubError("bad_answer", f"{web.host()} sends more of {name} than it has.")
            _write(part, piece)
            hasher.put(piece)
            self._look(len(piece), "fetching")

    def _check(self, response: Any, place: Place, have: int) -> None:
        """Refuse what is not the file that was asked for, before a byte of it is written.

        Raises:
            HubError: it is something else.
        """
        name = clean_line(place.file.name, 200)
        size = place.file.bytes
        for answer in (*response.history, response):
            linked = str(answer.headers.get("X-Linked-Etag", "")).removeprefix("W/").strip('"')
            if linked and linked != place.file.etag:
                raise HubError("wrong_hash", f"{name} has changed on the hub since it was looked at.", "Look again.")
        if response.status_code == 206:
            told = str(response.headers.get("Content-Range", ""))
            if not told.startswith(f"bytes {have}-") or not told.endswith((f"/{size}", "/*")):
                raise HubError("bad_answer", f"{web.host()} sends another part of {name} than was asked for.")
        elif response.headers.get("Content-Length") not in (None, str(size)):
            kind = str(response.headers.get("Content-Type", ""))
            what = "a page" if "html" in kind else f"{clean_line(response.headers['Content-Length'], 20)} bytes"
            message = f"{web.host()} sends {what} instead of the {size_text(size)} of {name}."
            raise HubError("bad_answer", message, "A proxy or a sign-in page may be in the way.")

    def _is_whole(self, place: Place) -> bool:
        """Whether the file that is here already has the bytes that the hub has."""
        size, sha256 = place.file.bytes, bool(place.file.sha256)
        if _size(place.final) != size:
            return False
        with contextlib.closing(Hasher(size, sha256=sha256)) as hasher, place.final.open("rb") as file:
            for piece in pieces(file):
                self._look(0, "checking")
                hasher.put(piece)
            return hasher.result() == place.file.etag

    # Telling and waiting

    @contextlib.contextmanager
    def _alone(self, place: Place) -> Generator[None]:
        """Wait until no other program downloads the file."""
        while True:
            with locked(place.lock) as ours:
                if ours:
                    yield
                    return
            self._tell("waiting")
            self._wait(0.3)

    def _look(self, count: int, step: Literal["checking", "fetching"]) -> None:
        self.done += count
        if self._stops.asked.is_set():
            raise HubError("stopped", "The download was stopped.")
        self._tell(step)

    def _pause(self, error: HubError, fails: int) -> None:
        """Before the next try.

        Raises:
            HubError: there is none, or the download was stopped.
        """
        asked = error.retry_after
        if error.failure.kind not in PASSING or fails >= TRIES or asked > web.LONGEST_RETRY_AFTER:
            raise error
        wait = min(2.0**fails, LONGEST_WAIT) * random.uniform(0.75, 1.0) if fails else 0.2
        self._wait(max(wait, asked), error.failure.message)

    def _wait(self, seconds: float, why: str = "") -> None:
        """Whoever listens hears of it again and again: a hub may ask to wait for longer than one would believe.

        Raises:
            HubError: the download was stopped.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if why:
                self._tell("retrying", why, wait=left, at_once=True)
            if self._stops.asked.wait(min(left, WAIT_STEP)):
                raise HubError("stopped", "The download was stopped.")

    def _tell(
        self,
        step: Literal["waiting", "checking", "fetching", "retrying"] = "fetching",
        why: str = "",
        *,
        wait: float = 0.0,
        at_once: bool = False,
    ) -> None:
        now = time.monotonic()
        if at_once or now - self._told >= TELL_SECONDS:
            self._told = now
            resumed = min(self._resumed, self.total)
            self._say(
                Progress(
                    id=self._ask.id,
                    done=self.done,
                    total=self.total,
                    resumed=resumed,
                    step=step,
                    why=why,
                    wait=wait,
                    free=self._free(),
                )
            )


def _write(part: Any, piece: bytes) -> None:
    """All of it; where the disk has no room, what was written stays.

    Raises:
        HubError: it may not be written.
        OSError: ``ENOSPC``.
    """
    view = memoryview(piece)
    while view:
        try:
            view = view[part.write(view) :]
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise OSError(errno.ENOSPC, error.strerror) from error
            raise HubError("permission", f"The download cannot be written: {error.strerror}.") from error


def _disk(error: OSError, work: _Work) -> HubError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        missing = max(work.missing(), 1)
        text = f"The disk is full: {size_text(missing)} more are needed for this download."
        return HubError("no_space", text, "Make room and resume; what came is kept.", missing=missing)
    where = clean_line(str(error.filename or work.places[0].part.parent), 300)
    return HubError("permission", f"{where} cannot be written: {error.strerror}.")


def _here(place: Place) -> int:
    """Bytes of a file that have come: of the whole one, or of its part."""
    return _size(place.final) or _size(place.part)


def _nothing() -> None: ...


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
