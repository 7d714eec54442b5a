"""What the transcript shows: plain frozen values, owned by whoever keeps the conversation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Role = Literal["user", "assistant", "notice", "error"]
EntryState = Literal["done", "streaming", "stopped", "broken", "failed"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing said, by somebody or by the app itself."""

    id: int
    """Chosen by the caller; unique in one transcript."""
    role: Role
    text: str
    """The source as it was written: Markdown for an answer, plain text for everything else."""
    reasoning: str = ""
    """What the model thought aloud before it answered."""
    stamp: str = ""
    """One line under the entry: model, layers, tokens, speed. For a failed answer, why it failed."""
    state: EntryState = "done"
    name: str = ""
    """Who speaks, shown above the text; ``"you"`` and ``"assistant"`` where it is left empty."""
    reasoning_tokens: int | None = None
    """Length of ``reasoning`` in tokens; ``None``: unknown, so words are counted instead."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """An entry that is made when it is looked at: of a long chat most never are."""

    id: int
    text: str
    """What it will say; only measured."""
    rows: int
    """That it will have besides its text and its name, roughly."""
    make: Callable[[], Entry]
