"""Where downloads go: Hugging Face's cache as its own client lays it, or a folder. Parts keep what came so far."""

import contextlib
import os
import uuid
from pathlib import Path
from typing import Final

import msgspec
from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from offtui.hub.tidy import locked, part_stem, tidy
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
    repository: Path | None = None
    """In a cache the folder of all that came from there."""

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
        if place.link is None or place.link == place.final:
            continue
        target = os.path.relpath(place.final, place.link.parent)
        if place.link.is_symlink() and os.readlink(place.link) == target:
            continue
        aside = place.link.with_name(f".{uuid.uuid4().hex[:8]}.link")
        for attempt in (1, 2, 3):
            place.link.parent.mkdir(parents=True, exist_ok=True)
            try:
                aside.symlink_to(target)
                break
            except FileNotFoundError:  # tidied away by another offtui in this moment
                if attempt == 3:
                    raise
        os.replace(aside, place.link)
    if not ask.to and ask.revision != ask.commit:
        root = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=ask.repo, repo_type="model")
        ref = root / "refs" / ask.revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        aside = ref.with_name(f"{ref.name}.{uuid.uuid4().hex[:8]}.tmp")
        aside.write_text(ask.commit)
        os.replace(aside, ref)


def prepare(found: list[Place]) -> None:
    """Have the folders be there; a repository that has only parts yet is whole to other programs, too.

    Raises:
        OSError: they cannot be made.
    """
    for place in found:
        place.part.parent.mkdir(parents=True, exist_ok=True)
        if place.repository is not None:
            (place.repository / "snapshots").mkdir(exist_ok=True)


def clear(found: list[Place], *, empty: bool = False) -> None:
    """Take away what waits for nobody: locks of files that are here or never came; where asked, empty folders."""
    for place in found:
        if _is_empty(place.part):
            with contextlib.suppress(OSError), locked(place.lock) as ours:
                if ours and _is_empty(place.part):
                    place.part.unlink(missing_ok=True)
                    if place.link is None:  # huggingface_hub leaves its own
                        place.lock.unlink(missing_ok=True)
    if empty:
        for repository in {place.repository for place in found if place.repository is not None}:
            tidy(repository)


def _is_empty(part: Path) -> bool:
    try:
        return part.stat().st_size == 0
    except OSError:
        return True


def _in_cache(root: Path, repo: str, commit: str, file: RemoteFile) -> Place:
    blob = root / repo / "blobs" / file.etag
    link = root / repo / "snapshots" / commit / file.name
    lock = root / ".locks" / repo / f"{file.etag}.lock"
    # where links cannot be made huggingface_hub puts the bytes themselves there
    final = link if not link.is_symlink() and link.is_file() else blob
    return Place(file, final, blob.with_name(blob.name + PART), lock, link, root / repo)


def _in_folder(folder: Path, file: RemoteFile) -> Place:
    name = file.name.rpartition("/")[2]
    part = folder / f"{part_stem(name)}{file.etag[:12]}{PART}"
    return Place(file, folder / name, part, part.with_name(part.name + ".lock"))
