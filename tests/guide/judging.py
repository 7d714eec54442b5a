"""The held-out questions, and which topic's answer a text is nearest to."""

import json
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offtui import paths
from offtui.guide.corpus import LANGUAGES, load_all

HERE = Path(__file__).parent
HELD_OUT = ("held_out.toml", "held_out_second.toml")
UNTAUGHT = ("held_out_third.toml",)
"""On topics that the corpus has and the shipped file does not know yet: for its next training."""


@dataclass(frozen=True)
class Case:
    """A held-out conversation and what its last question is about."""

    language: str
    topic: str
    turns: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What the guide said."""

    case: Case
    text: str
    ended: bool
    language: str
    topic: str
    """Language and topic of the corpus answer that the text is nearest to."""

    @property
    def right(self) -> bool:
        return (self.language, self.topic) == (self.case.language, self.case.topic)


def held_out(*names: str) -> tuple[Case, ...]:
    """The cases of the files, by default of all: single questions by language and topic, then conversations."""
    return tuple(case for name in names or HELD_OUT for case in _read(HERE / name))


def _read(path: Path) -> tuple[Case, ...]:
    data = tomllib.loads(path.read_text("utf-8"))
    single = [
        Case(language, topic, (question,))
        for language in LANGUAGES
        for topic, questions in data[language].items()
        for question in questions
    ]
    longer = [Case(entry["language"], entry["topic"], tuple(entry["turns"])) for entry in data.get("conversation", [])]
    return (*single, *longer)


def ask_llama(
    conversations: list[list[str]], texts: list[str] | None = None, model: Path | None = None
) -> dict[str, Any]:
    """The greedy answers and the tokens that llama.cpp gives, from a process of its own."""
    done = subprocess.run(
        [sys.executable, str(HERE / "answer.py"), str(model or paths.guide_model())],
        input=json.dumps({"conversations": conversations, "texts": texts or []}),
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return json.loads(done.stdout)


def answers(cases: tuple[Case, ...], model: Path | None = None) -> tuple[Answer, ...]:
    """What the guide says to every case, judged."""
    replies = ask_llama([list(case.turns) for case in cases], model=model)["answers"]
    known = {(language.code, topic.id): topic.answer for language in load_all() for topic in language.topics}
    judged = []
    for case, reply in zip(cases, replies, strict=True):
        language, topic = max(known, key=lambda key, text=reply["text"]: likeness(text, known[key]))
        judged.append(Answer(case, reply["text"], reply["ended"], language, topic))
    return tuple(judged)


def likeness(one: str, other: str) -> float:
    """Share of words that two texts have in common, from 0 to 1."""
    left, right = Counter(one.split()), Counter(other.split())
    return 2 * (left & right).total() / max(1, left.total() + right.total())
