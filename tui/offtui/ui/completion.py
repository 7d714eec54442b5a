"""What Tab makes of the words before the cursor: commands, their arguments, ``@path``. Pure but for folders."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from offtui.ui.attachments import path_candidates
from offtui.ui.commands import BY_SLASH

Arguments = Mapping[str, Callable[[str], Sequence[str]]]
"""By the name of a command: what may follow it, given what is typed of it."""


@dataclass(frozen=True)
class Completion:
    """Words that may stand behind ``start``, and which of them does."""

    start: int
    words: tuple[str, ...]
    chosen: int | None = None
    """``None``: only what all have in common."""

    @property
    def text(self) -> str:
        """What stands there now."""
        return _common(self.words) if self.chosen is None else self.words[self.chosen]

    def turned(self, by: int) -> "Completion":
        """The next word, or the one before."""
        first = 0 if by > 0 else -1
        place = first if self.chosen is None else self.chosen + by
        return replace(self, chosen=place % len(self.words))


def completion(before: str, arguments: Arguments) -> Completion | None:
    """What the words ``before`` the cursor may become; ``None``: nothing else."""
    start, words = _candidates(before, arguments)
    words = [word for word in words if word != before[start:]]
    if not words:
        return None
    found = Completion(start, tuple(words), 0 if len(words) == 1 else None)
    return found if found.text != before[start:] else found.turned(1)


def _common(words: Sequence[str]) -> str:
    """What all of them begin with."""
    first, last = min(words), max(words)
    length = next((place for place, character in enumerate(first) if last[place : place + 1] != character), len(first))
    return first[:length]


def _candidates(before: str, arguments: Arguments) -> tuple[int, Sequence[str]]:
    if not before.startswith("/") or before.startswith("//") or "\n" in before:
        return path_candidates(before)
    name, space, argument = before[1:].partition(" ")
    if not space:
        found = [slash for slash in sorted(BY_SLASH) if slash.startswith(name.lower())]
        return 0, [f"/{slash} " if BY_SLASH[slash].argument else f"/{slash}" for slash in found]
    candidates = arguments.get(name.lower())
    start = len(name) + 2
    if candidates is None:
        return start, ()
    return start, [word for word in candidates(argument) if word.startswith(argument)]
