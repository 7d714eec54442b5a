"""Questions as people type them: one drawn from the corpus, then reworded, shortened, misspelt."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from dataclasses import dataclass

from offtui.guide.chat import plain
from offtui.guide.corpus import OFF_TOPIC, Language, Topic

VOWELS, CONSONANTS = "aeiou", "bcdfghjklmnprstvz"
NEIGHBOURS = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo", "j": "hk",
    "k": "jl", "l": "k", "m": "n", "n": "bm", "o": "ip", "p": "o", "q": "wa", "r": "et", "s": "ad", "t": "ry",
    "u": "yi", "v": "cb", "w": "qe", "x": "zc", "y": "tu", "z": "x",
}  # fmt: skip
"""Letters beside each other on a keyboard."""


@dataclass(frozen=True)
class Asked:
    """A question drawn for training."""

    text: str
    """In the plain form of `chat.plain`."""
    topic: Topic
    language: Language


class Questions:
    """An endless source of questions in one language; the same random generator gives the same questions."""

    def __init__(self, language: Language, rng: random.Random, off_topic_share: float = 0.14) -> None:
        self._language = language
        self._rng = rng
        self._off_topic_share = off_topic_share
        self._topics = [topic for topic in language.topics if topic.id != OFF_TOPIC]
        self._off_topic = next(topic for topic in language.topics if topic.id == OFF_TOPIC)
        known = {word for topic in self._topics for word in _words(topic)}
        self._foreign_words = sorted(set(_words(self._off_topic)) - known - language.stopwords)
        self._synonyms = {word: group for group in language.synonyms for word in group}

    def draw(self) -> Asked:
        """One question, its wording varied."""
        if self._rng.random() < self._off_topic_share:
            topic, question = self._off_topic, self._draw_off_topic()
        else:
            topic = self._rng.choice(self._topics)
            question = self._draw_from(topic)
        return Asked(self._vary(plain(question)), topic, self._language)

    def _draw_from(self, topic: Topic) -> str:
        """One of the topic's questions, or a frame around one of its phrases."""
        rng = self._rng
        weights = (len(topic.asks), 1.5 * len(topic.names), 1.5 * len(topic.acts))
        kind = rng.choices(("asks", "names", "acts"), weights)[0]
        if kind == "names":
            return rng.choice(self._language.what).format(x=rng.choice(topic.names))
        if kind == "acts":
            return rng.choice(self._language.how).format(x=rng.choice(topic.acts))
        return rng.choice(topic.asks)

    def _draw_off_topic(self) -> str:
        """A question about anything else: from the corpus, about a word the guide does not know, or a heap of words."""
        rng = self._rng
        kind = rng.random()
        if kind < 0.60:
            return self._draw_from(self._off_topic)
        if kind < 0.75:
            return rng.choice(self._language.what).format(x=rng.choice(self._foreign_words))
        if kind < 0.85:
            frame = rng.choice(self._language.what + self._language.how)
            return frame.format(x=_made_up_word(rng))
        if kind < 0.93:
            return f"{self._draw_from(self._off_topic)} {self._draw_from(self._off_topic)}"
        return " ".join(rng.choices(self._foreign_words, k=rng.choice((1, 2, 3, 5, 10, 40))))

    def _vary(self, question: str) -> str:
        """The question with some of the changes that real typing brings."""
        rng = self._rng
        changes: tuple[tuple[float, Callable[[str], str]], ...] = (
            (0.40, self._swap_synonyms),
            (0.15, self._wrap_politely),
            (0.20, self._drop_stopwords),
            (0.15, self._drop_words),
            (0.06, self._swap_words),
            (0.25, self._misspell),
            (0.08, lambda text: text + rng.choice((".", "...", ",", " :)", "."))),
        )
        for share, change in changes:
            if rng.random() < share:
                question = change(question) or question
        return plain(question)

    def _swap_synonyms(self, question: str) -> str:
        padded = f" {question} "
        for word, group in self._synonyms.items():
            if f" {word} " in padded and self._rng.random() < 0.6:
                padded = padded.replace(f" {word} ", f" {self._rng.choice(group)} ", 1)
        return padded.strip()

    def _wrap_politely(self, question: str) -> str:
        return self._rng.choice(self._language.polite).format(q=question)

    def _drop_stopwords(self, question: str) -> str:
        return " ".join(
            word for word in question.split() if word not in self._language.stopwords or self._rng.random() < 0.4
        )

    def _drop_words(self, question: str) -> str:
        words = question.split()
        return question if len(words) < 4 else " ".join(word for word in words if self._rng.random() > 0.15)

    def _swap_words(self, question: str) -> str:
        words = question.split()
        if len(words) > 2:
            at = self._rng.randrange(len(words) - 1)
            words[at], words[at + 1] = words[at + 1], words[at]
        return " ".join(words)

    def _misspell(self, question: str) -> str:
        words = question.split()
        long = [index for index, word in enumerate(words) if len(word) > 3]
        for index in self._rng.sample(long, min(len(long), self._rng.choice((1, 1, 2)))):
            words[index] = misspell(words[index], self._rng)
        return " ".join(words)


def misspell(word: str, rng: random.Random) -> str:
    """The word with one slip of the fingers: two letters swapped, one lost, doubled or hit beside its key."""
    at = rng.randrange(1, len(word) - 1)
    slip = rng.randrange(4)
    if slip == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if slip == 1:
        return word[:at] + word[at + 1 :]
    if slip == 2:
        return word[: at + 1] + word[at:]
    return word[:at] + rng.choice(NEIGHBOURS.get(word[at], word[at])) + word[at + 1 :]


def _words(topic: Topic) -> list[str]:
    text = plain(" ".join((*topic.asks, *topic.names, *topic.acts)))
    words = (word.strip(string.punctuation) for word in text.split())
    return [word for word in words if len(word) > 2 and word.isalpha()]


def _made_up_word(rng: random.Random) -> str:
    syllables = [rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(rng.randint(1, 4))]
    return "".join(syllables) + rng.choice((*CONSONANTS, "", ""))
