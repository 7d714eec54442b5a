"""Which tokens of a new prompt already lie in the KV cache. Pure.

A conversation is rendered and tokenized as a whole at every turn, but text does not always tokenize to the tokens a
model generated. So besides the tokens themselves the cache remembers the text at the end of each answer: where the
new prompt begins with that text, and goes on with a control token, all tokens up to there are reused as they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Anchor:
    """The end of an answer: so many tokens of the cache, and ``tail``, are this text."""

    n_tokens: int
    text: str
    tail: tuple[int, ...] = ()
    """Tokens of the text that were sampled but not decoded: the last one of an answer that was cut short."""


def common_length(left: Sequence[int], right: Sequence[int]) -> int:
    """Tokens the two have in common at the beginning."""
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return min(len(left), len(right))


@dataclass(slots=True)
class CachedSequence:
    """The tokens in the KV cache, in order, and the anchors among them."""

    tokens: list[int] = field(default_factory=list[int])
    anchors: list[Anchor] = field(default_factory=list[Anchor])

    def plan(
        self,
        text: str,
        tokenize: Callable[[str], list[int]],
        tokenize_on: Callable[[str], list[int]],
        begins_with_control: Callable[[Sequence[int]], bool],
    ) -> tuple[list[int], int]:
        """The tokens of the prompt ``text`` and how many of them the cache holds already.

        Args:
            text: the rendered prompt.
            tokenize: tokens of a whole prompt, with its begin-of-sequence token.
            tokenize_on: tokens of text that follows other text.
            begins_with_control: whether tokens begin with a control token, before which text can be cut safely.
        """
        tokens = tokenize(text)
        reused = common_length(self.tokens, tokens)
        for anchor in reversed(self.anchors):
            if anchor.n_tokens <= reused:
                break
            if not text.startswith(anchor.text):
                continue
            rest = tokenize_on(text[len(anchor.text) :])
            if not rest:
                return [*self.tokens[: anchor.n_tokens], *anchor.tail], anchor.n_tokens
            if begins_with_control(rest):
                return [*self.tokens[: anchor.n_tokens], *anchor.tail, *rest], anchor.n_tokens
        return tokens, reused

    def common(self, tokens: Sequence[int]) -> int:
        """How many tokens these and the cache have in common at the beginning."""
        return common_length(self.tokens, tokens)

    def truncate(self, n_tokens: int) -> None:
        """Forget all tokens behind the first ``n_tokens``."""
        del self.tokens[n_tokens:]
        while self.anchors and self.anchors[-1].n_tokens > n_tokens:
            self.anchors.pop()

    def anchor(self, text: str, tail: tuple[int, ...] = ()) -> None:
        """Remember that the tokens so far and ``tail`` are ``text``."""
        self.anchors.append(Anchor(len(self.tokens), text, tail))
