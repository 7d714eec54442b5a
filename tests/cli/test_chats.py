"""``offtui chats``, ``export`` and ``import``: what they write, and how they end."""

import json
import sqlite3
import sys
import time
from pathlib import Path

import pytest

from offtui.store.chats.changes import PutChat
from offtui.store.chats.opening import default_file, open_chats
from offtui.store.chats.tables import VERSION
from offtui.store.chats.values import Chat
from tests.store.chats.talk import chat


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def keep(*chats: Chat) -> None:
    opened = open_chats()
    assert opened.connection is not None
    for entry in chats:
        PutChat(entry.row.id, entry).apply(opened.connection, time.time())
    opened.connection.close()


def test_chats_are_listed_and_found(offtui) -> None:
    talk = chat("Offloading", "What are orchids?", "flowers", tags=("gpu",), pinned=True, updated=5.0)
    keep(talk, chat("Other", "q", "a", updated=9.0))
    listed = offtui("chats")
    assert listed.code == 0
    assert listed.out.startswith(f"{talk.row.id} ")
    assert "Offloading #gpu (pinned)" in listed.out
    found = offtui("chats", "orchid")
    assert "What are orchids?" in found.out
    assert "Other" not in found.out
    assert [row["title"] for row in offtui("chats", "--json").json] == ["Offloading", "Other"]
    assert set(offtui("chats", "--json").json[0]) >= {"id", "title", "updated", "messages", "model", "tags", "pinned"}


def test_without_chats_the_list_is_empty_and_that_is_no_error(offtui) -> None:
    listed = offtui("chats")
    assert (listed.code, listed.out) == (0, "")
    assert "No chat" in listed.err
    assert offtui("chats", "--json").json == []
    assert (offtui("export", "last").code, "No chat" in offtui("export", "last").err) == (2, True)


def test_a_chat_is_exported_and_imported(offtui, tmp_path: Path) -> None:
    talk = chat("Offloading", "why?", "because")
    keep(talk)
    data = offtui("export", "last", "--json").json
    assert data["title"] == "Offloading"
    assert [(entry["role"], entry["content"]) for entry in data["messages"]] == [
        ("user", "why?"),
        ("assistant", "because"),
    ]
    assert data["messages"][1]["stamp"]["tps"] == 31.4
    for kind in ("--json", "--md"):
        file = tmp_path / f"chat{kind}"
        file.write_text(offtui("export", talk.row.id[:6], kind).out)
        done = offtui("import", str(file))
        assert done.code == 0
        id = done.out.split()[0]
        assert offtui("export", id, "--json").json["messages"] == data["messages"]
    assert len(offtui("chats", "--json").json) == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("export", "nothere"), 2, "no chat 'nothere'"),
        (("export",), 2, "required"),
        (("export", "last", "--md", "--json"), 2, "not allowed"),
        (("import", "/no/such"), 3, "No such file"),
        (("import", "/"), 3, "directory"),
        (("import", "a\0b"), 3, "cannot be read"),
    ],
)
def test_mistakes_end_with_a_sentence_and_a_code(offtui, words: tuple[str, ...], code: int, said: str) -> None:
    ended = offtui(*words)
    assert ended.code == code
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_a_file_that_is_no_chat_leaves_the_store_as_it_was(offtui, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(json.dumps([{"messages": [{"role": "user", "content": "fine"}]}, {"messages": [{"role": "elf"}]}]))
    ended = offtui("import", str(file))
    assert (ended.code, "elf" in ended.err) == (3, True)
    assert offtui("chats", "--json").json == []


def test_a_damaged_store_is_said_and_one_of_a_newer_offtui_left_alone(offtui, tmp_path: Path) -> None:
    file = default_file()
    file.parent.mkdir(parents=True)
    file.write_bytes(b"garbage" * 1000)
    ended = offtui("chats")
    assert (ended.code, "damaged" in ended.err) == (0, True)
    assert offtui("chats").err.startswith("No chat")
    for part in file.parent.iterdir():
        part.unlink()
    connection = sqlite3.connect(file)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    ended = offtui("chats")
    assert (ended.code, "newer offtui" in ended.err) == (0, True)


def test_a_locked_store_is_an_error_for_an_import(offtui, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(chat("t", "q"))
    file = tmp_path / "x.json"
    file.write_text('[{"role": "user", "content": "q"}]')
    other = sqlite3.connect(default_file(), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ended = offtui("import", str(file))
    assert (ended.code, "locked" in ended.err) == (1, True)
    other.execute("ROLLBACK")
    other.close()


def test_resume_and_continue_are_options_of_the_screen(offtui) -> None:
    for words in (("-c",), ("--continue",), ("--resume",), ("--resume", "abc")):
        ended = offtui(*words)
        assert (ended.code, "needs a terminal" in ended.err) == (2, True)
    assert "not allowed" in offtui("-c", "--resume").err
    assert sys.stdin is not None
