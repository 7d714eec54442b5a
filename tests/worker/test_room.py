"""Which messages are left out when the context is full."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from offtui.protocol.spec import Message
from offtui.worker.room import left_out, room, without


def talk(turns: int, system: bool = True, size: int = 10) -> list[Message]:
    said = [Message("system", "s" * 5)] if system else []
    for _number in range(turns):
        said += [Message("user", "u" * size), Message("assistant", "a" * size)]
    return said[:-1]


def n_tokens(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages)


def test_nothing_is_left_out_while_there_is_room() -> None:
    assert left_out(talk(4), n_tokens, 200) == 0


def test_half_the_context_is_emptied_and_stays_so_over_the_next_turns() -> None:
    first = left_out(talk(10), n_tokens, 200)
    assert first > 0
    assert n_tokens(without(talk(10), first)) <= 100
    assert left_out(talk(11), n_tokens, 200, before=first) == first


@given(st.integers(1, 40), st.integers(16, 400), st.booleans(), st.integers(1, 30))
def test_system_prompt_and_question_stay_and_turns_go_whole(turns: int, n_ctx: int, system: bool, size: int) -> None:
    messages = talk(turns, system, size)
    count = left_out(messages, n_tokens, n_ctx)
    kept = without(messages, count)
    assert kept[-1] == messages[-1]
    assert (kept[0].role == "system") == system
    assert kept[1 if system else 0].role == "user"
    if turns > 1 and n_tokens(without(messages, len(messages) - 1 - system)) <= n_ctx - room(n_ctx):
        assert n_tokens(kept) <= n_ctx - room(n_ctx)
