"""Telling what the model thinks from what it answers, in a stream. Pure."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from offtui.protocol.events import Channel


class Marks(NamedTuple):
    """How a family of models begins and ends its reasoning."""

    begin: str
    end: str


FAMILIES: tuple[Marks, ...] = (
    Marks("<think>", "</think>"),
    Marks("<thinking>", "</thinking>"),
    Marks("<reasoning>", "</reasoning>"),
    Marks("<seed:think>", "</seed:think>"),
    Marks("[THINK]", "[/THINK]"),
    Marks("<|START_THINKING|>", "<|END_THINKING|>"),
    Marks("<|channel|>analysis<|message|>", "<|start|>assistant<|channel|>final<|message|>"),
    Marks("<|channel>thought", "<channel|>"),
)
"""Qwen and DeepSeek; others by their own tags; Mistral; Cohere; gpt-oss's channels; Gemma's."""

SILENT: tuple[str, ...] = ("<|channel|>final<|message|>", "<|start|>assistant", "<|end|>")
"""Marks that are neither thought nor answer: dropped wherever they stand."""

SPECIAL: frozenset[str] = frozenset(
    {"<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|channel>", "<channel|>", "[THINK]", "[/THINK]"}
    | {mark for marks in FAMILIES for mark in marks}
)
"""Texts of control tokens that must reach the splitter; all other control tokens have no text."""


def partial_text(prompt: str, reasoning: str, content: str, has_token: Callable[[str], bool]) -> str:
    """What the model wrote behind ``prompt`` when its answer so far is this reasoning and this content.

    Args:
        prompt: as rendered, up to where the answer begins.
        reasoning: what it thought; it is left out where no family's marks are known to the vocabulary.
        content: what it answered.
        has_token: whether a text is one token of the vocabulary.
    """
    if not reasoning:
        return content
    tail = prompt.rstrip()
    for marks in FAMILIES:
        if tail.endswith(marks.begin):
            return f"{reasoning}{marks.end}\n\n{content}" if content else reasoning
    for marks in FAMILIES:
        if has_token(marks.begin):
            begun = f"{marks.begin}\n{reasoning}"
            return f"{begun}{marks.end}\n\n{content}" if content else begun
    return content


class SplitterState(msgspec.Struct, frozen=True):
    """Where a splitter stands in its stream."""

    held: str
    end: str | None
    may_begin: bool
    skip_space: bool


class ReasoningSplitter:
    """Cuts a stream of text into runs of reasoning and of answer, without the marks.

    Text that may be the beginning of a mark is held back until it is one or is not.
    The reasoning mark counts only at the beginning of the answer: later it is text like any other.
    """

    def __init__(self, prompt: str = "") -> None:
        """``prompt`` is the rendered prompt: many templates end it with an opened ``<think>``."""
        self._held = ""
        self._end: str | None = None
        self._may_begin = True
        self._skip_space = False
        tail = prompt.rstrip()
        for marks in FAMILIES:
            if tail.endswith(marks.begin):
                self._end = marks.end
                self._may_begin = False

    @property
    def state(self) -> SplitterState:
        """For ``restore`` in another splitter."""
        return SplitterState(self._held, self._end, self._may_begin, self._skip_space)

    def restore(self, state: SplitterState) -> None:
        """Go on where another one stood."""
        self._held, self._end = state.held, state.end
        self._may_begin, self._skip_space = state.may_begin, state.skip_space

    def feed(self, text: str) -> list[tuple[Channel, str]]:
        """The runs that ``text`` completes; may be empty."""
        self._held += text
        runs: list[tuple[Channel, str]] = []
        while self._held:
            mark = self._next_mark()
            if mark is None:
                break
            position, length, end = mark
            self._emit(runs, self._held[:position])
            self._held = self._held[position + length :]
            if end != self._end:
                self._end = end
                self._may_begin = False
            self._skip_space = True
        safe = len(self._held) - self._undecided()
        self._emit(runs, self._held[:safe])
        self._held = self._held[safe:]
        return runs

    def finish(self) -> list[tuple[Channel, str]]:
        """What was held back, at the end of the stream."""
        runs: list[tuple[Channel, str]] = []
        self._emit(runs, self._held)
        self._held = ""
        return runs

    def _marks(self) -> list[tuple[str, str | None]]:
        """Marks that count now, each with the end mark of the state it leads to (``None``: the answer)."""
        found: list[tuple[str, str | None]] = []
        if self._end is not None:
            found.append((self._end, None))
        elif self._may_begin:
            found += [(marks.begin, marks.end) for marks in FAMILIES]
        found += [(mark, self._end) for mark in SILENT if mark != self._end]
        return found

    def _next_mark(self) -> tuple[int, int, str | None] | None:
        """Position, length and following state of the first whole mark held."""
        best: tuple[int, int, str | None] | None = None
        for mark, end in self._marks():
            position = self._held.find(mark)
            if position < 0 or (end is not None and self._end is None and self._held[:position].strip()):
                continue
            if best is None or (position, -len(mark)) < (best[0], -best[1]):
                best = (position, len(mark), end)
        if best is not None and self._could_be_longer(best):
            return None
        return best

    def _could_be_longer(self, found: tuple[int, int, str | None]) -> bool:
        """Whether a longer mark may begin at or before the found one, and still be incomplete."""
        position, length, _ = found
        return any(
            len(mark) > length and mark.startswith(self._held[start:])
            for start in range(position + 1)
            for mark, _ in self._marks()
        )

    def _undecided(self) -> int:
        """Characters at the end that may be the beginning of a mark."""
        longest = 0
        for mark, end in self._marks():
            for size in range(min(len(mark), len(self._held)), longest, -1):
                before = self._held[: len(self._held) - size]
                if end is not None and self._end is None and before.strip():
                    continue
                if self._held.endswith(mark[:size]):
                    longest = size
                    break
        return longest

    def _emit(self, runs: list[tuple[Channel, str]], text: str) -> None:
        if self._skip_space:
            text = text.lstrip()
        if not text:
            return
        self._skip_space = False
        if self._end is None and text.strip():
            self._may_begin = False
        runs.append(("reasoning" if self._end is not None else "answer", text))
