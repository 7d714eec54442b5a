"""The text of an answer that is cut between any two tokens, and goes on in another object."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from offtui.protocol.events import Event, Piece
from offtui.worker.answer import Answer, AnswerState
from offtui.worker.reasoning import partial_text

TEXT = "<think>\nIs it 1 < 2? ü€🙂\n</think>\n\nYes, 1 < 2 — ü€🙂 and STO no STOP never seen"
WHOLE = (("reasoning", "Is it 1 < 2? ü€🙂\n"), ("answer", "Yes, 1 < 2 — ü€🙂 and STO no "))


def runs(pieces: list[Event]) -> tuple[tuple[str, str], ...]:
    text = {"reasoning": "", "answer": ""}
    for piece in pieces:
        assert isinstance(piece, Piece)
        text[piece.channel] += piece.text
    return tuple(text.items())


@given(st.lists(st.integers(0, len(TEXT.encode())), max_size=4))
def test_cut_anywhere_it_is_the_same(cuts: list[int]) -> None:
    sent: list[Event] = []
    answer = Answer(1, "", ("STOP",), sent.append)
    for index, byte in enumerate(TEXT.encode()):
        if index in cuts:
            answer.flush(index, index, 0.0, force=True)
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(answer.state), type=AnswerState)
            answer = Answer(1, "", ("STOP",), sent.append)
            answer.restore(state)
        answer.add(bytes([byte]))
        if answer.stopped:
            break
    answer.finish()
    answer.flush(0, 0, 0.0, force=True)
    assert runs(sent) == WHOLE
    assert answer.text == dict(WHOLE)["answer"]
    assert answer.reasoned


def test_what_stands_already_is_not_sent_again() -> None:
    sent: list[Event] = []
    answer = Answer(1, "", (), sent.append)
    answer.skip("<think>\nhm</think>\n\nYes")
    answer.add(b", and <think> is text now.")
    answer.finish()
    answer.flush(1, 1, 0.0, force=True)
    assert dict(runs(sent)) == {"reasoning": "", "answer": ", and <think> is text now."}


def test_a_partial_answer_is_written_as_the_model_wrote_it() -> None:
    knows = {"<think>", "</think>"}.__contains__
    assert partial_text("P", "", "Yes", knows) == "Yes"
    assert partial_text("P<think>\n", "hm", "", knows) == "hm"
    assert partial_text("P<think>\n", "hm", "Yes", knows) == "hm</think>\n\nYes"
    assert partial_text("P", "hm", "Yes", knows) == "<think>\nhm</think>\n\nYes"
    assert partial_text("P", "hm", "Yes", lambda _: False) == "Yes"
