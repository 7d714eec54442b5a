"""Where downloads go: Hugging Face's cache as its own client lays it, or a folder. Parts keep what came so far."""

import contextlib
import fcntl
import os
import uuid
from collections.abc import Generator
from pathlib import Path
from typing import Final

import msgspec
from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from offtui.hub.wire import Fetch, RemoteFile

PART: Final = ".incomplete"


class Place(msgspec.Struct, frozen=True):
    """Of one file."""

    file: RemoteFile
    final: Path
    """Where its bytes lie when they are complete and checked."""
    part: Path
    """Where they lie before."""
    lock: Path
    link: Path | None = None
    """In a cache its name, which others look for."""

    @property
    def shown(self) -> Path:
        """What to load."""
        return self.link or self.final


def places(ask: Fetch) -> list[Place]:
    """Where the files of a request go."""
    if ask.to:
        folder = Path(ask.to)
        return [_in_folder(folder, file) for file in ask.files]
    root = Path(constants.HF_HUB_CACHE)
    name = repo_folder_name(repo_id=ask.repo, repo_type="model")
    return [_in_cache(root, name, ask.commit, file) for file in ask.files]


def publish(ask: Fetch, found: list[Place]) -> None:
    """Give the complete files their names, and the commit its: from now on other programs see them.

    Raises:
        OSError: a name cannot be made.
    """
    for place in found:
        if place.link is None:
            continue
        place.link.parent.mkdir(parents=True, exist_ok=True)
        target = os.path.relpath(place.final, place.link.parent)
        if os.path.lexists(place.link) and (not place.link.is_symlink() or os.readlink(place.link) == target):
            continue
        aside = place.link.with_name(f".{uuid.uuid4().hex[:8]}.link")
        aside.symlink_to(target)
        os.replace(aside, place.link)
    if not ask.to and ask.revision != ask.commit:
        root = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=ask.repo, repo_type="model")
        ref = root / "refs" / ask.revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        aside = ref.with_name(f"{ref.name}.{uuid.uuid4().hex[:8]}.tmp")
        aside.write_text(ask.commit)
        os.replace(aside, ref)


@contextlib.contextmanager
def locked(path: Path) -> Generator[bool]:
    """Hold the lock of a file, the same that huggingface_hub takes; ``False``: another program holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


def _in_cache(root: Path, repo: str, commit: str, file: RemoteFile) -> Place:
    blob = root / repo / "blobs" / file.etag
    link = root / repo / "snapshots" / commit / file.name
    lock = root / ".locks" / repo / f"{file.etag}.lock"
    return Place(file, blob, blob.with_name(blob.name + PART), lock, link)


def _in_folder(folder: Path, file: RemoteFile) -> Place:
    name = file.name.rpartition("/")[2]
    part = folder / f".{name[:180]}.{file.etag[:12]}{PART}"
    return Place(file, folder / name, part, part.with_name(part.name + ".lock"))
