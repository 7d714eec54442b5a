"""The GGUF files of this machine: found in folders by their names alone, none of them opened."""

import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from offtui.gguf import ollama
from offtui.gguf.caches import HasModelFolders as HasModelFolders
from offtui.gguf.caches import Source, cache_folders
from offtui.gguf.caches import default_folders as default_folders
from offtui.gguf.names import Kind, SplitName, is_gguf, parse_kind, parse_quant, parse_split, stem
from offtui.gguf.pairing import paired
from offtui.text import clean_line

MAX_DEPTH = 8
"""Folders below a given one; Hugging Face's cache needs five."""
MAX_FOLDERS = 20_000
MAX_FILES = 10_000

_ELSEWHERE: Source = "folder"


class ModelFile(msgspec.Struct, frozen=True, kw_only=True):
    """A model, or what belongs to one: one file, or the parts of a split one."""

    path: Path
    """What to load: of split files the first part. Of Hugging Face's cache the name there, not the blob."""
    name: str
    """For people: without ``.gguf``, part number and anything that acts on a terminal."""
    bytes: int
    """Of all parts that are here."""
    mtime_ns: int = 0
    """When the first of its parts changed; 0 unknown."""
    quant: str = ""
    """By the name, such as ``"Q4_K_M"``; empty where the name does not say."""
    source: Source = "folder"
    repo: str = ""
    """``owner/name`` where the cache tells it."""
    parts: tuple[Path, ...] = ()
    """All parts of a split file in order; one path otherwise."""
    missing: int = 0
    """Parts that are not here; such a model cannot be loaded."""
    kind_hint: Kind = "model"
    belongs_to: str = ""
    """Of a projector or an adapter in Ollama's store the name of its model."""
    mmproj: Path | None = None
    """Of a model its projector for images, where there is one."""
    loras: tuple[Path, ...] = ()
    """Of a model the adapters that lie beside it."""


class Found(msgspec.Struct, frozen=True):
    """What a search brought, and what it had to leave out."""

    models: tuple[ModelFile, ...] = ()
    problems: tuple[str, ...] = ()
    """One sentence for each folder that could not be searched, or not to its end.

    The absent cache of another program is none.
    """
    looked: tuple[tuple[str, int], ...] = ()
    """Every folder that was looked at with its time of change in ns; -1: it was not there."""

    @property
    def is_stale(self) -> bool:
        """Whether a file came, went or was renamed in one of the folders since. Takes a stat for each folder."""
        return any(_changed_at(folder) != at for folder, at in self.looked)


def _changed_at(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except (OSError, ValueError):
        return -1


class _File(msgspec.Struct, frozen=True):
    path: str
    name: str
    folder: str
    bytes: int
    mtime_ns: int
    inode: tuple[int, int]
    order: int


def find(folders: Iterable[Path]) -> list[ModelFile]:
    """The models below ``folders``, each once, sorted by name. A path of a file is taken as such.

    Reads folders only; may run in any thread. What is hidden, unreadable, broken or goes in circles is passed over.
    """
    return list(search(folders).models)


def search(folders: Iterable[Path]) -> Found:
    """As ``find``, together with what could not be searched."""
    roots = [os.path.abspath(folder) for folder in folders]
    others = cache_folders()
    caches: list[tuple[str, Source]] = [(form, source) for folder, source in others for form in _forms(folder)]
    walk = _Walk(frozenset(os.path.abspath(folder) for folder, _ in others))
    models = [
        (group[0].order, _model(group, split, caches), frozenset(file.inode for file in group))
        for folder in roots
        for group, split in _grouped(walk.files(folder))
    ]
    for folder in roots:
        if ollama.is_ollama(folder):
            walk.look_below(os.path.join(folder, "manifests"))
            models += [_ollama_model(file, len(models)) for file in ollama.files(folder)]
    # Complete ones first, then as the folders were given: of two names of the same bytes the better one stays.
    models.sort(key=lambda entry: (entry[1].missing > 0, entry[0]))
    seen = set[tuple[int, int]]()
    kept: list[ModelFile] = []
    for _, model, inodes in models:
        if not inodes <= seen:
            seen |= inodes
            kept.append(model)
    kept.sort(key=lambda model: (model.name.casefold(), model.repo.casefold(), os.fspath(model.path)))
    return Found(tuple(paired(kept)), tuple(walk.problems), tuple(walk.looked.items()))


class _Walk:
    """One search: what it has seen and how much it may still."""

    def __init__(self, caches: frozenset[str]) -> None:
        self.problems: list[str] = []
        self._caches = caches
        self.looked: dict[str, int] = {}
        self._folders = set[tuple[int, int]]()
        self._files = 0

    def files(self, root: str) -> Iterator[_File]:
        """GGUF files at or below ``root``."""
        try:
            status = os.stat(root)
        except FileNotFoundError:
            self.looked[root] = -1
            if root not in self._caches and not is_gguf(root):
                self.problems.append(f"{clean_line(root)}, where models are looked for, is not there.")
            return
        except (OSError, ValueError) as error:
            self.problems.append(_refused(root, error))
            return
        if stat.S_ISREG(status.st_mode):
            folder, name = os.path.split(root)
            if (file := self._file(root, name, folder, status)) is not None:
                yield file
            return
        pending = [(root, status, 0)] if stat.S_ISDIR(status.st_mode) else []
        is_deeper = False
        while pending:
            folder, status, depth = pending.pop()
            inode = (status.st_dev, status.st_ino)
            if inode in self._folders:
                continue
            if len(self._folders) >= MAX_FOLDERS or self._files >= MAX_FILES:
                self.problems.append(f"{clean_line(root)} holds too much to be searched to its end.")
                return
            self._folders.add(inode)
            self.looked[folder] = status.st_mtime_ns
            below: list[tuple[str, os.stat_result, int]] = []
            try:
                with os.scandir(folder) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                if depth == 0:
                    self.problems.append(_refused(root, error))
                continue
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                try:
                    if is_gguf(entry.name) and not entry.is_dir():
                        status = entry.stat()
                        if stat.S_ISREG(status.st_mode):
                            file = self._file(entry.path, entry.name, folder, status)
                            if file is not None:
                                yield file
                    elif entry.is_dir() and not _is_store(folder, entry.name):
                        if depth < MAX_DEPTH:
                            below.append((entry.path, entry.stat(), depth + 1))
                        else:
                            is_deeper = True
                except OSError:  # a broken or circular link, or gone meanwhile
                    continue
            pending.extend(reversed(below))
        if is_deeper and root not in self._caches:
            self.problems.append(f"{clean_line(root)} is searched {MAX_DEPTH} folders deep; some lie deeper.")

    def look_below(self, root: str) -> None:
        """Note the folders from ``root`` on, without looking for files."""
        for folder, below, _ in os.walk(root):
            self.looked[folder] = _changed_at(folder)
            if len(self.looked) > MAX_FOLDERS:
                below.clear()

    def _file(self, path: str, name: str, folder: str, status: os.stat_result) -> _File | None:
        if self._files >= MAX_FILES:
            return None
        self._files += 1
        return _File(
            path, name, folder, status.st_size, status.st_mtime_ns, (status.st_dev, status.st_ino), self._files
        )


def _grouped(files: Iterable[_File]) -> list[tuple[list[_File], SplitName | None]]:
    """Parts of one split file together, in order of their numbers, with the first's place; others alone."""
    groups: list[tuple[list[_File], SplitName | None]] = []
    parts: dict[tuple[str, str, int], list[tuple[int, _File, SplitName]]] = defaultdict(list)
    for file in files:
        split = parse_split(file.name)
        if split is None:
            groups.append(([file], None))
        else:
            parts[file.folder, split.stem, split.count].append((split.part, file, split))
    for some in parts.values():
        some.sort(key=lambda entry: entry[0])
        groups.append(([file for _, file, _ in some], some[0][2]))
    return groups


def _model(group: list[_File], split: SplitName | None, caches: list[tuple[str, Source]]) -> ModelFile:
    first = group[0]
    source, repo = _origin(first.path, caches)
    bare = split.stem if split else stem(first.name)
    parts = tuple(Path(file.path) for file in group)
    return ModelFile(
        path=parts[0],
        name=clean_line(bare, 200) or "(no name)",
        bytes=sum(file.bytes for file in group),
        mtime_ns=first.mtime_ns,
        quant=parse_quant(bare) or parse_quant(os.path.basename(first.folder)),
        source=source,
        repo=repo,
        parts=parts,
        missing=split.count - len(group) if split else 0,
        kind_hint=parse_kind(first.name),
    )


def _ollama_model(file: ollama.OllamaFile, order: int) -> tuple[int, ModelFile, frozenset[tuple[int, int]]]:
    model = ModelFile(
        path=file.path,
        name=file.name,
        bytes=file.bytes,
        mtime_ns=file.mtime_ns,
        quant=parse_quant(file.name),
        source="ollama",
        parts=(file.path,),
        kind_hint=file.kind,
        belongs_to=file.belongs_to,
    )
    return MAX_FILES + order, model, frozenset((file.inode,))


def _origin(path: str, caches: list[tuple[str, Source]]) -> tuple[Source, str]:
    """Whose cache a file lies in, and the repository it is from."""
    root, source = "", _ELSEWHERE
    for form, owner in caches:
        if path.startswith(form) and len(form) > len(root):
            root, source = form, owner
    folders = path[len(root) :].split(os.sep)[:-1]
    for folder in folders:
        if folder.startswith("models--"):
            return source, clean_line(folder.removeprefix("models--").replace("--", "/", 1), 200)
    return source, clean_line("/".join(folders[:2]), 200) if source == "lmstudio" and len(folders) > 1 else ""


def _is_store(folder: str, name: str) -> bool:
    """Whether it is where a cache keeps bytes by their hashes: many files, none with a name."""
    if name in ("blobs", "manifests") and ollama.is_ollama(folder):
        return True
    return name in ("blobs", "refs") and os.path.basename(folder).startswith(("models--", "datasets--", "spaces--"))


def _refused(folder: str, error: OSError | ValueError) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{clean_line(folder)} cannot be searched: {clean_line(reason)}."


def _forms(folder: Path) -> set[str]:
    """The beginnings that paths in a folder may have."""
    try:
        return {os.path.join(form, "") for form in (os.path.abspath(folder), os.path.realpath(folder))}
    except (OSError, ValueError):  # a name the file system cannot have
        return set()
