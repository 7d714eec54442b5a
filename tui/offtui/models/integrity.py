"""Whether a model file is still the one whose SHA-256 was recorded. Hashing is done in a quiet process of its own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from offtui.gguf.names import parse_split
from offtui.store.catalogue import Catalogue
from offtui.store.measurements import FileId
from offtui.text import clean_line
from offtui.units import size_text

_HASH = re.compile(r"(?:sha256-)?([0-9a-f]{64})")


class Integrity:
    """Records hashes once, and notices files that have changed since. For one thread."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._waiting: list[FileId] = []
        self._running: tuple[FileId, subprocess.Popen[bytes], IO[bytes]] | None = None
        self._is_quiet = True

    @property
    def is_quiet(self) -> bool:
        """Whether nobody waits for an answer: then hashing disturbs nobody."""
        return self._is_quiet

    @is_quiet.setter
    def is_quiet(self, quiet: bool) -> None:
        if quiet != self._is_quiet and self._running is not None:
            # llama.cpp reads all of the memory it can: what hashes holds still meanwhile
            self._running[1].send_signal(signal.SIGCONT if quiet else signal.SIGSTOP)
        self._is_quiet = quiet

    def close(self) -> None:
        """End the process that hashes."""
        if self._running is not None:
            _, process, out = self._running
            self._running = None
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
            out.close()

    def check(self, path: Path) -> str:
        """What there is to say before the file is loaded; ``""`` where it is as it was, or was never recorded."""
        return next((notice for part in parts_of(path) if (notice := self._check(part))), "")

    def _check(self, path: Path) -> str:
        changed = _changed(self._catalogue, path)
        if changed is None:
            return ""
        was, now = changed
        if was.size != now.size:
            self.forget(path)
            return f"{_sentence(path, was, now)}."
        if now not in self._waiting:
            self._waiting.insert(0, now)
        return f"{_sentence(path, was, now)}; it is being compared."

    def loaded(self, path: Path) -> None:
        """The file is in use: record its hash, from its name where a cache names it so, else soon."""
        for part in parts_of(path):
            self._record(part)

    def _record(self, path: Path) -> None:
        file = FileId.of(str(path))
        if file is None or self._catalogue.hash(str(path)) is not None:
            return
        named = named_hash(path)
        if named:
            self._catalogue.keep_hash(file, named)
        elif file not in self._waiting:
            self._waiting.append(file)

    def forget(self, path: Path) -> None:
        """Take the file as it is now; its hash is recorded anew."""
        file = FileId.of(str(path))
        if file is not None and file not in self._waiting:
            self._waiting.append(file)

    def step(self) -> str:
        """Go on with what is to be hashed; a sentence where a file turned out changed."""
        if self._running is None:
            if self._waiting and self.is_quiet:
                self._begin(self._waiting.pop(0))
            return ""
        file, process, out = self._running
        status = process.poll()
        if status is None:
            return ""
        self._running = None
        out.seek(0)
        found = out.read().decode("ascii", "replace").strip()
        out.close()
        if status != 0 or FileId.of(file.path) != file or not _HASH.fullmatch(found):
            return ""
        before = self._catalogue.hash(file.path)
        self._catalogue.keep_hash(file, found)
        if before is None or before.sha256 == found or before.file.size != file.size:
            return ""
        return f"{clean_line(Path(file.path).name, 120)} has changed: its SHA-256 is no longer the one recorded."

    def _begin(self, file: FileId) -> None:
        out = tempfile.TemporaryFile()  # noqa: SIM115 -- open until the process has written to it
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "offtui.models.sha256", file.path],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:  # no process to be had now
            out.close()
            return
        self._running = (file, process, out)


def difference(catalogue: Catalogue, path: Path) -> str:
    """How a file differs from the one that was recorded, seen from outside; a sentence without its stop, or ``""``."""
    changed = _changed(catalogue, path)
    return _sentence(path, *changed) if changed else ""


def _changed(catalogue: Catalogue, path: Path) -> tuple[FileId, FileId] | None:
    """The file as it was recorded and as it is now, where the two differ."""
    recorded, now = catalogue.hash(str(path)), FileId.of(str(path))
    if recorded is None or now is None or recorded.file == now:
        return None
    return recorded.file, now


def _sentence(path: Path, was: FileId, now: FileId) -> str:
    name = clean_line(path.name, 120)
    if was.size == now.size:
        return f"{name} was written to since its SHA-256 was recorded"
    sizes = f"it had {size_text(was.size)} and has {size_text(now.size)}"
    return f"{name} is not the file whose SHA-256 was recorded: {sizes}"


def parts_of(path: Path) -> list[Path]:
    """The file, or all parts of the split model whose first it is."""
    split = parse_split(path.name)
    if split is None:
        return [path]
    numbers = range(1, split.count + 1)
    return [path.with_name(f"{split.stem}-{number:05d}-of-{split.count:05d}.gguf") for number in numbers]


def named_hash(path: Path) -> str:
    """The SHA-256 by which Hugging Face's cache or Ollama names the bytes of a file; ``""`` elsewhere."""
    try:
        name = os.path.basename(os.path.realpath(path))
    except OSError:
        return ""
    match = _HASH.fullmatch(name)
    return match[1] if match else ""
