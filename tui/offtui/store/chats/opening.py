"""The file of the chats, opened: for writing, for reading only, or not at all; what is wrong with it is said."""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from offtui import paths
from offtui.store import private
from offtui.store.chats.tables import VERSION, NewerSchema, migrate, version_of
from offtui.store.database import Inode, inode_of, is_busy, is_damage, set_aside
from offtui.text import clean_line

PATIENCE = 0.5
"""Seconds to wait for another offtui that writes, before something else is done meanwhile."""


@dataclass(frozen=True)
class Opened:
    """A connection, and what there is to say about it."""

    connection: sqlite3.Connection | None
    """``None``: not even reading is possible."""
    file: Path
    writable: bool
    notice: str = ""
    inode: Inode | None = None
    """Of the file, where it can be written."""
    busy: bool = False
    """It can be written when another program lets go of it."""


def default_file() -> Path:
    """``chats.db`` in the data folder."""
    return paths.data_dir() / "chats.db"


def open_chats(file: Path | None = None) -> Opened:
    """Open the file, or make it.

    A damaged one is set aside and a new one begun. Beside one of a newer offtui, which is left alone, another is used.
    One that cannot be written is opened for reading. Never raises for what is wrong with the file.
    """
    wanted = file or default_file()
    try:
        return _open_or_begin(wanted)
    except NewerSchema as newer:
        beside = wanted.with_name(f"{wanted.stem}-v{VERSION}{wanted.suffix}")
        note = f"{_name(wanted)} is of a newer offtui ({newer}) and is left alone; chats are kept in {beside.name}."
        try:
            opened = _open_or_begin(beside)
        except (NewerSchema, sqlite3.Error, OSError) as error:
            return Opened(None, beside, False, f"{note} That cannot be opened: {reason(error)}.")
        return Opened(opened.connection, opened.file, opened.writable, f"{note} {opened.notice}".strip(), opened.inode)
    except (sqlite3.Error, OSError) as error:
        connection = open_to_read(wanted)
        note = f"{_name(wanted)} cannot be written ({reason(error)}); new chats are not kept."
        return Opened(connection, wanted, False, note, busy=isinstance(error, sqlite3.Error) and is_busy(error))


def open_to_read(file: Path) -> sqlite3.Connection | None:
    """A connection that changes nothing; ``None`` where there is nothing to read."""
    for mode in ("mode=ro", "immutable=1"):
        with contextlib.suppress(sqlite3.Error, OSError, ValueError):
            connection = connected(f"{file.resolve().as_uri()}?{mode}", uri=True)
            try:
                if version_of(connection) == VERSION:
                    connection.execute("SELECT count(*) FROM chats").fetchone()
                    return connection
            except sqlite3.Error:
                connection.close()
                raise
            connection.close()
    return None


def open_in_memory() -> sqlite3.Connection:
    """Empty tables that last as long as the process."""
    connection = connected(":memory:")
    migrate(connection)
    return connection


def reason(error: Exception) -> str:
    """Why something could not be done, for a sentence."""
    return clean_line((error.strerror if isinstance(error, OSError) else None) or str(error), 200)


def _open_or_begin(file: Path) -> Opened:
    with private.alone(file):
        try:
            return Opened(_open(file), file, True, "", inode_of(file))
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
        aside = set_aside(file)
        note = f"{_name(file)} was damaged and is kept as {aside.name}; a new one is begun."
        return Opened(_open(file), file, True, note, inode_of(file))


def _open(file: Path) -> sqlite3.Connection:
    private.make_file(file)
    connection = connected(str(file))
    try:
        if (version := version_of(connection)) > VERSION:
            raise NewerSchema(version)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        migrate(connection)
        # A file that cannot be written opens without complaint.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")
    except BaseException:  # whatever it was, the file must not stay open
        connection.close()
        raise
    return connection


def connected(place: str, *, uri: bool = False) -> sqlite3.Connection:
    """A connection as all here are: transactions are begun by hand, and one thread at a time uses it."""
    return sqlite3.connect(place, timeout=PATIENCE, isolation_level=None, uri=uri, check_same_thread=False)


def _name(file: Path) -> str:
    return clean_line(str(file), 300)
