"""The tree of messages: what is shown of it, what the model gets, and what is kept comes back the same."""

import random

import msgspec
import pytest

from offtui.protocol.facts import Failure, LayerCount
from offtui.protocol.spec import Message
from offtui.store.chats.values import Chat, ChatRow, Stamp, StoredMessage, new_message_id
from offtui.ui.conversation import Conversation, Said
from tests.ui.harness import timings

STAMP = Stamp(model="tiny", quant="Q8_0", n_gpu_layers=LayerCount(28, 28, 37), n_ctx=2048)


def answered(talk: Conversation, question: str, answer: str) -> Said:
    said = talk.ask(question)
    said.add("answer", answer)
    talk.end(said, "end", timings(), STAMP)
    return said


def again(talk: Conversation, said: Said, answer: str) -> Said:
    other = talk.again(said)
    other.add("answer", answer)
    talk.end(other, "end", timings(), STAMP)
    return other


def shown(talk: Conversation) -> list[str]:
    return [said.text for said in talk.branch]


def test_an_answer_becomes_part_of_what_is_asked_next() -> None:
    talk = Conversation("be brief")
    said = talk.ask("one?")
    said.add("reasoning", "hm")
    said.add("answer", "first ")
    said.add("answer", "answer")
    talk.end(said, "end", timings(), STAMP)
    talk.ask("two?")
    assert talk.messages() == (
        Message("system", "be brief"),
        Message("user", "one?"),
        Message("assistant", "first answer", "hm"),
        Message("user", "two?"),
    )


def test_a_stopped_answer_keeps_what_came_and_is_marked() -> None:
    talk = Conversation()
    said = talk.ask("one?")
    said.add("answer", "half")
    talk.end(said, "cancelled", timings(), STAMP)
    assert said.state == "stopped"
    assert [message.content for message in talk.messages()] == ["one?", "half"]


def test_a_stopped_answer_can_go_on_and_is_then_the_last_message() -> None:
    talk = Conversation()
    said = talk.ask("one?")
    said.add("answer", "half")
    talk.end(said, "cancelled", timings(), STAMP)
    before = talk.turn
    assert talk.go_on(said) is talk.open is talk.answering(talk.turn)
    assert talk.turn == before + 1
    assert talk.messages()[-1] == Message("assistant", "half")
    with pytest.raises(ValueError, match="go on"):
        talk.go_on(said)


def test_a_question_without_any_answer_does_not_break_the_alternation() -> None:
    talk = Conversation()
    talk.fail(talk.ask("lost?"), Failure("crashed", "The worker died."))
    talk.ask("again?")
    assert talk.messages() == (Message("user", "again?"),)


def test_the_end_of_a_worker_interrupts_the_open_answer_only() -> None:
    talk = Conversation()
    assert talk.interrupt() is None
    said = talk.ask("one?")
    assert talk.interrupt() is said
    assert said.state == "stopped"
    assert talk.interrupt() is None


def test_a_worker_that_dies_before_it_answered_makes_the_question_fail() -> None:
    talk, died = Conversation(), Failure("crashed", "The worker died.")
    talk.ask("one?")
    said = talk.interrupt(died)
    assert said is not None
    assert (said.state, said.failure) == ("failed", died)
    talk.ask("two?").add("answer", "half")
    said = talk.interrupt(died)
    assert said is not None
    assert (said.state, said.failure) == ("stopped", died)


def test_only_one_answer_is_open() -> None:
    talk = Conversation()
    said = talk.ask("one?")
    for act in (lambda: talk.ask("two?"), lambda: talk.again(said), lambda: talk.remove(said)):
        with pytest.raises(ValueError, match=r"open|now"):
            act()
    assert shown(talk) == ["one?", ""]


def test_late_pieces_of_another_turn_find_nothing() -> None:
    talk = Conversation()
    answered(talk, "one?", "a")
    old = talk.turn
    assert talk.answering(old) is None
    talk.ask("two?")
    assert talk.answering(old) is None
    assert Conversation("", talk.turn + 1).ask("three?") is not None


def test_another_answer_and_another_question_are_versions() -> None:
    talk = Conversation()
    first = answered(talk, "one?", "a1")
    answered(talk, "two?", "b")
    second = again(talk, first, "a2")
    assert shown(talk) == ["one?", "a2"]
    assert first.siblings == [first, second]
    assert talk.show(first) == 1
    assert shown(talk) == ["one?", "a1", "two?", "b"]
    fork = talk.fork(talk.branch[2], "zwei?")
    fork.add("answer", "B")
    talk.end(fork, "end", timings(), STAMP)
    assert shown(talk) == ["one?", "a1", "zwei?", "B"]
    assert talk.messages()[-2] == Message("user", "zwei?")
    talk.show(second)
    talk.show(first)
    assert shown(talk) == ["one?", "a1", "zwei?", "B"]


def test_what_is_removed_can_be_put_back() -> None:
    talk = Conversation()
    first = answered(talk, "one?", "a1")
    second = again(talk, first, "a2")
    answered(talk, "two?", "b")
    assert talk.remove(second) == 1
    assert shown(talk) == ["one?", "a1"]
    talk.put_back(second)
    assert shown(talk) == ["one?", "a2", "two?", "b"]
    with pytest.raises(ValueError, match="there"):
        talk.put_back(second)
    talk.remove(talk.branch[0])
    assert shown(talk) == []
    assert talk.messages() == ()


def test_questions_that_follow_one_another_are_one_to_the_template() -> None:
    talk = Conversation()
    first = answered(talk, "one?", "a1")
    talk.branch[0].versions.clear()
    talk.branch[0].versions.append(Said("user", talk.branch[0], text="and?"))
    talk.branch[0].chosen = None
    talk.show(talk.branch[0])
    assert first not in talk.branch
    assert talk.messages() == (Message("user", "one?\n\nand?"),)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_kept_comes_back_the_same(seed: int) -> None:
    chance = random.Random(seed)
    talk = Conversation("be brief")
    for number in range(40):
        said = chance.choice(talk.branch) if talk.branch else None
        match chance.randrange(6):
            case 0 if said is not None and said.role == "assistant":
                again(talk, said, f"a{number}")
            case 1 if said is not None and said.role == "user":
                talk.end(talk.fork(said, f"f{number}"), "end", timings(), STAMP)
            case 2 if said is not None:
                talk.show(chance.choice(said.siblings))
            case 3 if said is not None and number % 3 == 0:
                talk.remove(said)
                if chance.random() < 0.5:
                    talk.put_back(said)
            case _:
                answered(talk, f"q{number}", f"b{number}")
        assert all(one.parent is before for before, one in zip([talk.root, *talk.branch], talk.branch, strict=False))
    row = ChatRow(id="aaaaaaaa", title="t", created=1.0, updated=1.0)
    whole = talk.whole(row, "draft", None)
    back = Conversation.of(whole, "be brief")
    assert shown(back) == shown(talk)
    assert back.messages() == talk.messages()
    assert [message.content for message in whole.branch()] == shown(talk)
    assert back.whole(row, "draft", None) == whole


def test_a_chat_begun_before_the_clock_was_set_back_is_whole_and_goes_on_in_order() -> None:
    ahead = new_message_id() + (1 << 40)
    places = ((ahead, None, "q"), (ahead - 9, ahead, "a"), (ahead - 7, ahead - 9, "next"), (ahead - 8, ahead - 7, "n"))
    messages = tuple(
        StoredMessage(id=id, chat="a", parent=parent, role=role, content=text, created=1.0)
        for (id, parent, text), role in zip(sorted(places), ("assistant", "assistant", "user", "user"), strict=True)
    )
    chat = Chat(row=ChatRow(id="a", title="", created=0.0, updated=0.0), messages=messages)
    talk = Conversation.of(chat)
    assert [(said.role, said.text) for said in talk.branch] == [
        ("user", "q"), ("assistant", "a"), ("user", "next"), ("assistant", "n"),
    ]  # fmt: skip
    again = talk.again(talk.branch[0])
    assert again.id > ahead
    whole = talk.whole(chat.row, "", None)
    later = msgspec.structs.replace(whole, shown=None, messages=tuple(sorted(whole.messages, key=lambda m: m.id)))
    assert [said.id for said in Conversation.of(later).branch] == [entry.id for entry in later.branch()]
    assert Conversation.of(later).branch[-1].id == again.id


def test_an_answer_that_nobody_writes_any_more_has_broken_off() -> None:
    talk = Conversation()
    talk.ask("one?").add("answer", "half")
    back = Conversation.of(talk.whole(ChatRow(id="a", title="", created=0.0, updated=0.0), "", None))
    assert back.branch[-1].state == "stopped"
    assert back.open is None


def test_the_stamp_says_split_and_speed() -> None:
    talk = Conversation()
    said = answered(talk, "one?", "a")
    assert said.stamp is not None
    assert said.stamp.text() == "28/37 layers · 20.0 t/s · first token 600 ms"
    assert said.stamp.name() == "tiny Q8_0"
    assert (said.stamp.tokens, said.stamp.prompt_tokens, said.stamp.reused_tokens, said.stamp.stop) == (
        41,
        20,
        5,
        "end",
    )
