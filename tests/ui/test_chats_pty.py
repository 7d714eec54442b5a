"""The store and a real terminal: killed, hung up, ended by a signal, two at once."""

import os
import random
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from tests.ui.killing import kept_answers, launched, newest_word, seconds_lost, store_of
from tests.ui.test_pty import is_restored

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_a_kill_at_any_moment_loses_at_most_the_last_second(tmp_path: Path) -> None:
    chance = random.Random(5)
    for _ in range(4):
        assert seconds_lost(tmp_path, chance.uniform(0.0, 2.5)) <= 1.0
    connection = sqlite3.connect(store_of(tmp_path))
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("SELECT count(*) FROM messages WHERE content = 'hello'").fetchone() == (4,)
    connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_the_answer_and_the_draft(tmp_path: Path, number: signal.Signals) -> None:
    with launched(tmp_path) as terminal:
        terminal.shows("13/13 layers")
        terminal.type("hello\r")
        terminal.shows("word9")
        terminal.type("not sent")
        terminal.shows("not sent")
        seen = newest_word(terminal.text())
        os.kill(terminal.pid, number)
        assert terminal.ended() == 128 + number
        if number is signal.SIGTERM:
            assert is_restored(terminal)
    ((text, state),) = kept_answers(tmp_path)
    assert state == "stopped"
    assert newest_word(text) >= seen
    connection = sqlite3.connect(store_of(tmp_path))
    assert connection.execute("SELECT draft FROM chats").fetchall() == [("not sent",)]
    connection.close()


def test_a_terminal_that_does_not_read_costs_no_word(tmp_path: Path) -> None:
    with launched(tmp_path, "--pieces", "100000", "--pause", "0.001") as terminal:
        terminal.shows("13/13 layers")
        terminal.type("hello\r")
        terminal.shows("word9")
        terminal.until(lambda: newest_word(terminal.text()) > 50, "some words")
        before, waited = newest_word(kept_answers(tmp_path)[0][0]), 0
        while newest_word(kept_answers(tmp_path)[0][0]) < before + 2000:  # nobody reads meanwhile
            assert waited < 300, "the answer is no longer kept"
            waited += 1
            signal.sigtimedwait([], 0.1)
        os.kill(terminal.pid, signal.SIGKILL)
        terminal.ended()


def test_two_at_once_keep_a_chat_each(tmp_path: Path) -> None:
    with launched(tmp_path, "--pieces", "200") as one, launched(tmp_path, "--pieces", "200") as two:
        for terminal in (one, two):
            terminal.shows("13/13 layers", 60)
            terminal.type("hello\r")
        for terminal in (one, two):
            terminal.shows("word199", 60)
            terminal.key("\x11")
        for terminal in (one, two):
            assert terminal.ended() == 0
            assert b"offtui -c" in bytes(terminal.raw)
    assert [(newest_word(text), state) for text, state in kept_answers(tmp_path)] == [(199, "done"), (199, "done")]
