from offtui.engine.state import Phase, SessionState
from offtui.protocol.events import LoadProgress, Piece, TurnEnded, TurnStarted
from offtui.ui.bridge import Mailbox
from tests.ui.harness import timings


def state(n: int) -> SessionState:
    return SessionState(phase=Phase.GENERATING, n_past=n)


def piece(text: str, channel: str = "answer", turn: int = 1) -> Piece:
    return Piece(turn, channel, text, 1, 1, 0.0)  # type: ignore[arg-type]


def test_pieces_are_joined_and_do_not_ring() -> None:
    rings: list[int] = []
    box = Mailbox(lambda: rings.append(1))
    for n, text in enumerate("abc"):
        box.put(state(n), piece(text))
    assert rings == []
    mail = box.take()
    assert mail is not None
    assert [p.text for p in mail.occurrences if isinstance(p, Piece)] == ["abc"]
    assert mail.state.n_past == 2


def test_order_is_kept_between_pieces_and_everything_else() -> None:
    box = Mailbox(lambda: None)
    started, ended = TurnStarted(1, 5, 0), TurnEnded(1, "end", timings())
    box.put(state(0), started)
    box.put(state(1), piece("thought", "reasoning"))
    box.put(state(2), piece("said"))
    box.put(state(3), ended)
    box.put(state(4), piece("next", turn=2))
    mail = box.take()
    assert mail is not None
    first, thought, said, end, other = mail.occurrences
    assert (first, end) == (started, ended)
    assert [(p.channel, p.text, p.turn) for p in (thought, said, other) if isinstance(p, Piece)] == [
        ("reasoning", "thought", 1),
        ("answer", "said", 1),
        ("answer", "next", 2),
    ]


def test_it_rings_once_until_it_is_emptied() -> None:
    rings: list[int] = []
    box = Mailbox(lambda: rings.append(1))
    for n in range(100):
        box.put(state(n), LoadProgress("weights", n / 100))
    assert rings == [1]
    mail = box.take()
    assert mail is not None
    assert (mail.occurrences, mail.state.n_past) == ((), 99)
    box.put(state(100), LoadProgress("weights", 1.0))
    assert rings == [1, 1]


def test_an_empty_mailbox_gives_nothing() -> None:
    box = Mailbox(lambda: None)
    assert box.take() is None
    box.put(state(0), piece("x"))
    box.take()
    assert box.take() is None
