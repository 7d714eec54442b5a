"""Files of older offtuis, and what happens when bringing one up to date is cut short."""

import sqlite3
from pathlib import Path

import pytest

from offtui.store.chats import tables
from offtui.store.chats.opening import open_chats
from offtui.store.chats.shelf import Library, Shelf

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
    chat = library.chat("aaaaaaaa")
    assert chat is not None
    assert [entry.content for entry in chat.branch()] == ["Where do orchids grow?", "On trees.", "unfinished"]
    assert chat.draft == "half"
    assert chat.messages[1].stamp is not None
    assert chat.messages[1].stamp.tps == 3.5
    assert library.rows("unfinished") == []
    opened.connection.execute("UPDATE messages SET state = 'done'")
    assert [found.hit for found in library.rows("unfinished")] == [3]
    opened.connection.execute("INSERT INTO words (words) VALUES ('integrity-check')")
    opened.connection.close()


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
