"""Ollama's store: blobs named by their hashes, and manifests that give them names. Read where it lies, never copied."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from offtui.gguf.names import Kind
from offtui.text import clean_line

MAX_MANIFESTS = 5000
MAX_MANIFEST_BYTES = 1 << 20

_HOST, _LIBRARY = "registry.ollama.ai", "library"
"""Left out of names, as Ollama does."""
_KINDS: dict[str, Kind] = {
    "application/vnd.ollama.image.model": "model",
    "application/vnd.ollama.image.projector": "mmproj",
    "application/vnd.ollama.image.adapter": "lora",
}


class OllamaFile(msgspec.Struct, frozen=True):
    """One blob under one of its names."""

    path: Path
    name: str
    """As Ollama writes it, cleaned: ``llama3.2:3b``, ``hf.co/owner/repo:Q4_K_M``."""
    kind: Kind
    bytes: int
    mtime_ns: int
    inode: tuple[int, int]
    belongs_to: str = ""
    """Of a projector or adapter the name of its model."""


class _Layer(msgspec.Struct):
    mediaType: str = ""
    digest: str = ""


class _Manifest(msgspec.Struct):
    layers: list[_Layer] = []


def is_ollama(folder: str) -> bool:
    """Whether a folder is such a store."""
    return os.path.isdir(os.path.join(folder, "manifests")) and os.path.isdir(os.path.join(folder, "blobs"))


def files(folder: str) -> Iterator[OllamaFile]:
    """The models, projectors and adapters that the manifests name and that are there."""
    for path, name in _manifests(os.path.join(folder, "manifests")):
        manifest = _read(path)
        for layer in manifest.layers if manifest else ():
            kind = _KINDS.get(layer.mediaType)
            blob = _blob(folder, layer.digest) if kind else None
            if kind is None or blob is None:
                continue
            try:
                status = os.stat(blob)
            except OSError:  # removed, or on its way
                continue
            if stat.S_ISREG(status.st_mode):
                inode = (status.st_dev, status.st_ino)
                shown = name if kind == "model" else f"{name} {kind}"
                of = "" if kind == "model" else name
                yield OllamaFile(Path(blob), shown, kind, status.st_size, status.st_mtime_ns, inode, of)


def _manifests(root: str) -> Iterator[tuple[str, str]]:
    """Path and name of each: ``HOST/NAMESPACE/NAME/TAG`` below ``root``, some with more or fewer folders."""
    count = 0
    for folder, below, names in os.walk(root):
        below.sort()
        for name in sorted(names):
            if name.startswith(".") or (count := count + 1) > MAX_MANIFESTS:
                continue
            path = os.path.join(folder, name)
            parts = os.path.relpath(path, root).split(os.sep)
            if parts[0] == _HOST:
                parts = parts[1:]
                if parts[:1] == [_LIBRARY]:
                    parts = parts[1:]
            if len(parts) > 1:
                yield path, clean_line("/".join(parts[:-1]) + ":" + parts[-1], 200)


def _read(path: str) -> _Manifest | None:
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(MAX_MANIFEST_BYTES), type=_Manifest)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _blob(folder: str, digest: str) -> str | None:
    """Where a digest's bytes lie; ``None`` for what is no digest, as it must not name a path elsewhere."""
    kind, _, value = digest.partition(":")
    if kind != "sha256" or len(value) != 64 or not all(char in "0123456789abcdef" for char in value):
        return None
    return os.path.join(folder, "blobs", f"sha256-{value}")
