"""What the hub's process is asked and what it answers: one JSON object per line, either way. Sizes are bytes."""

from typing import Final, Literal

import msgspec

from offtui.units import MIB

SPARE: Final = 64 * MIB
"""Bytes of the disk that a download leaves free."""

HubFailureKind = Literal[
    "offline",
    "no_network",
    "not_found",
    "no_token",
    "gated",
    "forbidden",
    "rate_limited",
    "server",
    "bad_answer",
    "bad_name",
    "no_gguf",
    "no_space",
    "permission",
    "wrong_hash",
    "too_long",
    "unsupported",
    "stopped",
    "died",
    "internal",
]
Sort = Literal["downloads", "likes", "trending", "newest"]


class HubFailure(msgspec.Struct, frozen=True):
    """Why the hub could not be used, for a person: one sentence and what to do. Never holds a token or an address."""

    kind: HubFailureKind
    message: str
    advice: str = ""
    missing: int = 0
    """Of ``no_space`` the bytes that are missing."""
    retry_after: float = 0.0
    """Seconds that the hub asks to wait."""


# Facts


class Range(msgspec.Struct, frozen=True):
    """Both ends belong to it; 0: no bound."""

    low: int = 0
    high: int = 0

    def __bool__(self) -> bool:
        return bool(self.low or self.high)

    def holds(self, value: int) -> bool:
        """Whether a value lies within; one that is not known, 0, never does."""
        return value >= max(self.low, 1) and (not self.high or value <= self.high)


class Repo(msgspec.Struct, frozen=True, kw_only=True):
    """One repository as a search lists it; texts are cleaned."""

    name: str
    """``owner/name``."""
    downloads: int = 0
    likes: int = 0
    gated: bool = False
    private: bool = False
    updated: str = ""
    """Day of the last change: ``2026-08-01``."""
    arch: str = ""
    n_params: int = 0
    n_ctx_train: int = 0
    license: str = ""
    suits: tuple[str, ...] = ()
    """Where a size was searched for, the quants that have it, smallest first."""


class RemoteFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a repository at one commit."""

    name: str
    """Path in the repository, with ``/``; checked: it cannot leave a folder."""
    bytes: int
    sha256: str = ""
    """The LFS oid; ``""`` where the file is kept in git itself."""
    blob: str = ""
    """Git's own hash of such a file."""

    @property
    def etag(self) -> str:
        """By which caches name it."""
        return self.sha256 or self.blob


# Requests


class _Request(msgspec.Struct, frozen=True, kw_only=True, tag_field="ask"):
    id: int


class Search(_Request, frozen=True, kw_only=True, tag="search"):
    """Repositories with GGUFs; answered by ``Looking``…, then ``Found``."""

    words: str = ""
    author: str = ""
    arch: str = ""
    license: str = ""
    params: Range = Range()
    """Parameters."""
    size: Range = Range()
    """Bytes of a model, of at least one that the repository has."""
    sort: Sort = "downloads"
    limit: int = 30


class GetInfo(_Request, frozen=True, kw_only=True, tag="info"):
    """A repository and its GGUFs; answered by ``Info``."""

    repo: str
    revision: str = "main"


class GetReadme(_Request, frozen=True, kw_only=True, tag="readme"):
    """Its README as text; answered by ``Readme``."""

    repo: str
    revision: str = "main"


class GetHeaders(_Request, frozen=True, kw_only=True, tag="headers"):
    """The headers of a model without its vocabulary, written as GGUFs of the full length into ``folder``, one for each
    part; answered by ``Headers``."""

    repo: str
    commit: str
    files: tuple[RemoteFile, ...]
    folder: str


class Fetch(_Request, frozen=True, kw_only=True, tag="fetch"):
    """Download these files, all or none; answered by ``Progress``…, then ``Fetched``."""

    repo: str
    commit: str
    files: tuple[RemoteFile, ...]
    revision: str = "main"
    """The name under which the commit was found."""
    to: str = ""
    """A folder; empty: Hugging Face's cache."""


class Drop(Fetch, frozen=True, kw_only=True, tag="drop"):
    """Delete what came of these files before they were complete; answered by ``Failed`` of kind ``stopped``."""


class Stop(_Request, frozen=True, kw_only=True, tag="stop"):
    """Stop the request of this id; of a fetch keep what came, or drop it. Answered by its ``Failed``."""

    keep: bool = True


Request = Search | GetInfo | GetReadme | GetHeaders | Fetch | Drop | Stop


# Answers


class _Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="say"):
    id: int


class Looking(_Answer, frozen=True, kw_only=True, tag="looking"):
    """How far a search is."""

    host: str
    """That is asked."""
    looked_at: int = 0
    """Repositories so far."""
    opened: int = 0
    """Of them those whose files were looked at."""
    found: int = 0


class Found(_Answer, frozen=True, kw_only=True, tag="found"):
    """What a search brought."""

    repos: tuple[Repo, ...]
    looked_at: int = 0
    """Where the hub cannot narrow by itself, and there were more: so many were looked at."""


class Info(_Answer, frozen=True, kw_only=True, tag="info"):
    """A repository with its GGUFs."""

    repo: Repo
    commit: str
    files: tuple[RemoteFile, ...]
    refused: int = 0
    """Files whose names could leave a folder or act on a terminal; left out."""


class Readme(_Answer, frozen=True, kw_only=True, tag="readme"):
    """Cleaned text; empty where there is none."""

    text: str


class Headers(_Answer, frozen=True, kw_only=True, tag="headers"):
    """Where they were written."""

    paths: tuple[str, ...]
    traffic: int
    """Bytes that came over the network for them."""


class Progress(_Answer, frozen=True, kw_only=True, tag="progress"):
    """How far a fetch is."""

    done: int
    """Bytes that are here, those of earlier runs among them."""
    total: int
    resumed: int = 0
    """Of ``done`` those that were here before."""
    step: Literal["waiting", "checking", "fetching", "retrying"] = "fetching"
    """``waiting``: another program downloads the same; ``checking``: hashing what is here already."""
    why: str = ""
    """Of ``retrying``."""
    wait: float = 0.0
    """Of ``retrying`` the seconds until it is tried again."""
    free: int | None = None
    """Bytes of the disk that are free; ``None``: not known."""

    @property
    def lacks(self) -> int:
        """Bytes that the disk lacks for what is still to come, as it is now."""
        left = self.total - self.done
        return max(left + SPARE - self.free, 0) if left > 0 and self.free is not None else 0


class Fetched(_Answer, frozen=True, kw_only=True, tag="fetched"):
    """All files are here, complete and checked."""

    paths: tuple[str, ...]
    bytes: int
    sha256: tuple[str, ...]
    """One per file; of a file kept in git ``""``."""
    resumed: int


class Failed(_Answer, frozen=True, kw_only=True, tag="failed"):
    """The request's end where it could not be done."""

    failure: HubFailure


OnTheWay = Progress | Looking
"""Answers after which another one comes."""
Answer = Found | Info | Readme | Headers | Progress | Looking | Fetched | Failed
