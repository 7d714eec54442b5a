"""Text files in a question: ``@path`` stands for the file's text, which goes along in a fence of its own."""

import difflib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from offtui.errors import UsageError
from offtui.text import clean, clean_line
from offtui.units import size_text

MAX_BYTES = 1024 * 1024
"""A longer file fits no context worth waiting for."""
MAX_NAMES = 200
"""Names looked through for completion."""
MAX_HINTS = 3
"""Names that something like them is looked for."""

_REFERENCE = re.compile(r"""(?<!\S)@(?:"([^"\n]+)"|'([^'\n]+)'|((?:[^\s\\]|\\.)+))""")
_OPEN = re.compile(r"""(?<!\S)@(?:"([^"\n]*)|((?:[^\s\\"]|\\.)*))\Z""")
_FENCE = re.compile(r"^[`~]{3,}", re.MULTILINE)
_CODE = re.compile(r"^```.*?(?:^```|\Z)|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_AFTER = ".,;:!?)"
"""What may follow a name in a sentence."""
_SUFFIXES = re.compile(
    r"bash|c|cc|cfg|cmake|conf|cpp|cs|css|csv|diff|env|gbnf|go|hp?p?|html?|ini|java|jinja|jsx?|jsonl?|kt|log|lua|md|mk|ml|"
    r"patch|php|pl|proto|pyi?|r|rb|rs|rst|scala|scss|sh|sql|svelte|swift|tex|toml|tsx?|tsv|txt|vue|xml|ya?ml|zig|zsh",
    re.IGNORECASE,
)
"""Of names that nobody gives to anything but a file of text."""


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


@dataclass(frozen=True)
class Missing:
    """An ``@word`` in a text that names nothing that is there."""

    name: str
    is_path: bool
    """It is written like the path of a file, and like nothing else: no mention, decorator or package."""
    instead: str = ""
    """A name much like it that is there; empty: none."""


def references(text: str) -> list[Reference]:
    """The ``@path`` of a text that name something that is there; others are only words."""
    found: list[Reference] = []
    there: dict[str, Path | None] = {}
    for match, typed in _words_after_at(text):
        for name in (typed, typed.rstrip(_AFTER)):
            if name not in there:
                path = _path(name)
                there[name] = path if path is not None and os.path.exists(path) else None
            if (path := there[name]) is not None:
                found.append(Reference(match.start(), match.end() - len(typed) + len(name), path))
                break
    return found


def missing(text: str, there: Iterable[Reference] | None = None) -> list[Missing]:
    """The ``@words`` of a text, outside of code, that name nothing that is there.

    Args:
        text: what is typed.
        there: its ``references``, where they are known.
    """
    starts = {reference.start for reference in (references(text) if there is None else there)}
    code = _CODE.finditer(text)
    span = next(code, None)
    found: dict[str, Missing] = {}
    for match, typed in _words_after_at(text):
        while span is not None and span.end() <= match.start():
            span = next(code, None)
        name = typed.rstrip(_AFTER)
        inside = span is not None and span.start() <= match.start()
        if name in found or match.start() in starts or inside or not re.fullmatch(r"[\w./~+ -]*\w", name):
            continue
        is_path = _is_path(name)
        instead = _much_like(name) if is_path and len(found) < MAX_HINTS else ""
        found[name] = Missing(clean_line(name, 80), is_path, instead)
    return list(found.values())


def _words_after_at(text: str) -> Iterator[tuple[re.Match[str], str]]:
    for match in _REFERENCE.finditer(text):
        yield match, match.group(1) or match.group(2) or re.sub(r"\\(.)", r"\1", match.group(3))


def _is_path(name: str) -> bool:
    folder, _, last = name.rpartition("/")
    stem, dot, suffix = last.rpartition(".")
    if name.startswith(("/", "./", "../", "~/")) or (stem and dot and _SUFFIXES.fullmatch(suffix)):
        return True
    first = _path(folder.partition("/")[0])
    return bool(folder) and first is not None and os.path.isdir(first)


def _much_like(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    try:
        with os.scandir(_path(folder or "/" if slash else ".") or ".") as entries:
            names = [entry.name for entry, _ in zip(entries, range(MAX_NAMES), strict=False)]
    except OSError:
        return ""
    like = difflib.get_close_matches(last, [name for name in names if clean_line(name, 1000) == name], 1, 0.75)
    return f"{folder}{slash}{like[0]}" if like else ""


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
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UsageError(f"@{name} is a folder or a device, not a file of text.")
            if status.st_size > MAX_BYTES:
                raise UsageError(f"@{name} has {size_text(status.st_size)}; at most {size_text(MAX_BYTES)} go along.")
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(MAX_BYTES + 1)
        finally:
            os.close(descriptor)
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
    return with_files(text, [reader(path) for path in dict.fromkeys(found.path for found in references(text))])


def with_files(text: str, files: Sequence[Attachment]) -> str:
    """A text with the texts of some files below it."""
    return "\n\n".join([text.rstrip(), *map(_fenced, files)]) if files else text


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
