"""The tables of the chats, and how those of an older offtui become these: one script per version, in order."""

import sqlite3

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE chats (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, named INTEGER NOT NULL, created REAL NOT NULL, updated REAL NOT NULL,
    pinned INTEGER NOT NULL, model TEXT NOT NULL, system_prompt TEXT, draft TEXT NOT NULL, shown INTEGER, deleted REAL
) WITHOUT ROWID;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY, chat TEXT NOT NULL, parent INTEGER, shown INTEGER, role TEXT NOT NULL, state TEXT NOT NULL,
    created REAL NOT NULL, updated REAL NOT NULL, stamp BLOB, content TEXT NOT NULL, reasoning TEXT NOT NULL
);
CREATE INDEX messages_of ON messages (chat, id);
CREATE TABLE tags (chat TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (chat, tag)) WITHOUT ROWID;
CREATE TABLE remembered (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
""",
    # Full text search. A message is indexed when it is whole: one that is being written changes twice a second.
    """
CREATE VIRTUAL TABLE words USING fts5 (
    content, content = 'messages', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
);
CREATE INDEX messages_open ON messages (updated) WHERE state = 'open';
INSERT INTO words (rowid, content) SELECT id, content FROM messages WHERE state <> 'open';
CREATE TRIGGER words_added AFTER INSERT ON messages WHEN new.state <> 'open' BEGIN
    INSERT INTO words (rowid, content) VALUES (new.id, new.content)\\;
END;
CREATE TRIGGER words_gone AFTER DELETE ON messages WHEN old.state <> 'open' BEGIN
    INSERT INTO words (words, rowid, content) VALUES ('delete', old.id, old.content)\\;
END;
CREATE TRIGGER words_old AFTER UPDATE OF content, state ON messages
WHEN old.state <> 'open' AND (new.state = 'open' OR old.content <> new.content) BEGIN
    INSERT INTO words (words, rowid, content) VALUES ('delete', old.id, old.content)\\;
END;
CREATE TRIGGER words_new AFTER UPDATE OF content, state ON messages
WHEN new.state <> 'open' AND (old.state = 'open' OR old.content <> new.content) BEGIN
    INSERT INTO words (rowid, content) VALUES (new.id, new.content)\\;
END;
""",
    # One trigger for both halves of a change: of two, SQLite fires the newer one first, and what was added would be
    # taken out again with the words it shares with the old text. What they left wrong is indexed anew; not by
    # 'rebuild', which would index messages that are being written as well.
    """
DROP TRIGGER words_old;
DROP TRIGGER words_new;
CREATE TRIGGER words_changed AFTER UPDATE OF content, state ON messages
WHEN old.content <> new.content OR (old.state = 'open') <> (new.state = 'open') BEGIN
    INSERT INTO words (words, rowid, content) SELECT 'delete', old.id, old.content WHERE old.state <> 'open'\\;
    INSERT INTO words (rowid, content) SELECT new.id, new.content WHERE new.state <> 'open'\\;
END;
INSERT INTO words (words) VALUES ('delete-all');
INSERT INTO words (rowid, content) SELECT id, content FROM messages WHERE state <> 'open';
""",
)
VERSION = len(MIGRATIONS)
"""Of the tables; a file with a greater number is a newer offtui's."""


class NewerSchema(Exception):
    """The file was made by a newer offtui."""

    def __init__(self, version: int) -> None:
        super().__init__(f"its tables are of version {version}, and this offtui knows {VERSION}")
        self.version = version


def version_of(connection: sqlite3.Connection) -> int:
    """The number in the file; 0: no tables yet."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables up to date, in one transaction: all of it or nothing.

    Raises:
        NewerSchema: they are ahead of this offtui.
        sqlite3.Error: the file cannot be read or written.
    """
    if version_of(connection) == VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = version_of(connection)
        if version > VERSION:
            raise NewerSchema(version)
        for script in MIGRATIONS[version:]:
            for statement in statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:  # whatever it was, the transaction must not stay open
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def statements(script: str) -> list[str]:
    r"""The statements of a script; ``\;`` is a semicolon within one."""
    parts = script.replace("\\;", "\0").split(";")
    return [part.replace("\0", ";") for part in parts if part.strip()]
