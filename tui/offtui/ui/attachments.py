"""Text files in a question: ``@path`` stands for the file's text, which goes along in a fence of its own."""

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from offtui.errors import UsageError
from offtui.text import clean, clean_line
from offtui.units import size_text

MAX_BYTES = 1024 * 1024
"""A longer file fits no context worth waiting for."""
MAX_NAMES = 200
"""Names looked through for completion."""

_REFERENCE = re.compile(r"""(?<!\S)@(?:"([^"\n]+)"|'([^'\n]+)'|((?:[^\s\\]|\\.)+))""")
_OPEN = re.compile(r"""(?<!\S)@(?:"([^"\n]*)|((?:[^\s\\"]|\\.)*))\Z""")
_FENCE = re.compile(r"^[`~]{3,}", re.MULTILINE)


@dataclass(frozen=True)
class Reference:
    """An ``@path`` in a text that names a file."""

    start: int
    end: int
    path: Path


@dataclass(frozen=True)
class Attachment:
    """A text file, read."""

    path: Path
    size: int
    """Bytes."""
    text: str

    @property
    def name(self) -> str:
        """As it is shown."""
        return clean_line(str(self.path), 200)


def references(text: str) -> list[Reference]:
    """The ``@path`` of a text that name something that is there; others are only words."""
    found: list[Reference] = []
    for match in _REFERENCE.finditer(text):
        typed = match.group(1) or match.group(2) or re.sub(r"\\(.)", r"\1", match.group(3))
        for name, cut in ((typed, 0), (typed.rstrip(".,;:!?)"), len(typed) - len(typed.rstrip(".,;:!?)")))):
            path = _path(name)
            if path is not None and os.path.exists(path):
                found.append(Reference(match.start(), match.end() - cut, path))
                break
    return found


def _path(typed: str) -> Path | None:
    if not typed or "\0" in typed:
        return None
    try:
        return Path(typed).expanduser()
    except RuntimeError:  # nobody knows that home folder
        return None


def read(path: Path) -> Attachment:
    """A text file, cleaned.

    Raises:
        UsageError: it is no file of text, too long, or cannot be read.
    """
    name = clean_line(str(path), 120)
    try:
        # Not a pipe or a device, which might never end: looked at before and, so that nobody swaps it, after opening.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"@{name} is a folder or a device, not a file of text.")
            if status.st_size > MAX_BYTES:
                raise UsageError(f"@{name} has {size_text(status.st_size)}; at most {size_text(MAX_BYTES)} go along.")
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"@{name} cannot be read: {clean_line(error.strerror or str(error))}.") from error
    if b"\0" in data:
        raise UsageError(f"@{name} is not text.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"@{name} is not UTF-8 text.") from error
    return Attachment(path, len(data), clean(text.replace("\r\n", "\n").replace("\r", "\n")))


def expanded(text: str, reader: Callable[[Path], Attachment] = read) -> str:
    """The question as the model gets it: the names stay where they are, the files' texts stand below.

    Raises:
        UsageError: a file cannot go along.
    """
    files = {reference.path: reader(reference.path) for reference in references(text)}
    if not files:
        return text
    return "\n\n".join([text.rstrip(), *map(_fenced, files.values())])


def _fenced(file: Attachment) -> str:
    longest = max((len(match.group()) for match in _FENCE.finditer(file.text)), default=0)
    fence = "`" * max(3, longest + 1)
    language = file.path.suffix[1:] if file.path.suffix[1:].isalnum() else ""
    ending = "" if file.text.endswith("\n") else "\n"
    return f"{file.name}:\n\n{fence}{language}\n{file.text}{ending}{fence}"


def path_candidates(text: str) -> tuple[int, list[str]]:
    """What the ``@path`` at the end of ``text`` may become: where it begins, and the whole words, folders first.

    Without one, or where nothing fits: no words.
    """
    match = _OPEN.search(text)
    if match is None:
        return len(text), []
    quoted = match.group(1)
    typed = re.sub(r"\\(.)", r"\1", match.group(2)) if quoted is None else quoted
    folder, _, begun = typed.rpartition("/")
    head = f"{folder}/" if folder or typed.startswith("/") else ""
    path = _path(head or ".")
    if path is None:
        return match.start(), []
    names: list[tuple[bool, str]] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith(begun) and (begun.startswith(".") or not entry.name.startswith(".")):
                    if clean_line(entry.name, 1000) == entry.name:
                        names.append((not _is_folder(entry), entry.name))
                    if len(names) >= MAX_NAMES:
                        break
    except OSError:
        return match.start(), []
    return match.start(), [_word(head + name, is_folder=not is_file) for is_file, name in sorted(names)]


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _word(path: str, *, is_folder: bool) -> str:
    """A path as it is typed: with a slash after a folder, in quotes where it has spaces."""
    path += "/" if is_folder else ""
    if not re.search(r"""[\s\\"']""", path):
        return f"@{path}"
    return f'@"{path}' if is_folder else f'@"{path}"'
