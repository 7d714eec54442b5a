"""What is being typed, weighed: its tokens, the files that would go along, and what is wrong with them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from offtui.errors import UsageError
from offtui.protocol.events import Tokenized
from offtui.ui.attachments import Attachment, Missing, missing, read, references, with_files
from offtui.ui.slash import is_slash

QUIET_SECONDS = 0.25
"""How long nobody types before the draft is weighed; and how seldom that happens at most."""
KEPT_FILES = 20
"""Files kept in memory."""
MAX_CHARACTERS = 4 * 1024 * 1024
"""A longer draft is not counted."""
PART = 64 * 1024
"""Characters that are counted at once: whatever else is asked of the worker waits as long."""


@dataclass(frozen=True)
class FileWeight:
    """A file of the draft."""

    name: str
    size: int
    """Bytes."""
    tokens: int | None
    """``None``: not counted yet."""


@dataclass(frozen=True)
class _File:
    attachment: Attachment
    mark: tuple[int, int]
    """When it was written, and its size."""
    parts: tuple[str, ...]


class Drafting:
    """Counts with the worker's own tokenizer, a little after the typing has stopped; one part after the other.

    What is typed and each file are counted apart, so that a file is not counted again with every word.
    """

    def __init__(
        self,
        later: Callable[[float, Callable[[], None]], object],
        count: Callable[[int, str], None],
        told: Callable[[], None],
    ) -> None:
        """Weigh nothing yet.

        Args:
            later: calls something after so many seconds.
            count: has the tokens of a text counted; ``hear`` is told, or nobody is there who could.
            told: something is known anew.
        """
        self._later, self._count, self._told = later, count, told
        self._text = ""
        self._waiting = self._stale = False
        self._number = 0
        self._asked: tuple[int, str] | None = None
        """The part that is being counted."""
        self._tokens: dict[str, int] = {}
        """By part."""
        self._read: dict[Path, _File] = {}
        self._typed: tuple[str, ...] = ()
        self._files: list[_File] = []
        self.problem = ""
        """Why a file cannot go along."""
        self.missing: list[Missing] = []
        """What is named after ``@`` and not there."""
        self._held = ""

    @property
    def is_held(self) -> bool:
        """What is typed was sent once, and names files that are not there."""
        return bool(self._held) and self._held == self._text

    def holds(self, text: str) -> bool:
        """Whether this is better not sent yet: it names files that are not there, and is sent for the first time."""
        if text == self._held:
            self._held = ""
            return False
        self.missing = [lost for lost in missing(text) if lost.is_path]
        self._text = text
        self._held = text if self.missing else ""
        return bool(self.missing)

    @property
    def tokens(self) -> int | None:
        """Of the whole draft, with its files; ``None``: not known, or there is none."""
        return self._sum(self._wanted()) if self._typed else None

    @property
    def files(self) -> list[FileWeight]:
        """What would go along."""
        weighed = [(file.attachment, self._sum(file.parts)) for file in self._files]
        return [FileWeight(file.name, file.size, tokens) for file, tokens in weighed]

    def changed(self, text: str) -> None:
        """This is typed now."""
        self._text = text
        if not text.strip() or is_slash(text):
            self._typed, self._files, self.problem, self.missing = (), [], "", []
            return
        if self._waiting:
            self._stale = True
            return
        self._waiting = True
        self._later(QUIET_SECONDS, self._weigh)

    def again(self) -> None:
        """Another model counts otherwise."""
        self._asked = None
        self._tokens.clear()
        self.changed(self._text)

    def hear(self, counted: Tokenized) -> None:
        """An answer."""
        if self._asked is not None and self._asked[0] == counted.number:
            self._tokens[self._asked[1]] = counted.tokens
            self._asked = None
            self._told()
            self._ask()

    def _weigh(self) -> None:
        self._waiting = False
        if self._stale:  # typed on meanwhile
            self._stale = False
            self.changed(self._text)
            return
        text = self._text
        if not text.strip() or is_slash(text):
            return
        before = self._files, self.problem, self.missing
        there = references(text)
        lost = missing(text, there)
        self.missing = lost if "\n" not in text else [word for word in lost if word.is_path]
        try:
            self._files, self.problem = [self._file(path) for path in dict.fromkeys(found.path for found in there)], ""
        except UsageError as error:
            self._files, self.problem = [], str(error)
        frame = with_files(text, [replace(file.attachment, text="") for file in self._files])
        self._typed = _parts(frame) if len(frame) <= MAX_CHARACTERS else ()
        wanted = set(self._wanted())
        self._tokens = {known: tokens for known, tokens in self._tokens.items() if known in wanted}
        self._ask()
        if before != (self._files, self.problem, self.missing):
            self._told()

    def _wanted(self) -> list[str]:
        return [*self._typed, *(part for file in self._files for part in file.parts)]

    def _sum(self, parts: Iterable[str]) -> int | None:
        total = 0
        for part in parts:
            if (tokens := self._tokens.get(part)) is None:
                return None
            total += tokens
        return total

    def _ask(self) -> None:
        """Have the next part counted, unless one is."""
        fresh = next((part for part in self._wanted() if part not in self._tokens), None)
        if fresh is not None and self._asked is None:
            self._number += 1
            self._asked = self._number, fresh
            self._count(self._number, fresh)

    def _file(self, path: Path) -> _File:
        """A file, read again only where it has changed."""
        try:
            status = path.stat()
            mark = (status.st_mtime_ns, status.st_size)
        except OSError:
            mark = (0, -1)
        known = self._read.get(path)
        if known is None or known.mark != mark:
            if len(self._read) >= KEPT_FILES:
                self._read.clear()
            file = read(path)
            known = self._read[path] = _File(file, mark, _parts(file.text))
        return known


def _parts(text: str) -> tuple[str, ...]:
    """A text cut behind ends of lines, where there are some."""
    parts: list[str] = []
    begin = 0
    while begin < len(text):
        end = begin + PART
        if end < len(text):
            end = text.rfind("\n", begin, end) + 1 or end
        parts.append(text[begin:end])
        begin = end
    return tuple(parts)
