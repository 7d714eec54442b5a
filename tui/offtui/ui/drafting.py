"""What is being typed, weighed: its tokens, the files that would go along, and what is wrong with them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from offtui.errors import UsageError
from offtui.protocol.events import Tokenized
from offtui.ui.attachments import Attachment, Missing, expanded, missing, read, references
from offtui.ui.slash import is_slash

QUIET_SECONDS = 0.25
"""How long nobody types before the draft is weighed; and how seldom that happens at most."""
KEPT_FILES = 20
"""Files kept in memory."""
MAX_CHARACTERS = 4 * 1024 * 1024
"""A longer draft is not counted."""


@dataclass(frozen=True)
class FileWeight:
    """A file of the draft."""

    name: str
    size: int
    """Bytes."""
    tokens: int | None
    """``None``: not counted yet."""


class Drafting:
    """Counts with the worker's own tokenizer, a little after the typing has stopped."""

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
        self._asked: dict[int, str] = {}
        self._tokens: dict[str, int] = {}
        self._read: dict[Path, tuple[tuple[int, int], Attachment]] = {}
        self._whole = ""
        self._files: list[Attachment] = []
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
        return self._tokens.get(self._whole) if self._whole else None

    @property
    def files(self) -> list[FileWeight]:
        """What would go along."""
        return [FileWeight(file.name, file.size, self._tokens.get(file.text)) for file in self._files]

    def changed(self, text: str) -> None:
        """This is typed now."""
        self._text = text
        if not text.strip() or is_slash(text):
            self._whole, self._files, self.problem, self.missing = "", [], "", []
            return
        if self._waiting:
            self._stale = True
            return
        self._waiting = True
        self._later(QUIET_SECONDS, self._weigh)

    def again(self) -> None:
        """Another model counts otherwise."""
        self._asked.clear()
        self._tokens.clear()
        self.changed(self._text)

    def hear(self, counted: Tokenized) -> None:
        """An answer."""
        text = self._asked.pop(counted.number, None)
        if text is not None:
            self._tokens[text] = counted.tokens
            self._told()

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
        self.missing = missing(text) if "\n" not in text else [lost for lost in missing(text) if lost.is_path]
        try:
            self._files = [self._file(path) for path in dict.fromkeys(found.path for found in references(text))]
            self._whole, self.problem = expanded(text, self._file), ""
        except UsageError as error:
            self._whole, self._files, self.problem = text, [], str(error)
        wanted = {self._whole, *(file.text for file in self._files)}
        self._tokens = {known: tokens for known, tokens in self._tokens.items() if known in wanted}
        for fresh in wanted - self._tokens.keys() - set(self._asked.values()):
            if len(fresh) <= MAX_CHARACTERS:
                self._number += 1
                self._asked[self._number] = fresh
                self._count(self._number, fresh)
        if before != (self._files, self.problem, self.missing):
            self._told()

    def _file(self, path: Path) -> Attachment:
        """A file, read again only where it has changed."""
        try:
            status = path.stat()
            mark = (status.st_mtime_ns, status.st_size)
        except OSError:
            return read(path)
        known = self._read.get(path)
        if known is None or known[0] != mark:
            if len(self._read) >= KEPT_FILES:
                self._read.clear()
            self._read[path] = mark, read(path)
        return self._read[path][1]
