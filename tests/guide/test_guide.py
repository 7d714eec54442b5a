"""The shipped guide answers questions it has never seen, through llama.cpp itself."""

from collections.abc import Callable

import pytest
from tests.guide.judging import HELD_OUT, UNTAUGHT, Answer, answers, ask_llama, held_out

from offtui import paths
from offtui.guide.chat import plain
from offtui.guide.corpus import LANGUAGES, OFF_TOPIC, load_all

FLOOR = 0.90
"""Share of held-out questions that must get the right topic, in the right language."""
CONVERSATIONS_FLOOR = 0.75
"""Of eight conversations each language has."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def judged() -> tuple[Answer, ...]:
    return answers(held_out())


def share_right(some: list[Answer]) -> float:
    return sum(answer.right for answer in some) / len(some)


def test_no_held_out_question_is_in_the_corpus() -> None:
    corpus = {plain(question) for language in load_all() for _, question in language.questions()}
    last_questions = {plain(case.turns[-1]) for case in held_out(*HELD_OUT, *UNTAUGHT)}
    assert sorted(last_questions & corpus) == []


def test_every_topic_is_asked_for_in_both_languages() -> None:
    topics = {(language.code, topic.id) for language in load_all() for topic in language.topics}
    assert {(case.language, case.topic) for case in held_out(*HELD_OUT, *UNTAUGHT)} == topics


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("what", "chosen"),
    [
        ("single questions", lambda answer: len(answer.case.turns) == 1 and answer.case.topic != OFF_TOPIC),
        ("off topic", lambda answer: answer.case.topic == OFF_TOPIC),
        ("conversations", lambda answer: len(answer.case.turns) > 1),
    ],
    ids=["topics", "off-topic", "conversations"],
)
def test_held_out_questions_get_the_right_topic(
    judged: tuple[Answer, ...], language: str, what: str, chosen: Callable[[Answer], bool]
) -> None:
    some = [answer for answer in judged if answer.case.language == language and chosen(answer)]
    print(f"guide, {language}, {what}: {share_right(some):.1%} of {len(some)} right")
    wrong = [(answer.case.turns[-1], answer.case.topic, answer.topic) for answer in some if not answer.right]
    assert share_right(some) >= (CONVERSATIONS_FLOOR if what == "conversations" else FLOOR), wrong


def test_every_answer_ends(judged: tuple[Answer, ...]) -> None:
    assert [answer.case.turns for answer in judged if not answer.ended] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_questions_are_answered_in_their_language(judged: tuple[Answer, ...], language: str) -> None:
    asked = [answer for answer in judged if answer.case.language == language]
    assert sum(answer.language == language for answer in asked) >= 0.98 * len(asked)


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("What is GPU offloading?", "en"),
        ("¿Qué es la descarga a la GPU?", "es"),
        ("¿Qué es el offloading de GPU?", "es"),
    ],
)
def test_the_first_question_is_answered_word_by_word(question: str, language: str) -> None:
    corpus = next(corpus for corpus in load_all() if corpus.code == language)
    offloading = next(topic.answer for topic in corpus.topics if topic.id == "offloading")
    assert ask_llama([[question]])["answers"][0]["text"] == offloading


def test_a_long_conversation_is_still_answered() -> None:
    turns = ["What is a layer?", "What is the KV cache?", "why is it so slow", "who painted the Mona Lisa"] * 4
    answer = ask_llama([[*turns, "How do I stop an answer?"]])["answers"][0]
    assert answer["ended"]
    assert "Esc" in answer["text"]


def test_the_file_is_small() -> None:
    assert paths.guide_model().stat().st_size < 6_000_000
