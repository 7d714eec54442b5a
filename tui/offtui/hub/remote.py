"""Headers of files that are still on the hub, by HTTP ranges."""

import threading
from pathlib import Path
from typing import Any, Final

from offtui.hub import web
from offtui.hub.skeleton import MAX_BODY, Lengths, NotReadable, read_skeleton
from offtui.hub.web import HubError
from offtui.hub.wire import GetHeaders, Headers, RemoteFile
from offtui.text import clean_line

MAX_TRAFFIC: Final = 5_000_000
"""Bytes for all parts of one model."""
PART_TRAFFIC: Final = 4096
"""Counted for the headers of an answer."""

_lengths: dict[str, Lengths] = {}
_lock = threading.Lock()


class Ranges:
    """Reads pieces of a file at one commit, and counts what comes."""

    def __init__(self, repo: str, commit: str, file: RemoteFile, traffic: int = 0) -> None:
        self.traffic = traffic
        self._repo, self._file = repo, file
        self._url = web.file_url(repo, commit, file.name)
        self._pieces: list[tuple[int, bytes]] = []

    def __call__(self, at: int, count: int) -> bytes:
        """The bytes at ``at``, fewer at the end of the file.

        Raises:
            HubError: they cannot be had.
        """
        count = min(count, self._file.bytes - at)
        if count <= 0:
            return b""
        for start, piece in self._pieces:
            if start <= at and at + count <= start + len(piece):
                return piece[at - start : at - start + count]
        if self.traffic + count > MAX_TRAFFIC:
            name = clean_line(self._file.name, 200)
            raise HubError("too_long", f"The header of {name} takes more than {MAX_TRAFFIC // 10**6} MB to read.")
        piece = self._fetch(at, count)
        self.traffic += len(piece)
        self._pieces = [*self._pieces[-40:], (at, piece)]
        return piece

    def _fetch(self, at: int, count: int) -> bytes:
        what = clean_line(self._file.name, 200)
        asked = {**web.headers(), "Range": f"bytes={at}-{at + count - 1}", "Accept-Encoding": "identity"}
        for attempt in (1, 2, 3):
            try:
                with web.translated(what), web.session().stream("GET", self._url, headers=asked) as response:
                    web.check(response, what, self._repo)
                    if response.status_code != 206 and not (at == 0 and count == self._file.bytes):
                        message = f"{web.host()} does not send parts of files, so no header is read from afar."
                        raise HubError("bad_answer", message)
                    return self._body(response, count)
            except HubError as error:
                if attempt == 3 or error.failure.kind not in ("server", "no_network") or error.retry_after:
                    raise
        raise AssertionError("unreachable")

    def _body(self, response: Any, count: int) -> bytes:
        body = bytearray()
        for piece in response.iter_raw():
            body += piece
            if len(body) > count:
                raise HubError("bad_answer", f"{web.host()} sends more than was asked for.")
        if len(body) < count:
            raise HubError("no_network", f"{web.host()} broke off.")
        return bytes(body)


def headers(ask: GetHeaders) -> Headers:
    """Write the headers of all parts of a model into a folder, each as long as its file.

    Raises:
        HubError: they cannot be had.
    """
    with _lock:
        lengths = _lengths.setdefault(ask.repo, Lengths())
    traffic, room = 0, MAX_BODY
    written: list[str] = []
    for file in ask.files:
        ranges = Ranges(ask.repo, ask.commit, file, traffic)
        try:
            skeleton = read_skeleton(ranges, file.bytes, lengths, room)
        except NotReadable as error:
            name = clean_line(file.name, 200)
            raise HubError("bad_answer", f"{name} cannot be planned: {error}.") from error
        traffic, room = ranges.traffic, room - len(skeleton.body)
        path = Path(ask.folder) / file.name.rpartition("/")[2]
        with path.open("wb") as out:
            out.write(skeleton.body)
            out.truncate(skeleton.size_for(file.bytes))
        written.append(str(path))
    return Headers(id=ask.id, paths=tuple(written), traffic=traffic)
