"""The corpus: topics with one answer each and the many questions that lead to it, in every language of the guide."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offtui.guide.chat import plain

CORPUS_FOLDER = Path(__file__).parent / "corpus"
LANGUAGES = ("en", "es")
OFF_TOPIC = "off_topic"


@dataclass(frozen=True)
class Topic:
    """One thing the guide can say."""

    id: str
    """The same in every language."""
    answer: str
    asks: tuple[str, ...]
    """Whole questions."""
    names: tuple[str, ...] = ()
    """Noun phrases for the frames that ask what something is."""
    acts: tuple[str, ...] = ()
    """Verb phrases for the frames that ask how to do something."""


@dataclass(frozen=True)
class Language:
    """The corpus in one language."""

    code: str
    topics: tuple[Topic, ...]
    """The last one is off_topic."""
    what: tuple[str, ...]
    """Frames around a noun phrase, with {x} in its place."""
    how: tuple[str, ...]
    """Frames around a verb phrase, with {x} in its place."""
    synonyms: tuple[tuple[str, ...], ...]
    """Groups of words that may stand for each other in a question."""
    stopwords: frozenset[str]
    """Words that people in a hurry leave out."""
    polite: tuple[str, ...]
    """Wrappings around a whole question, with {q} in its place."""

    def phrases(self) -> Iterator[str]:
        """Every piece of a question once: whole questions, names, acts, and the frames without them."""
        for topic in self.topics:
            yield from (*topic.asks, *topic.names, *topic.acts)
        for frame in (*self.what, *self.how):
            yield frame.format(x="")

    def questions(self) -> Iterator[tuple[str, str]]:
        """Every question of the corpus as (topic id, question), the frames filled in."""
        for topic in self.topics:
            for question in topic.asks:
                yield topic.id, question
            for frames, phrases in ((self.what, topic.names), (self.how, topic.acts)):
                for frame in frames:
                    for phrase in phrases:
                        yield topic.id, frame.format(x=phrase)


def load(code: str) -> Language:
    """The corpus in the language with this code.

    Raises:
        FileNotFoundError: where the corpus is not there, as in an installed wheel.
    """
    main = _read(CORPUS_FOLDER / f"{code}.toml")
    off_topic = _read(CORPUS_FOLDER / f"off_topic_{code}.toml")
    return Language(
        code=main["language"],
        topics=tuple(_topic(entry) for entry in [*main["topic"], off_topic]),
        what=tuple(main["frames"]["what"]),
        how=tuple(main["frames"]["how"]),
        synonyms=tuple(tuple(plain(word) for word in group) for group in main["wording"]["synonyms"]),
        stopwords=frozenset(main["wording"]["stopwords"]),
        polite=tuple(main["wording"]["polite"]),
    )


def load_all() -> tuple[Language, ...]:
    """The corpus in every language."""
    return tuple(load(code) for code in LANGUAGES)


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return tomllib.load(file)


def _topic(entry: dict[str, Any]) -> Topic:
    return Topic(
        id=entry["id"],
        answer=" ".join(str(entry["answer"]).split()),
        asks=tuple(entry["asks"]),
        names=tuple(entry.get("names", ())),
        acts=tuple(entry.get("acts", ())),
    )
