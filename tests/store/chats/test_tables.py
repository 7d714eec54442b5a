"""Files of older offtuis, and what happens when bringing one up to date is cut short."""

import sqlite3
from pathlib import Path

import msgspec
import pytest

from offtui.store.chats import tables
from offtui.store.chats.changes import DropMessages, PutChat, PutMessage
from offtui.store.chats.opening import open_chats, open_in_memory
from offtui.store.chats.shelf import Library, Shelf
from offtui.store.chats.values import State
from tests.store.chats.talk import chat

FIRST = """
INSERT INTO chats VALUES ('aaaaaaaa', 'Orchids', 0, 1.0, 2.0, 1, 'tiny', NULL, 'half', 1, NULL);
INSERT INTO messages VALUES (1, 'aaaaaaaa', NULL, 2, 'user', 'done', 1.0, 1.0, NULL, 'Where do orchids grow?', '');
INSERT INTO messages VALUES (2, 'aaaaaaaa', 1, NULL, 'assistant', 'done', 1.0, 1.0, '{"tps": 3.5}', 'On trees.', 'hm');
INSERT INTO messages VALUES (3, 'aaaaaaaa', 2, NULL, 'user', 'open', 1.0, 1.0, NULL, 'unfinished', '');
INSERT INTO tags VALUES ('aaaaaaaa', 'plants');
"""


def of_version(file: Path, version: int, rows: str) -> None:
    """A file as the offtui of that version left it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(file)
    for script in tables.MIGRATIONS[:version]:
        for statement in tables.statements(script):
            connection.execute(statement)
    connection.executescript(rows)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


@pytest.mark.parametrize("version", range(1, tables.VERSION + 1))
def test_the_chats_of_every_older_version_are_there_and_found(file: Path, version: int) -> None:
    of_version(file, version, FIRST)
    opened = open_chats(file)
    assert (opened.writable, opened.notice) == (True, "")
    assert opened.connection is not None
    library = Library(Shelf(opened.connection))
    (row,) = library.rows("orchid grow")
    assert (row.title, row.pinned, row.tags, row.hit) == ("Orchids", True, ("plants",), 1)
    back = library.chat("aaaaaaaa")
    assert back is not None
    assert [entry.content for entry in back.branch()] == ["Where do orchids grow?", "On trees.", "unfinished"]
    assert back.draft == "half"
    assert back.messages[1].stamp is not None
    assert back.messages[1].stamp.tps == 3.5
    assert library.rows("unfinished") == []
    opened.connection.execute("UPDATE messages SET state = 'done'")
    assert [found.hit for found in library.rows("unfinished")] == [3]
    opened.connection.execute("INSERT INTO words (words) VALUES ('integrity-check')")
    opened.connection.close()


def test_what_the_second_version_indexed_wrong_is_found_again(file: Path) -> None:
    changed = "UPDATE messages SET content = 'On old trees.' WHERE id = 2;"
    of_version(file, 2, FIRST + changed)
    opened = open_chats(file)
    assert opened.connection is not None
    library = Library(Shelf(opened.connection))
    assert [[row.hit for row in library.rows(query)] for query in ("on trees", "old", "unfinished")] == [[2], [2], []]
    opened.connection.execute("UPDATE messages SET state = 'done'")
    whole(opened.connection)
    opened.connection.close()


STATES = ("open", "done", "stopped")


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
@pytest.mark.parametrize("text", ["On trees.", "On old trees.", "Nowhere.", ""])
def test_a_message_is_found_by_the_words_it_has_when_it_is_whole(before: State, after: State, text: str) -> None:
    connection = open_in_memory()
    talk = chat("t", "Where do orchids grow?", "On trees.")
    PutChat(talk.row.id, talk).apply(connection, 1.0)
    answer = talk.messages[1]
    for state, content in ((before, "On trees."), (after, text)):
        changed = msgspec.structs.replace(answer, state=state, content=content)
        PutMessage(talk.row.id, changed).apply(connection, 1.0)
    shelf = Shelf(connection)
    for word in ("on", "old", "trees", "nowhere"):
        wanted = after != "open" and word in text.lower()
        assert [id for id, _ in shelf.hits(word).values()] == ([answer.id] if wanted else []), word
    connection.execute("UPDATE messages SET state = 'done'")
    whole(connection)
    DropMessages(talk.row.id, tuple(entry.id for entry in talk.messages)).apply(connection, 1.0)
    whole(connection)
    connection.close()


def whole(connection: sqlite3.Connection) -> None:
    """Raise unless the index says of every message what is in it; none may be open."""
    connection.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")


def test_a_migration_that_fails_leaves_the_file_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_version(file, 1, FIRST)
    monkeypatch.setattr(
        tables, "MIGRATIONS", (*tables.MIGRATIONS[:1], "CREATE TABLE a (b); INSERT INTO nowhere VALUES (1)")
    )
    opened = open_chats(file)
    assert not opened.writable
    assert "nowhere" in opened.notice
    monkeypatch.undo()
    again = open_chats(file)
    assert again.writable
    assert again.connection is not None
    assert [row.title for row in Library(Shelf(again.connection)).rows()] == ["Orchids"]
    assert not again.connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'a'").fetchall()
    again.connection.close()
