import pytest

from offtui.protocol.facts import Failure
from offtui.protocol.spec import Message
from offtui.ui.conversation import Conversation, Outcome
from tests.ui.harness import timings


def test_an_answer_becomes_part_of_what_is_asked_next() -> None:
    talk = Conversation("be brief")
    turn = talk.ask("one?")
    turn.add("reasoning", "hm")
    turn.add("answer", "first ")
    turn.add("answer", "answer")
    talk.end(turn, "end", timings(), got=4, max=13)
    talk.ask("two?")
    assert talk.messages() == (
        Message("system", "be brief"),
        Message("user", "one?"),
        Message("assistant", "first answer", "hm"),
        Message("user", "two?"),
    )


def test_a_stopped_answer_keeps_what_came_and_is_marked() -> None:
    talk = Conversation()
    turn = talk.ask("one?")
    turn.add("answer", "half")
    talk.end(turn, "cancelled", timings(), got=4, max=13)
    assert turn.outcome is Outcome.INTERRUPTED
    assert [message.content for message in talk.messages()] == ["one?", "half"]


def test_a_question_without_any_answer_does_not_break_the_alternation() -> None:
    talk = Conversation()
    talk.fail(talk.ask("lost?"), Failure("crashed", "The worker died."))
    talk.ask("again?")
    assert talk.messages() == (Message("user", "again?"),)


def test_the_end_of_a_worker_interrupts_the_open_turn_only() -> None:
    talk = Conversation()
    assert talk.interrupt() is None
    turn = talk.ask("one?")
    assert talk.interrupt() is turn
    assert turn.outcome is Outcome.INTERRUPTED
    assert talk.interrupt() is None


def test_a_worker_that_dies_before_it_answered_makes_the_turn_fail() -> None:
    talk, died = Conversation(), Failure("crashed", "The worker died.")
    talk.ask("one?")
    turn = talk.interrupt(died)
    assert turn is not None
    assert (turn.outcome, turn.failure) == (Outcome.FAILED, died)
    talk.ask("two?").add("answer", "half")
    turn = talk.interrupt(died)
    assert turn is not None
    assert (turn.outcome, turn.failure) == (Outcome.INTERRUPTED, died)


def test_only_one_turn_is_open() -> None:
    talk = Conversation()
    talk.ask("one?")
    with pytest.raises(ValueError, match="open"):
        talk.ask("two?")
    assert talk.take_back() is None


def test_late_pieces_of_a_cleared_chat_find_nothing() -> None:
    talk = Conversation()
    old = talk.ask("one?").id
    talk.clear()
    assert talk.turn(old) is None
    assert talk.ask("two?").id != old


def test_the_stamp_says_split_and_speed() -> None:
    talk = Conversation()
    turn = talk.ask("one?")
    talk.end(turn, "end", timings(), got=28, max=37)
    assert turn.stamp is not None
    assert turn.stamp.text() == "28/37 layers · 20.0 t/s · first token 600 ms"
