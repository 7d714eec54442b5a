"""A few hundred generated answers in a real pty; ``python -m tests.bench fuzz`` takes ten thousand."""

from tests.ui.transcript.fuzzing import run, stray


def test_what_textual_writes_is_told_from_what_it_should_not() -> None:
    assert stray(b"\x1b[?1049h\x1b[1;2H\x1b[38;2;1;2;3mtext\x1b[0m\r\n") == []
    assert stray(b"a\x1b]52;c;eA==\x07b") == [b"\x1b", b"\x07"]
    assert stray("a\x9b31m\u202e\x00".encode()) == ["\x9b".encode(), "\u202e".encode(), b"\x00"]


def test_pieces_do_not_matter_and_no_control_byte_gets_out() -> None:
    result = run(200, seed=7)
    assert result.documents == 200
    assert result.differing == []
    assert result.stray == []
    assert result.written > 100_000
