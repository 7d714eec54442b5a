"""Training data: the guide's tokenizer, and endless batches of conversations drawn from the corpus."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from offtui.guide.augment import Asked, Questions
from offtui.guide.chat import ASSISTANT, END, PAD, SPECIAL_TOKENS, USER, plain
from offtui.guide.corpus import Language

OPENING_WEIGHT = 60
"""How often an answer's first word counts for the vocabulary: enough to become a token of its own."""
IGNORED = -100
"""A target that counts for nothing."""


def train_tokenizer(languages: tuple[Language, ...], size: int) -> Tokenizer:
    """A byte-level BPE vocabulary of this size, cut into words as GPT-2 does (`tokenizer.ggml.pre = gpt-2`)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_tokenizer_texts(languages), trainer)
    return tokenizer


def _tokenizer_texts(languages: tuple[Language, ...]) -> Iterator[str]:
    for language in languages:
        for topic in language.topics:
            for phrase in (*topic.asks, *topic.names, *topic.acts):
                yield f" {plain(phrase)}"
            for _ in range(2):
                yield topic.answer
            for _ in range(OPENING_WEIGHT):
                yield topic.answer.split()[0]
        for frame in (*language.what, *language.how):
            for _ in range(4):
                yield f" {plain(frame.replace('{x}', ' '))}"


@dataclass(frozen=True)
class Batch:
    """Conversations side by side, each tensor [batch, time], padded at the end."""

    tokens: Tensor
    positions: Tensor
    targets: Tensor
    """The next token where it belongs to an answer, otherwise `IGNORED`."""
    openings: Tensor
    """The first token of the answer at the last token before it, otherwise `IGNORED`: it names the topic."""


@dataclass
class _Row:
    tokens: list[int]
    positions: list[int]
    targets: list[int]
    openings: list[int]


class Conversations:
    """Draws batches of three kinds: short ones, whole single turns, and long conversations."""

    def __init__(self, languages: tuple[Language, ...], tokenizer: Tokenizer, rng: random.Random) -> None:
        self._rng = rng
        self._tokenizer = tokenizer
        self._sources = [Questions(language, rng) for language in languages]
        self._user, self._assistant, self._end, self._pad = (
            tokenizer.token_to_id(token) for token in (USER, ASSISTANT, END, PAD)
        )
        self._answers = {
            (language.code, topic.id): [*tokenizer.encode(topic.answer).ids, self._end]
            for language in languages
            for topic in language.topics
        }
        self._short_batches: list[list[_Row]] = []
        self._ambiguous = _shared_questions(languages)

    def short(self, rows: int, answer_tokens: int = 6) -> Batch:
        """Single turns with the beginning of the answer only: many questions for little work.

        Questions of about the same length share a batch, so that little of it is padding.
        """
        if not self._short_batches:
            pool = sorted(
                (self._conversation(1, answer_tokens) for _ in range(8 * rows)), key=lambda row: len(row.tokens)
            )
            self._short_batches = [pool[start : start + rows] for start in range(0, len(pool), rows)]
            self._rng.shuffle(self._short_batches)
        return self._batch(self._short_batches.pop())

    def whole(self, rows: int) -> Batch:
        """Single turns with their whole answers."""
        return self._batch([self._conversation(1) for _ in range(rows)])

    def long(self, rows: int, length: int) -> Batch:
        """Conversations of many turns, this many tokens long; some answers are cut short, as by Esc."""
        return self._batch([self._conversation(length, cut_share=0.6, length=length) for _ in range(rows)])

    def _conversation(
        self, turns: int, answer_tokens: int | None = None, cut_share: float = 0.0, length: int | None = None
    ) -> _Row:
        rng = self._rng
        row = _Row([], [], [], [])
        source = rng.choice(self._sources)
        continued = False
        for _ in range(turns):
            if rng.random() < 0.12:
                source, continued = rng.choice(self._sources), False
            asked = self._draw(source, continued)
            cut = answer_tokens
            if rng.random() < cut_share:
                cut = rng.randint(1, 25)
            self._append(row, asked, cut)
            continued = True
            if length and len(row.tokens) >= length:
                break
        return _Row(row.tokens[:length], row.positions[:length], row.targets[:length], row.openings[:length])

    def _draw(self, source: Questions, continued: bool) -> Asked:
        """A question; one that reads the same in two languages only where the conversation tells them apart."""
        while True:
            asked = source.draw()
            if continued or asked.language.code == "en" or asked.text not in self._ambiguous:
                return asked

    def _append(self, row: _Row, asked: Asked, cut: int | None) -> None:
        """Add one turn; an answer that is cut is closed by the end token, which is not learnt there."""
        answer = self._answers[asked.language.code, asked.topic.id]
        question = [self._user, *self._encode_question(asked.text), self._assistant]
        shown = answer if cut is None or cut >= len(answer) else [*answer[:cut], self._end]
        learnt = answer[: len(shown)]
        if len(shown) < len(answer):
            learnt[-1] = IGNORED
        tokens = [*question, *shown]
        start = row.positions[-1] + 1 if row.positions else 0
        if start and self._rng.random() < 0.15:
            start = min(start + self._rng.randint(1, 250), 2000)
        row.positions.extend(range(start, start + len(tokens)))
        row.tokens.extend(tokens)
        row.targets.extend([*[IGNORED] * (len(question) - 1), *learnt, IGNORED])
        row.openings.extend([*[IGNORED] * (len(question) - 1), answer[0], *[IGNORED] * len(shown)])

    def _encode_question(self, text: str) -> list[int]:
        """The tokens of a question; now and then one word is cut in two, so that rare spellings are met as well."""
        whole = f" {text}"
        if self._rng.random() < 0.15 and len(text) > 3:
            at = self._rng.randrange(2, len(whole) - 1)
            if whole[at - 1] != " " and whole[at] != " ":
                return [*self._tokenizer.encode(whole[:at]).ids, *self._tokenizer.encode(whole[at:]).ids]
        return list(self._tokenizer.encode(whole).ids)

    def _batch(self, rows: list[_Row]) -> Batch:
        length = max(len(row.tokens) for row in rows)

        def stack(lists: Iterator[list[int]], filler: int) -> Tensor:
            return torch.tensor([[*values, *[filler] * (length - len(values))] for values in lists])

        return Batch(
            stack((row.tokens for row in rows), self._pad),
            stack((row.positions for row in rows), 0),
            stack((row.targets for row in rows), IGNORED),
            stack((row.openings for row in rows), IGNORED),
        )


def _shared_questions(languages: tuple[Language, ...]) -> frozenset[str]:
    """Questions that read the same in more than one language, such as a bare name."""
    seen = [{plain(question) for _, question in language.questions()} for language in languages]
    return frozenset(text for index, texts in enumerate(seen) for text in texts if any(text in o for o in seen[:index]))
