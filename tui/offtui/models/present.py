"""Which of the files that a repository offers are on this disk already, and where."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from offtui.gguf.caches import huggingface_folder, llama_cpp_folder, lmstudio_folders
from offtui.hub.names import Offer
from offtui.hub.wire import RemoteFile
from offtui.store.catalogue import Catalogue
from offtui.store.measurements import FileId


def on_disk(repo: str, found: Sequence[Offer], catalogue: Catalogue) -> dict[str, tuple[str, ...]]:
    """By the offer's name the paths of its files, where all of them are here.

    A file counts that lies where Hugging Face's, LM Studio's or llama.cpp's cache puts this one, with its size; or, in
    any folder, one that is as it was when its SHA-256 was recorded. A name alone says little: many repositories have
    other files under the same one.
    """
    places = _Places(repo, catalogue.hashed())
    present: dict[str, tuple[str, ...]] = {}
    for offer in found:
        paths = tuple(path for file in offer.files if (path := places.of(file)))
        # parts are found by llama.cpp where the first is
        if len(paths) == len(offer.files) and not offer.missing and len({os.path.dirname(path) for path in paths}) == 1:
            present[offer.name] = paths
    return present


class _Places:
    """Where files of a repository may lie."""

    def __init__(self, repo: str, recorded: Mapping[str, Sequence[FileId]]) -> None:
        home = Path(os.path.expanduser("~"))
        self._recorded = recorded
        self._cache = huggingface_folder(os.environ, home) / f"models--{repo.replace('/', '--')}"
        self._beside = [root / repo for root in lmstudio_folders(home)]
        self._flat = str(llama_cpp_folder(os.environ, home) / f"{repo.replace('/', '_')}_")
        self._commits = _names(self._cache / "snapshots")
        self._blobs = frozenset(_names(self._cache / "blobs"))

    def of(self, file: RemoteFile) -> str:
        """Where it is; ``""``: not here."""
        for path in self._likely(file):
            known = FileId.of(path)
            if known is not None and known.size == file.bytes:
                return path
        for known in self._recorded.get(file.sha256, ()) if file.sha256 else ():
            if known.size == file.bytes and FileId.of(known.path) == known:
                return known.path
        return ""

    def _likely(self, file: RemoteFile) -> Iterator[str]:
        if file.etag in self._blobs:
            for commit in self._commits:
                link = self._cache / "snapshots" / commit / file.name
                if os.path.basename(os.path.realpath(link)) == file.etag:
                    yield str(link)
        yield from (str(root / file.name) for root in self._beside)
        yield self._flat + file.name.rpartition("/")[2]


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
