"""What goes in comes out: after a restart, beside another offtui, and whatever has happened to the file."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path

import msgspec
import pytest

from offtui.store.chats import keeper as keeping
from offtui.store.chats.changes import (
    NEW_CHAT,
    DropMessages,
    PutChat,
    PutMessage,
    SetDeleted,
    SetDraft,
    SetPinned,
    SetTags,
    SetTitle,
    Show,
)
from offtui.store.chats.tables import VERSION
from tests.store.chats.talk import STAMP, Kept, chat, message, until


def test_a_chat_comes_back_whole_after_a_restart(file: Path) -> None:
    talk = chat("Offloading", "why?", "because", "and then?", "so", pinned=True, tags=("gpu", "notes"))
    talk = msgspec.structs.replace(talk, system_prompt="be brief", draft="half a thou")
    with Kept(file) as kept:
        kept.put(talk)
    with Kept(file) as kept:
        back = kept.chat(talk.row.id)
        assert back is not None
        assert back.messages == talk.messages
        assert back.messages[1].stamp == STAMP
        assert (back.system_prompt, back.draft) == ("be brief", "half a thou")
        assert back.row == msgspec.structs.replace(talk.row, model="tiny", messages=4)
        assert kept.said == []


def test_versions_are_siblings_and_the_one_shown_is_remembered(file: Path) -> None:
    talk = chat("versions", "q", "a1", "next", "n1")
    q, a1 = talk.messages[:2]
    with Kept(file) as kept:
        kept.put(talk)
        a2 = message(talk.row.id, "a2", q)
        kept.keeper.put(PutMessage(talk.row.id, a2))
        assert kept.texts(talk.row.id) == ["q", "a2"]
        kept.keeper.put(Show(talk.row.id, q.id, a1.id))
    with Kept(file) as kept:
        assert kept.texts(talk.row.id) == ["q", "a1", "next", "n1"]
        other = message(talk.row.id, "another beginning")
        kept.keeper.put(PutMessage(talk.row.id, other), Show(talk.row.id, None, other.id))
        assert kept.texts(talk.row.id) == ["another beginning"]
        kept.keeper.put(DropMessages(talk.row.id, (other.id,)))
        assert kept.texts(talk.row.id) == ["q", "a1", "next", "n1"]


def test_lists_have_pinned_chats_first_then_the_newest(file: Path) -> None:
    old, new, pinned = chat("old", "q", updated=1.0), chat("new", "q", updated=3.0), chat("pin", "q", updated=2.0)
    with Kept(file) as kept:
        kept.put(old, new, pinned)
        kept.keeper.put(SetPinned(pinned.row.id, True))
        assert kept.titles() == ["pin", "new", "old"]
        kept.keeper.put(
            SetPinned(pinned.row.id, False), SetTitle(old.row.id, "ancient"), SetTags(old.row.id, ("x", "x"))
        )
        rows = kept.keeper.ask(lambda library: library.rows()).result(10.0)
        assert [row.title for row in rows] == ["new", "pin", "ancient"]
        assert (rows[-1].named, rows[-1].tags) == (True, ("x",))
        assert kept.read(lambda library: library.last()) == new.row.id


def test_a_deleted_chat_can_be_had_back_until_the_run_ends(file: Path) -> None:
    one, two = chat("one", "q"), chat("two", "q")
    with Kept(file) as kept:
        kept.put(one, two)
        kept.keeper.put(SetDeleted(one.row.id, True), SetDeleted(two.row.id, True))
        assert kept.titles() == []
        assert kept.titles("q") == []
        kept.keeper.put(SetDeleted(two.row.id, False))
        assert kept.titles() == ["two"]
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT title FROM chats").fetchall() == [("two",)]
    assert connection.execute("SELECT count(*) FROM messages").fetchone() == (1,)
    connection.close()


def test_a_draft_is_kept_per_chat_and_for_the_one_not_begun(file: Path) -> None:
    talk = chat("t", "q")
    with Kept(file) as kept:
        kept.put(talk)
        kept.keeper.put(SetDraft(talk.row.id, "of this chat"), SetDraft(NEW_CHAT, "of none \ud800"))
    with Kept(file) as kept:
        back = kept.chat(talk.row.id)
        assert back is not None
        assert back.draft == "of this chat"
        assert kept.read(lambda library: library.new_draft()) == "of none ?"


def test_an_answer_is_written_while_it_comes_at_least_once_a_second(file: Path) -> None:
    talk = chat("t", "q")
    answer = message(talk.row.id, "", talk.messages[0], state="open")
    with Kept(file) as kept:
        kept.put(talk)
        kept.keeper.put(PutMessage(talk.row.id, answer))
        kept.keeper.follow(7, answer)
        kept.keeper.piece(7, "reasoning", "hm")
        kept.keeper.piece(7, "answer", "one ")
        kept.keeper.piece(8, "answer", "of another turn")
        assert kept.titles() == ["t"]
        began = time.monotonic()
        reader = sqlite3.connect(file)
        until(lambda: reader.execute("SELECT content, reasoning FROM messages WHERE state = 'open'").fetchall()
              == [("one ", "hm")])  # fmt: skip
        assert keeping.CHECKPOINT <= 1.0
        assert time.monotonic() - began < 10  # a guard against hangs
        kept.keeper.piece(7, "answer", "two")
    assert reader.execute("SELECT content, state FROM messages ORDER BY id").fetchall()[-1] == ("one two", "stopped")
    reader.close()


def test_the_end_of_an_answer_is_the_last_word(file: Path) -> None:
    talk = chat("t", "q")
    answer = message(talk.row.id, "", talk.messages[0], state="open")
    with Kept(file) as kept:
        kept.put(talk)
        kept.keeper.follow(7, answer)
        for _ in range(200):
            kept.keeper.piece(7, "answer", "x")
        kept.keeper.unfollow(7)
        kept.keeper.piece(7, "answer", "late")
        whole = msgspec.structs.replace(answer, content="x" * 200, state="done", stamp=STAMP)
        kept.keeper.put(PutMessage(talk.row.id, whole))
    with Kept(file) as kept:
        back = kept.chat(talk.row.id)
        assert back is not None
        assert back.messages[-1] == whole


def test_what_a_run_that_was_killed_left_open_is_broken_off(file: Path) -> None:
    talk = chat("t", "q")
    half, none = (message(talk.row.id, text, talk.messages[0], state="open") for text in ("half an orchid", ""))
    with Kept(file) as kept:
        kept.put(talk)
        kept.keeper.put(PutMessage(talk.row.id, half), PutMessage(talk.row.id, none))
        assert kept.titles("orchid") == []
    connection = sqlite3.connect(file)
    connection.execute("UPDATE messages SET updated = updated - 60 WHERE state = 'open'")
    connection.commit()
    connection.close()
    with Kept(file) as kept:
        back = kept.chat(talk.row.id)
        assert back is not None
        assert [entry.state for entry in back.messages] == ["done", "stopped", "failed"]
        assert kept.titles("orchid") == ["t"]


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to be looked at" * 9, b"SQLite format 3\0" + b"\xff" * 4000]
)
def test_a_damaged_file_is_kept_aside_and_said(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    talk = chat("t", "q")
    with Kept(file) as kept:
        kept.put(talk)
        assert kept.titles() == ["t"]
        assert len(kept.said) == 1
        assert "damaged" in kept.said[0]
    (aside,) = file.parent.glob("chats.db.damaged-*")
    assert aside.read_bytes() == content
    with Kept(file) as kept:
        assert kept.titles() == ["t"]
        assert kept.said == []


def test_a_file_that_is_damaged_while_it_is_open_costs_one_sentence(file: Path) -> None:
    talk = chat("t", *(f"text {n} " + "word " * 400 for n in range(40)))
    with Kept(file) as kept:
        kept.put(talk)
        assert kept.titles() == ["t"]
        other = sqlite3.connect(file)
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        other.close()
        with open(file, "r+b") as raw:
            raw.seek(4096)
            raw.write(b"\xa5" * (os.path.getsize(file) - 4096))
        answer = message(talk.row.id, "later", talk.messages[-1])
        kept.keeper.put(PutMessage(talk.row.id, answer))
        until(lambda: bool(kept.said))
        assert "damaged" in kept.said[0]
        until(lambda: kept.lost == [talk.row.id])
        kept.put(msgspec.structs.replace(talk, messages=(*talk.messages, answer)))
        assert len(kept.texts(talk.row.id)) == 41
    assert list(file.parent.glob("chats.db.damaged-*"))


def test_a_file_that_goes_away_is_made_again(file: Path) -> None:
    talk = chat("t", "q")
    with Kept(file) as kept:
        kept.put(talk)
        assert kept.titles() == ["t"]
        for part in file.parent.iterdir():
            part.unlink()
        answer = message(talk.row.id, "a", talk.messages[0])
        kept.keeper.put(PutMessage(talk.row.id, answer))
        until(lambda: kept.lost == [talk.row.id])
        kept.put(msgspec.structs.replace(talk, messages=(*talk.messages, answer)))
        assert kept.texts(talk.row.id) == ["q", "a"]
    with Kept(file) as kept:
        assert kept.texts(talk.row.id) == ["q", "a"]


def test_a_file_of_a_newer_offtui_is_left_alone(file: Path) -> None:
    file.parent.mkdir(parents=True)
    connection = sqlite3.connect(file)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = file.read_bytes()
    with Kept(file) as kept:
        kept.put(chat("t", "q"))
        assert kept.titles() == ["t"]
        assert "newer offtui" in kept.said[0]
    assert file.read_bytes() == before
    with Kept(file) as kept:
        assert kept.titles() == ["t"]


def test_a_lock_that_is_held_is_waited_for_and_said_when_it_lasts(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "QUIET", 0.0)
    talk = chat("t", "q")
    with Kept(file) as kept:
        kept.put(talk)
        assert kept.titles() == ["t"]
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        kept.put(chat("while locked", "q"))
        until(lambda: bool(kept.said))
        assert "another program" in kept.said[0]
        assert sorted(kept.titles()) == ["t", "while locked"]
        assert kept.keeper.unkept == 1
        other.execute("ROLLBACK")
        until(lambda: kept.said[1:] == ["The chats are kept again."])
        assert kept.keeper.unkept == 0
        assert other.execute("SELECT count(*) FROM chats").fetchone() == (2,)
        other.close()


@pytest.mark.parametrize("opened_before", [True, False])
def test_what_is_left_at_the_end_waits_for_whoever_holds_the_file(file: Path, opened_before: bool) -> None:
    tries = threading.Semaphore(0)

    class Counting(keeping.Keeper):
        def _failed(self, error: sqlite3.Error) -> None:
            super()._failed(error)
            tries.release()

    with Kept(file) as kept:
        kept.put(chat("before", "q"))
    other = sqlite3.connect(file, isolation_level=None)
    if not opened_before:
        other.execute("BEGIN IMMEDIATE")
    keeper = Counting(lambda _: None, file=file)
    assert len(keeper.ask(lambda library: library.rows()).result(60.0)) == 1
    if opened_before:
        other.execute("BEGIN IMMEDIATE")
    last = chat("last", "q")
    keeper.put(PutChat(last.row.id, last))
    closing = threading.Thread(target=keeper.close, args=(120.0,))
    closing.start()
    assert all(tries.acquire(timeout=30.0) for _ in range(4)), "it gave up"
    other.execute("ROLLBACK")
    closing.join(120.0)
    assert keeper.unkept == 0
    assert sorted(other.execute("SELECT title FROM chats").fetchall()) == [("before",), ("last",)]
    other.close()


def test_two_offtuis_write_at_once(file: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.store.chats.talk import Kept, chat, message\nfrom offtui.store.chats.changes import PutMessage\n"
        "kept = Kept(Path(sys.argv[1])); talk = chat(sys.argv[2], 'q'); kept.put(talk); last = talk.messages[0]\n"
        "for n in range(150):\n    last = message(talk.row.id, str(n), last)\n"
        "    kept.keeper.put(PutMessage(talk.row.id, last))\n    kept.titles()\n"
        "kept.keeper.close(30); assert not kept.said, kept.said\n"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code, str(file), name]) for name in ("one", "two")]
    assert [run.wait(100) for run in runs] == [0, 0]
    with Kept(file) as kept:
        rows = kept.keeper.ask(lambda library: library.rows()).result(10.0)
        assert {row.title: row.messages for row in rows} == {"one": 151, "two": 151}


def test_a_change_for_a_chat_that_another_offtui_deleted_is_told(file: Path) -> None:
    talk = chat("t", "q")
    with Kept(file) as kept:
        kept.keeper.put(PutMessage(talk.row.id, talk.messages[0]))
        until(lambda: kept.lost == [talk.row.id])
        kept.keeper.put(PutChat(talk.row.id, talk))
        assert kept.texts(talk.row.id) == ["q"]


IN_A_SMALL_FILE_SYSTEM = """
import sys, time
from pathlib import Path
from offtui.store.chats.changes import PutMessage
from tests.store.chats.talk import Kept, chat, message, until
root = Path(sys.argv[1])
with Kept(root / "chats.db") as kept:
    talk = chat("t", "q")
    kept.put(talk)
    assert kept.titles() == ["t"]
    ballast = root / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    answer = message(talk.row.id, "long " * 40000, talk.messages[0])
    kept.keeper.put(PutMessage(talk.row.id, answer))
    until(lambda: bool(kept.said))
    assert "full" in kept.said[0] and "memory" in kept.said[0], kept.said
    assert kept.texts(talk.row.id) == ["q", answer.content]
    ballast.unlink()
    until(lambda: kept.said[1:] == ["The chats are kept again."], 30)
with Kept(root / "chats.db") as kept:
    assert kept.texts(talk.row.id) == ["q", answer.content]
    assert not kept.said
"""

READ_ONLY = """
import subprocess, sys
from pathlib import Path
from offtui.store.chats.changes import PutMessage
from tests.store.chats.talk import Kept, chat, message, until
root = Path(sys.argv[1])
talk = chat("before", "q")
with Kept(root / "chats.db") as kept:
    kept.put(talk)
subprocess.run(["mount", "-o", "remount,ro", str(root)], check=True)
with Kept(root / "chats.db") as kept:
    assert kept.titles() == ["before"]
    assert "cannot be written" in kept.said[0], kept.said
    kept.put(chat("after", "q"))
    answer = message(talk.row.id, "a", talk.messages[0])
    kept.keeper.put(PutMessage(talk.row.id, answer))
    assert sorted(kept.titles()) == ["after", "before"]
    assert kept.texts(talk.row.id) == ["q", "a"]
    assert kept.titles("q a") == [] and kept.keeper.unkept == 2
    subprocess.run(["mount", "-o", "remount,rw", str(root)], check=True)
    until(lambda: kept.said[-1] == "The chats are kept again.", 30)
with Kept(root / "chats.db") as kept:
    assert kept.texts(talk.row.id) == ["q", "a"]
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system of its own")
@pytest.mark.parametrize("script", [IN_A_SMALL_FILE_SYSTEM, READ_ONLY], ids=["full", "read-only"])
def test_a_disk_that_cannot_be_written_costs_nothing(tmp_path: Path, script: str) -> None:
    mount = 'mount -t tmpfs -o size=3m none "$0" && exec "$@"'
    own = ["unshare", "-Urm", "sh", "-c", mount, str(tmp_path)]
    if subprocess.run([*own, "true"], capture_output=True).returncode:
        pytest.skip("no mounts of one's own here")
    run = subprocess.run(
        [*own, sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=100
    )
    assert run.returncode == 0, run.stderr


class Broken(SetDraft, frozen=True):
    def apply(self, connection: object, now: float) -> None:
        raise ZeroDivisionError("no such luck")


def test_a_mistake_of_its_own_ends_it_with_a_sentence_and_no_question_waits_for_ever(file: Path) -> None:
    kept = Kept(file)
    kept.put(chat("t", "q"))
    assert kept.titles() == ["t"]
    kept.keeper.put(Broken("x", "y"))
    until(lambda: bool(kept.said))
    assert "no such luck" in kept.said[0]
    until(lambda: kept.keeper.ask(lambda library: library.rows()).cancelled())
    kept.keeper.close()


def hold(kept: Kept) -> threading.Event:
    """Have the thread do nothing until the event is set."""
    held, go_on = threading.Event(), threading.Event()
    kept.keeper.ask(lambda _: (held.set(), go_on.wait(60.0)))
    assert held.wait(60.0)
    return go_on


def test_a_question_that_fails_is_told_and_saving_goes_on(file: Path) -> None:
    with Kept(file) as kept:
        with pytest.raises(ZeroDivisionError):
            kept.read(lambda _: 1 // 0)
        kept.put(chat("t", "q"))
        assert kept.titles() == ["t"]
        assert kept.titles("\ud800") == []
        assert kept.said == []


def test_what_nobody_has_looked_at_yet_counts_as_unkept(file: Path) -> None:
    with Kept(file) as kept:
        go_on = hold(kept)
        kept.put(chat("one", "q"), chat("two", "q"))
        unanswered = kept.keeper.ask(lambda library: len(library.rows()))
        assert kept.keeper.unkept == 2
        go_on.set()
        assert unanswered.result(60.0) == 2
        assert kept.keeper.unkept == 0


def test_when_it_ends_with_a_mistake_no_question_asked_before_waits_and_the_rest_is_unkept(file: Path) -> None:
    kept = Kept(file)
    go_on = hold(kept)
    kept.keeper.put(Broken("x", "y"))
    asked = kept.keeper.ask(lambda library: library.rows())
    kept.put(chat("t", "q"))
    again = kept.keeper.ask(lambda library: library.rows())
    go_on.set()
    for future in (asked, again):
        with pytest.raises(CancelledError):
            future.result(60.0)
    assert kept.keeper.unkept == 2
    kept.keeper.close(60.0)
