"""Pastes reach the program as text only."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.drivers import linux_driver

from offtui.ui import pasting
from offtui.ui.pasting import BEGIN, END, PasteCleaner, PasteParser

HOSTILE = "ab \x1b]52;c;QQ==\x07\x1b[A\x18\x07 line\r more\n\ttab \x1b\x1b[20 \x9b0n 世界"
CLEAN = "ab ]52;c;QQ==[A line\r more\n\ttab [20 0n 世界"


def messages(pieces: list[str]) -> list[tuple[str, str]]:
    """What a program is told: pastes with their text, keys with their names."""
    parser = PasteParser()
    told: list[tuple[str, str]] = []
    for piece in pieces:
        for message in parser.feed(piece):
            if isinstance(message, events.Paste):
                told.append(("paste", message.text))
            elif isinstance(message, events.Key):
                told.append(("key", message.key))
    return told


@given(st.lists(st.integers(0, 120), max_size=12))
def test_a_paste_is_one_text_without_control_characters_in_whatever_pieces_it_comes(cuts: list[int]) -> None:
    whole = f"x\x1b[A{BEGIN}{HOSTILE}{END}y\x1b[B"
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    pieces = [whole[first:last] for first, last in pairwise(places)]
    cleaner = PasteCleaner()
    assert "".join(map(cleaner.clean, pieces)) == f"x\x1b[A{BEGIN}{CLEAN}{END}y\x1b[B"
    assert messages(pieces) == [("key", "x"), ("key", "up"), ("paste", CLEAN), ("key", "y"), ("key", "down")]


@given(st.lists(st.text(alphabet="\x1b[20~1ab\r世", min_size=1, max_size=6), max_size=30))
def test_nothing_outside_of_pastes_is_changed_or_waits(pieces: list[str]) -> None:
    cleaner = PasteCleaner()
    seen = ""
    for piece in pieces:
        seen += piece
        if BEGIN in seen:
            return
        assert cleaner.clean(piece) == piece


def test_a_second_paste_and_one_that_never_ends() -> None:
    told = messages([f"{BEGIN}one{END}{BEGIN}two", f"\x1b[2{END}", "z", f"{BEGIN}three\x1b", "[A"])
    assert told == [("paste", "one"), ("paste", "two[2"), ("key", "z")]


def test_an_escape_key_is_read_at_once() -> None:
    parser = PasteParser()
    assert list(parser.feed("\x1b")) == []  # Textual waits for the rest of a sequence, not this
    assert [message.key for message in parser.feed("\x1b[A") if isinstance(message, events.Key)][-1] == "up"


def test_the_driver_reads_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux_driver, "XTermParser", linux_driver.XTermParser)
    pasting.install()
    assert "XTermParser" in linux_driver.LinuxDriver.run_input_thread.__code__.co_names
    assert linux_driver.XTermParser is PasteParser
