from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from offtui.worker.prefix import CachedSequence, common_length

CONTROL = ord("|")


def tokenize(text: str) -> list[int]:
    """Pairs of letters become one token, so that text can be tokenized in several ways."""
    tokens: list[int] = []
    while text:
        if len(text) > 1 and text[0] == text[1] != "|":
            tokens.append(1000 + ord(text[0]))
            text = text[2:]
        else:
            tokens.append(ord(text[0]))
            text = text[1:]
    return tokens


def begins_with_control(tokens: Sequence[int]) -> bool:
    return bool(tokens) and tokens[0] == CONTROL


def plan(cache: CachedSequence, text: str) -> tuple[list[int], int]:
    return cache.plan(text, tokenize, tokenize, begins_with_control)


def test_the_common_beginning_is_reused() -> None:
    cache = CachedSequence(tokenize("|abc"))
    assert plan(cache, "|abd") == (tokenize("|abd"), 3)


def test_an_answer_is_reused_as_it_was_generated_not_as_it_tokenizes() -> None:
    cache = CachedSequence([*tokenize("|q|"), ord("a"), ord("a")])
    cache.anchor("|q|aa")
    tokens, reused = plan(cache, "|q|aa|next|")
    assert reused == 5
    assert tokens == [*cache.tokens, *tokenize("|next|")]


def test_a_last_token_that_was_not_decoded_is_evaluated_with_the_next_prompt() -> None:
    cache = CachedSequence([*tokenize("|q|"), ord("a")])
    cache.anchor("|q|aa", tail=(ord("a"),))
    tokens, reused = plan(cache, "|q|aa|next|")
    assert reused == 4
    assert tokens == [*cache.tokens, ord("a"), *tokenize("|next|")]


def test_an_edited_question_falls_back_to_the_common_beginning() -> None:
    cache = CachedSequence([*tokenize("|q|"), ord("a"), ord("a")])
    cache.anchor("|q|aa")
    tokens, reused = plan(cache, "|p|aa|next|")
    assert (tokens, reused) == (tokenize("|p|aa|next|"), 1)


def test_text_that_goes_on_without_a_control_token_is_tokenized_as_a_whole() -> None:
    cache = CachedSequence([*tokenize("|q|"), ord("a"), ord("a")])
    cache.anchor("|q|aa")
    assert plan(cache, "|q|aaa")[0] == tokenize("|q|aaa")


def test_truncating_forgets_the_anchors_behind() -> None:
    cache = CachedSequence(tokenize("|q|ab"))
    cache.anchor("|q|ab")
    cache.truncate(3)
    assert cache.anchors == []


@given(st.lists(st.integers(0, 3)), st.lists(st.integers(0, 3)))
def test_common_length_is_the_longest_shared_beginning(left: list[int], right: list[int]) -> None:
    n = common_length(left, right)
    assert left[:n] == right[:n]
    assert n == min(len(left), len(right)) or left[n] != right[n]


def test_an_answer_that_was_cut_short_goes_on_with_its_own_tokens() -> None:
    cache = CachedSequence([*tokenize("|q|"), 900, 901])
    cache.anchor("|q|ab", (902,))
    assert plan(cache, "|q|ab") == ([*tokenize("|q|"), 900, 901, 902], 5)
