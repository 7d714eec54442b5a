"""Where other programs keep the models they fetched: found by their own rules, without importing them."""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, Protocol

Source = Literal["folder", "huggingface", "lmstudio", "llama.cpp", "ollama"]

_OLLAMA_SERVICE = Path("/usr/share/ollama/.ollama/models")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


class HasModelFolders(Protocol):
    """Anything with the folders a user configured; ``Config`` is."""

    @property
    def models(self) -> Iterable[str]:
        """Folders, ``~`` and variables allowed."""
        ...


def default_folders(
    config: HasModelFolders, environ: Mapping[str, str] | None = None, home: Path | None = None
) -> list[Path]:
    """Where to look for models: the configured folders, then the caches of other programs; existing or not, each once.

    Args:
        config: the settings.
        environ: environment variables; this process's without it.
        home: the user's folder; the real one without it.
    """
    variables = os.environ if environ is None else environ
    home = _home() if home is None else home
    folders = [_expanded(folder, variables, home) for folder in config.models]
    folders.extend(folder for folder, _ in cache_folders(variables, home))
    return list(dict.fromkeys(folders))


def cache_folders(environ: Mapping[str, str] | None = None, home: Path | None = None) -> list[tuple[Path, Source]]:
    """The caches of Hugging Face, LM Studio, llama.cpp and Ollama, existing or not, each once."""
    variables = os.environ if environ is None else environ
    home = _home() if home is None else home
    found: dict[Path, Source] = {huggingface_folder(variables, home): "huggingface"}
    for folder in lmstudio_folders(home):
        found.setdefault(folder, "lmstudio")
    found.setdefault(llama_cpp_folder(variables, home), "llama.cpp")
    for folder in ollama_folders(variables, home):
        found.setdefault(folder, "ollama")
    return list(found.items())


def huggingface_folder(environ: Mapping[str, str], home: Path) -> Path:
    """``HF_HUB_CACHE``, else ``hub`` in ``HF_HOME``, else in the XDG cache; as huggingface_hub decides."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if value := environ.get(name):
            return _expanded(value, environ, home)
    if value := environ.get("HF_HOME"):
        return _expanded(value, environ, home) / "hub"
    return _expanded(environ.get("XDG_CACHE_HOME") or "~/.cache", environ, home) / "huggingface/hub"


def llama_cpp_folder(environ: Mapping[str, str], home: Path) -> Path:
    """``LLAMA_CACHE``, else ``llama.cpp`` in the user's cache."""
    if value := environ.get("LLAMA_CACHE"):
        return Path(value)
    if sys.platform == "darwin":
        return home / "Library/Caches/llama.cpp"
    return _expanded(environ.get("XDG_CACHE_HOME") or "~/.cache", environ, home) / "llama.cpp"


def ollama_folders(environ: Mapping[str, str], home: Path) -> list[Path]:
    """``OLLAMA_MODELS``, else Ollama's folder of this user; and that of its system service, where there is one."""
    own = environ.get("OLLAMA_MODELS")
    folders = [_expanded(own, environ, home) if own else home / ".ollama/models"]
    if sys.platform == "linux":
        folders.append(_OLLAMA_SERVICE)
    return list(dict.fromkeys(folders))


def lmstudio_folders(home: Path) -> list[Path]:
    """LM Studio's folder of downloads as its settings name it, and its present and former defaults."""
    roots = [home / ".lmstudio", home / ".cache/lm-studio"]
    pointer = _read(home / ".lmstudio-home-pointer")
    if pointer is not None and Path(pointer.strip()).is_absolute():
        roots.insert(0, Path(pointer.strip()))
    folders: list[Path] = []
    for root in roots:
        if (chosen := _downloads_folder(root / "settings.json", home)) is not None:
            folders.append(chosen)
        folders.append(root / "models")
    return list(dict.fromkeys(folders))


def _downloads_folder(settings: Path, home: Path) -> Path | None:
    try:
        value: object = json.loads(_read(settings) or "null")
    except (ValueError, RecursionError):
        return None
    folder: object = value.get("downloadsFolder") if isinstance(value, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] -- JSON
    if not isinstance(folder, str) or "\0" in folder:
        return None
    path = _expanded(folder, {}, home)
    return path if path.is_absolute() else None


def _read(file: Path) -> str | None:
    """A small text file of another program; ``None`` where it cannot be read."""
    try:
        if not file.is_file():
            return None
        with file.open(encoding="utf-8") as text:
            return text.read(1_000_000)
    except (OSError, ValueError):
        return None


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a container's user without a name or a home
        return Path("/nonexistent")


def _expanded(path: str, environ: Mapping[str, str], home: Path) -> Path:
    """``~``, ``$NAME`` and ``${NAME}`` replaced; what is not set stays as it is written."""
    path = _VARIABLE.sub(lambda match: environ.get(match[1] or match[2], match[0]), path)
    if path == "~" or path.startswith("~/"):
        path = str(home) + path[1:]
    return Path(path)
