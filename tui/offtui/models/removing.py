"""Deletes a model: every part of it, and of Hugging Face's cache the blob and all its names."""

import glob
import os
from pathlib import Path

from offtui.errors import OfftuiError
from offtui.gguf.library import ModelFile
from offtui.gguf.names import is_gguf
from offtui.hub.tidy import drop_parts, part_stem, tidy
from offtui.text import clean_line


def what_goes(file: ModelFile) -> list[Path]:
    """Every path that deleting takes away: names first, then the bytes.

    Raises:
        OfftuiError: the file is another program's, which would be left with a name without bytes.
    """
    if file.source == "ollama":
        of = file.belongs_to or file.name
        raise OfftuiError(f"{file.name} is Ollama's; remove it with: ollama rm {clean_line(of)}")
    paths: list[Path] = []
    for part in file.parts or (file.path,):
        paths += _names(part)
    return list(dict.fromkeys(paths))


def remove(file: ModelFile) -> int:
    """Delete it, and what was left of downloads of it; gives the bytes that are free now.

    Raises:
        OfftuiError: something of it cannot be deleted; what was deleted before stays deleted.
    """
    paths = what_goes(file)
    freed = sum(_freed(path) for path in paths)
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OfftuiError(f"{clean_line(str(path))} cannot be deleted: {error.strerror}.") from error
    repositories: set[Path] = set()
    for path in paths:
        repository = _repository(path)
        if repository is not None:
            repositories.add(repository)
            if path.parent == repository / "blobs":
                freed += drop_parts(path.parent, f"{glob.escape(path.name)}.*incomplete")
        elif is_gguf(path.name):
            freed += drop_parts(path.parent, f"{glob.escape(part_stem(path.name))}*.incomplete")
    for repository in repositories:
        tidy(repository)
    return freed


def _names(part: Path) -> list[Path]:
    repository = _repository(part)
    if repository is None or not part.is_symlink():
        return [part]
    blob = part.parent / os.readlink(part)
    target = os.path.normpath(blob)
    snapshots = repository / "snapshots"
    names = [
        link
        for link in snapshots.rglob("*")
        if link.is_symlink() and os.path.normpath(link.parent / os.readlink(link)) == target
    ]
    inside = os.path.realpath(os.path.dirname(target)) == os.path.realpath(repository / "blobs")
    return [*(names or [part]), Path(target)] if inside else names or [part]


def _freed(path: Path) -> int:
    try:
        status = path.lstat()
    except OSError:
        return 0
    return 0 if path.is_symlink() or status.st_nlink > 1 else status.st_size


def _repository(path: Path) -> Path | None:
    return next((folder for folder in path.parents if folder.name.startswith("models--")), None)
