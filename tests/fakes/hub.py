"""A hub of the Hugging Face API on this machine: searches, repositories, redirects, ranges, and every way to fail.

The real client is pointed at it by ``HF_ENDPOINT``. Files come from another origin, as from the real hub's CDN.
"""

import contextlib
import hashlib
import json
import os
import re
import select
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

TOKEN = "hf_onlyForTestsAAAA"
COMMIT = "a" * 40
CHUNK = 1 << 16


@dataclass
class FakeFile:
    """Bytes in memory or on disk."""

    body: bytes = b""
    path: Path | None = None
    lfs: bool = True
    _sha256: str = ""

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path else len(self.body)

    @property
    def sha256(self) -> str:
        if not self._sha256:
            if self.path:
                with self.path.open("rb") as file:
                    self._sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            else:
                self._sha256 = hashlib.sha256(self.body).hexdigest()
        return self._sha256

    @property
    def blob(self) -> str:
        return hashlib.sha1(b"blob %d\0" % self.size + self.body).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.blob


@dataclass
class FakeRepo:
    """A repository at one commit."""

    files: dict[str, FakeFile] = field(default_factory=dict)
    downloads: int = 10
    likes: int = 1
    gated: bool = False
    private: bool = False
    readme: str = "# A model"
    gguf: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=lambda: ["gguf"])


@dataclass
class Fault:
    """Happens to the next requests whose path has ``where`` in it."""

    kind: str
    """``status``, ``cut``, ``slow``, ``html``, ``hang``, ``long``, ``short``, ``rubbish``, ``no_range``, ``loop``,
    ``endless``."""
    where: str = ""
    times: int = 1
    status: int = 500
    after: int = 0
    """Bytes sent before a cut."""
    headers: dict[str, str] = field(default_factory=dict)
    rate: int = 0
    """Bytes per second of ``slow``."""


class FakeHub:
    """A server on a port of its own; a context manager."""

    def __init__(self) -> None:
        self.repos: dict[str, FakeRepo] = {}
        self.faults: list[Fault] = []
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.sent: dict[str, int] = {}
        """Bytes of bodies, by file."""
        self.limits: dict[str, int] = {}
        """What of a file lies at this offset or behind it is sent when its limit is raised or taken away."""
        self._lock = threading.Lock()
        hub = self

        class Handler(_Handler):
            fake = hub

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that hangs up is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def cdn(self) -> str:
        """The same server by another name: another origin."""
        return f"http://localhost:{self.port}"

    def __enter__(self) -> "FakeHub":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fail(self, kind: str, where: str = "", **more: Any) -> None:
        with self._lock:
            self.faults.append(Fault(kind, where, **more))

    def fault(self, path: str, *kinds: str) -> Fault | None:
        """The first that is due here."""
        with self._lock:
            for fault in self.faults:
                if fault.times > 0 and fault.where in path and fault.kind in kinds:
                    fault.times -= 1
                    return fault
        return None

    def note(self, name: str, count: int) -> None:
        with self._lock:
            self.sent[name] = self.sent.get(name, 0) + count


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeHub

    def log_message(self, format: str, *args: Any) -> None: ...

    def do_HEAD(self) -> None:
        self._route(body=False)

    def do_GET(self) -> None:
        self._route(body=True)

    def _route(self, *, body: bool) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        if path == "/api/agent-harnesses":  # huggingface_hub asks for it by itself
            self._error(404, "EntryNotFound")
            return
        self.fake.seen.append((self.command, self.path, dict(self.headers.items())))
        fault = self.fake.fault(path, "status", "html", "hang", "loop", "endless")
        if fault is not None:
            self._fail(fault)
        elif path == "/api/models":
            self._search(parse_qs(url.query))
        elif path.startswith("/api/models/"):
            self._info(path.removeprefix("/api/models/"))
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(match[1], match[3])
        elif match := re.fullmatch(r"/cdn/([^/]+/[^/]+)/(.+)", path):
            self._send_file(self.fake.repos[match[1]].files[match[2]], match[2], body=body)
        else:
            self._error(404, "EntryNotFound")

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "hang":
            time.sleep(fault.rate or 60)
            return
        if fault.kind == "endless":
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            with contextlib.suppress(ConnectionError):
                self.wfile.write(b"[")
                while True:
                    self.wfile.write(b" " * CHUNK)
        elif fault.kind == "loop":
            self._reply(302, b"", Location=self.path)
        elif fault.kind == "html":
            self._reply(200, b"<html><body>Please sign in</body></html>", **{"Content-Type": "text/html"})
        else:
            self._reply(fault.status, b"no", **fault.headers)

    def _allowed(self, repo: FakeRepo | None) -> bool:
        token = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repo is None or (repo.private and not token):
            self._error(404 if token else 401, "RepoNotFound")
            return False
        return True

    def _search(self, query: dict[str, list[str]]) -> None:
        words = " ".join(query.get("search", [])).casefold()
        author = "".join(query.get("author", []))
        token = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        found = [
            self._described(name, repo)
            for name, repo in self.fake.repos.items()
            if all(word in name.casefold() for word in words.split())
            and name.startswith(author)
            and (token or not repo.private)
            and all(tag in repo.tags for tag in query.get("filter", []))
        ]
        by = query.get("sort", ["downloads"])[0]
        found.sort(key=lambda item: -item.get(by, 0) if isinstance(item.get(by, 0), int) else 0)
        limit, start = int(query.get("limit", ["100"])[0]), int(query.get("cursor", ["0"])[0])
        more: dict[str, str] = {}
        if len(found) > start + limit:  # the address is the hub's own, also where a mirror hands it on
            follows = urlencode({**query, "cursor": start + limit}, doseq=True)
            more["Link"] = f'<https://hub.invalid/api/models?{follows}>; rel="next"'
        self._json(found[start : start + limit], **more)

    def _info(self, rest: str) -> None:
        name, _, _ = rest.partition("/revision/")
        repo = self.fake.repos.get(name)
        if not self._allowed(repo):
            return
        assert repo is not None
        described = self._described(name, repo)
        described["sha"] = COMMIT
        described["siblings"] = [
            {
                "rfilename": file,
                "size": fake.size,
                "blobId": fake.blob if not fake.path else "b" * 40,
                **({"lfs": {"sha256": fake.sha256, "size": fake.size, "pointerSize": 134}} if fake.lfs else {}),
            }
            for file, fake in repo.files.items()
        ]
        self._json(described)

    def _described(self, name: str, repo: FakeRepo) -> dict[str, Any]:
        return {
            "id": name, "modelId": name, "author": name.partition("/")[0], "downloads": repo.downloads,
            "likes": repo.likes, "gated": "manual" if repo.gated else False, "private": repo.private,
            "lastModified": "2026-08-01T10:00:00.000Z", "tags": repo.tags, "gguf": repo.gguf,
        }  # fmt: skip

    def _resolve(self, name: str, file: str) -> None:
        repo = self.fake.repos.get(name)
        if not self._allowed(repo):
            return
        assert repo is not None
        if file == "README.md":
            self._reply(200, repo.readme.encode()) if repo.readme else self._error(404, "EntryNotFound")
            return
        if repo.gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._error(401, "GatedRepo")
        elif (fake := repo.files.get(file)) is None:
            self._error(404, "EntryNotFound")
        elif fake.lfs:
            self._reply(
                302, b"", Location=f"{self.fake.cdn}/cdn/{name}/{quote(file)}",
                **{"X-Linked-Etag": f'"{fake.etag}"', "X-Linked-Size": str(fake.size), "X-Repo-Commit": COMMIT},
            )  # fmt: skip
        else:
            self._send_file(fake, file, body=self.command == "GET")

    def _send_file(self, fake: FakeFile, name: str, *, body: bool) -> None:
        size = fake.size
        start, end, status = 0, size, 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked and not self.fake.fault(name, "no_range"):
            start, end, status = int(asked[1]), min(int(asked[2] or size - 1) + 1, size), 206
            if start >= size:
                self._reply(416, b"", **{"Content-Range": f"bytes */{size}"})
                return
        length = end - start
        if self.fake.fault(name, "short"):
            size, length = size - 1, length - 1
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        extra = 7 if self.fake.fault(name, "long") else 0
        self.send_header("Content-Length", str(length + extra))
        self.send_header("ETag", f'"{fake.etag}"')
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if body:
            self._send_body(fake, name, start, start + length, extra)

    def _send_body(self, fake: FakeFile, name: str, start: int, end: int, extra: int) -> None:
        cut = self.fake.fault(name, "cut")
        slow = self.fake.fault(name, "slow")
        rubbish = self.fake.fault(name, "rubbish")
        stop = min(end, start + cut.after) if cut else end
        begun, at = time.monotonic(), start
        with contextlib.ExitStack() as stack, contextlib.suppress(ConnectionError, TimeoutError):
            file = stack.enter_context(fake.path.open("rb")) if fake.path else None
            while at < stop:
                room = self.fake.limits.get(name, stop) - at
                if room <= 0:
                    self._wait()
                    continue
                if file and not slow and not rubbish:
                    self.wfile.flush()
                    count = os.sendfile(self.connection.fileno(), file.fileno(), at, min(stop - at, room, 1 << 20))
                else:
                    if file:
                        file.seek(at)
                    step = min(CHUNK, stop - at, room, max(slow.rate // 50, 1) if slow and slow.rate else CHUNK)
                    piece = file.read(step) if file else fake.body[at : at + step]
                    self.wfile.write(bytes(len(piece)) if rubbish else piece)
                    count = len(piece)
                at += count
                self.fake.note(name, count)
                if slow and slow.rate:
                    time.sleep(max(0.0, (at - start) / slow.rate - (time.monotonic() - begun)))
            self.wfile.write(b"!" * extra)
        if cut:
            self.close_connection = True

    def _wait(self) -> None:
        """A moment; over where the client hangs up."""
        if select.select([self.connection], [], [], 0.05)[0] and not self.connection.recv(1, socket.MSG_PEEK):
            raise ConnectionResetError

    def _json(self, value: object, **headers: str) -> None:
        self._reply(200, json.dumps(value).encode(), **{"Content-Type": "application/json"}, **headers)

    def _error(self, status: int, code: str) -> None:
        self._reply(status, b"", **{"X-Error-Code": code})

    def _reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
