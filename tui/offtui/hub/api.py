"""Searches, repositories and READMEs: what the hub's API says, cleaned and checked."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any, cast

import msgspec

from offtui.errors import UsageError
from offtui.gguf.names import is_gguf
from offtui.hub import web
from offtui.hub.names import check_repo, is_safe, offers
from offtui.hub.readme import MAX_CHARACTERS, readme_text
from offtui.hub.web import HubError
from offtui.hub.wire import Found, GetInfo, GetReadme, Info, Looking, Readme, RemoteFile, Repo, Search, Sort
from offtui.text import clean_line

MAX_FILES = 5000
PAGE = 100
"""Repositories of one answer."""
PAGES = 10
"""Looked through where the hub cannot narrow by itself."""
MAX_OPENED = 64
"""Repositories whose files are looked at for their sizes; each is a request."""
AT_ONCE = 8
BITS = (1.5, 34.0)
"""Per weight, of any file: by them most repositories need not be opened to know that none of their files suits."""
_SORTS: dict[Sort, str] = {
    "downloads": "downloads", "likes": "likes", "trending": "trendingScore", "newest": "createdAt",
}  # fmt: skip
_FIELDS = ("author", "downloads", "likes", "gated", "private", "lastModified", "gguf", "tags")
_SHA256, _SHA1 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")


def search(ask: Search, say: Callable[[Looking], None], stop: threading.Event) -> Found:
    """Repositories with GGUFs.

    The hub knows words, owners and licences. Architectures and sizes it does not, so that more is asked for than is
    wanted, and files are looked at where their size matters.

    Args:
        ask: what for.
        say: is told how far it is.
        stop: set when nobody wants to know any more.

    Raises:
        HubError: they cannot be had, or nobody wants to know any more.
    """
    narrow = bool(ask.arch or ask.params or ask.size)
    params: dict[str, Any] = {
        "filter": ["gguf"] + ([f"license:{ask.license.lower()}"] if ask.license else []),
        "sort": _SORTS[ask.sort],
        "direction": "-1",
        "limit": str(PAGE if narrow else min(ask.limit, PAGE)),
        "expand": list(_FIELDS),
    }
    if ask.words:
        params["search"] = ask.words
    if ask.author:
        params["author"] = ask.author
    found: list[Repo] = []
    looked_at = opened = 0
    following = ""
    follows: dict[str, Any] | str = params
    for _ in range(PAGES if narrow else 1):
        _look(stop)
        say(Looking(id=ask.id, host=web.host(), looked_at=looked_at, opened=opened, found=len(found)))
        answer, following = web.get_page("/api/models", follows, "a search")
        if not isinstance(answer, list):
            raise HubError("bad_answer", f"{web.host()} did not answer as the hub does when searched.")
        page = [repo for item in cast("list[object]", answer) if (repo := _repo(item)) is not None]
        looked_at += len(page)
        near = [repo for repo in page if _fits(repo, ask)]
        if ask.size:
            near = near[: MAX_OPENED - opened]
            at = Looking(id=ask.id, host=web.host(), looked_at=looked_at, opened=opened, found=len(found))
            opened += len(near)
            near = _of_size(near, ask, at, say, stop)
        found += near
        if len(found) >= ask.limit or opened >= MAX_OPENED or not following:
            break
        follows = following
    is_all = not narrow or (not following and opened < MAX_OPENED) or len(found) >= ask.limit
    return Found(id=ask.id, repos=tuple(found[: ask.limit]), looked_at=0 if is_all else looked_at)


def _look(stop: threading.Event) -> None:
    if stop.is_set():
        raise HubError("stopped", "The search was stopped.")


def _of_size(
    repos: list[Repo], ask: Search, at: Looking, say: Callable[[Looking], None], stop: threading.Event
) -> list[Repo]:
    """Those with a model of the size that is asked for, in their order."""
    most = ask.limit - at.found
    found: list[Repo] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for start in range(0, len(repos), AT_ONCE):
            if len(found) >= most:
                break
            _look(stop)
            say(msgspec.structs.replace(at, opened=at.opened + start, found=at.found + len(found)))
            tried = pool.map(_with_suits, repos[start : start + AT_ONCE], repeat(ask))
            found += [repo for repo in tried if repo is not None]
    return found


def _with_suits(repo: Repo, ask: Search) -> Repo | None:
    try:
        files = info(GetInfo(id=ask.id, repo=repo.name)).files
    except HubError as error:
        if error.failure.kind in ("not_found", "gated", "forbidden", "bad_answer"):  # this one, and not the hub
            return None
        raise
    near = [offer for offer in offers(files) if offer.kind == "model" and not offer.missing]
    suits = tuple(offer.quant or offer.name.rpartition("/")[2] for offer in near if ask.size.holds(offer.bytes))
    return msgspec.structs.replace(repo, suits=suits) if suits else None


def info(ask: GetInfo) -> Info:
    """A repository and its GGUFs.

    Raises:
        HubError: it cannot be had.
    """
    name = _checked(ask.repo)
    path = f"/api/models/{name}"
    if ask.revision != "main":
        path += f"/revision/{ask.revision.replace('/', '%2F')}"
    answer = _object(web.get_json(path, {"blobs": "true"}, name))
    repo, commit = _repo(answer), answer.get("sha")
    if repo is None or not isinstance(commit, str) or not _SHA1.fullmatch(commit):
        raise HubError("bad_answer", f"{web.host()} did not answer as the hub does when asked for {name}.")
    listed = answer.get("siblings")
    siblings = cast("list[object]", listed) if isinstance(listed, list) else []
    files: list[RemoteFile] = []
    refused = 0
    for item in siblings[: 4 * MAX_FILES]:
        entry = _object(item)
        file = entry.get("rfilename")
        if not isinstance(file, str) or not is_gguf(file.rpartition("/")[2]):
            continue
        if not is_safe(file):
            refused += 1
            continue
        lfs = _object(entry.get("lfs"))
        oid, blob = lfs.get("sha256"), entry.get("blobId")
        files.append(
            RemoteFile(
                name=file,
                bytes=_whole(entry.get("size")) or _whole(lfs.get("size")),
                sha256=oid if isinstance(oid, str) and _SHA256.fullmatch(oid) else "",
                blob=blob if isinstance(blob, str) and _SHA1.fullmatch(blob) else "",
            )
        )
    return Info(id=ask.id, repo=repo, commit=commit, files=tuple(files[:MAX_FILES]), refused=refused)


def readme(ask: GetReadme) -> Readme:
    """The README as text.

    Raises:
        HubError: it cannot be had; a repository without one has an empty one.
    """
    name = _checked(ask.repo)
    with web.translated(f"the README of {name}"):
        url = web.file_url(name, ask.revision, "README.md")
        with web.session().stream("GET", url, headers=web.headers()) as response:
            if response.status_code == 404:
                return Readme(id=ask.id, text="")
            web.check(response, f"the README of {name}")
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if len(body) > 4 * MAX_CHARACTERS:
                    break
    return Readme(id=ask.id, text=readme_text(body.decode("utf-8", "replace")))


def _checked(name: str) -> str:
    try:
        return check_repo(name)
    except UsageError as error:
        raise HubError("bad_name", str(error)) from error


def _repo(item: object) -> Repo | None:
    entry = _object(item)
    name = entry.get("id", entry.get("modelId"))
    if not isinstance(name, str):
        return None
    try:
        name = check_repo(name)
    except UsageError:
        return None
    gguf, gated = _object(entry.get("gguf")), entry.get("gated")
    updated = entry.get("lastModified", entry.get("createdAt"))
    found = entry.get("tags")
    tags = [tag for tag in cast("list[object]", found) if isinstance(tag, str)] if isinstance(found, list) else []
    terms = next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), "")
    arch = gguf.get("architecture")
    return Repo(
        name=name,
        downloads=_whole(entry.get("downloads")),
        likes=_whole(entry.get("likes")),
        gated=bool(gated),
        private=entry.get("private") is True,
        updated=clean_line(updated[:10], 10) if isinstance(updated, str) else "",
        arch=clean_line(arch, 40) if isinstance(arch, str) else "",
        n_params=_whole(gguf.get("total")),
        n_ctx_train=_whole(gguf.get("context_length")),
        license=clean_line(terms, 40),
    )


def _fits(repo: Repo, ask: Search) -> bool:
    if ask.arch and repo.arch.casefold() != ask.arch.casefold():
        return False
    if ask.params and not ask.params.holds(repo.n_params):
        return False
    if not (ask.size and repo.n_params):
        return True
    low, high = (int(repo.n_params * bits / 8) for bits in BITS)
    return high >= ask.size.low and (not ask.size.high or low <= ask.size.high)


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 60 else 0
