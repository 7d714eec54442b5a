"""The file behind the store: opened, made, set aside when it is damaged, copied to memory when it cannot be written."""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

from offtui.store import private
from offtui.text import clean_line

VERSION = 1
"""Of the tables; a file with another number is another offtui's."""
PATIENCE = 2.0
"""Seconds to wait for another offtui that writes."""

TABLES = """
CREATE TABLE IF NOT EXISTS headers (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, used REAL NOT NULL, header BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS points (
    time REAL NOT NULL, path BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, arch TEXT NOT NULL,
    quant TEXT NOT NULL, devices TEXT NOT NULL, settings TEXT NOT NULL, n_ctx INTEGER NOT NULL,
    n_gpu_layers INTEGER NOT NULL, n_past INTEGER NOT NULL, tokens INTEGER NOT NULL, tps REAL NOT NULL, prompt_tps REAL
);
CREATE INDEX IF NOT EXISTS points_of ON points (path, devices, settings, time);
CREATE TABLE IF NOT EXISTS energies (
    time REAL NOT NULL, path BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, devices TEXT NOT NULL,
    settings TEXT NOT NULL, n_gpu_layers INTEGER NOT NULL, tokens INTEGER NOT NULL, joules REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS residuals (
    time REAL NOT NULL, path BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, arch TEXT NOT NULL,
    quant TEXT NOT NULL, devices TEXT NOT NULL, settings TEXT NOT NULL, n_ctx INTEGER NOT NULL,
    n_gpu_layers INTEGER NOT NULL, device TEXT NOT NULL, purpose TEXT NOT NULL, planned INTEGER NOT NULL,
    got INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS residuals_of ON residuals (devices, time);
CREATE TABLE IF NOT EXISTS constants (
    device TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, time REAL NOT NULL, PRIMARY KEY (device, name)
) WITHOUT ROWID;
"""
"""Made where they are missing: a file without one that was added later is of this version too."""

Inode = tuple[int, int]
"""Of which device, and its number there: what tells a file from another one at the same path."""

_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

_checked: dict[Path, Inode] = {}
"""Files that were found whole. Damage that comes later is met by whoever reads it."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the error says that the file is no database, or no whole one."""
    return getattr(error, "sqlite_errorname", "").startswith(_DAMAGE)


def is_busy(error: sqlite3.Error) -> bool:
    """Whether the error says that another program holds the file."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def open_database(
    file: Path, tables: str = TABLES, what: str = "measured"
) -> tuple[sqlite3.Connection, Inode | None, str]:
    """A connection to ``file``, which file that is, and a sentence where something is wrong with it, else ``""``.

    A damaged file is set aside and a new one begun. Where the file cannot be written, or is another version's, what
    can be read of it is copied to memory, and the connection is to that, of no inode. ``what`` is the word for what is
    kept there.
    """
    notice = ""
    try:
        with private.alone(file):
            try:
                return _open(file, tables), inode_of(file), ""
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
            aside = set_aside(file)
            note = f"{_name(file)} was damaged and is kept as {aside.name}; another is begun."
            return _open(file, tables), inode_of(file), note
    except (sqlite3.Error, OSError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        notice = f"{_name(file)} cannot be written ({clean_line(why, 200)}); what is {what} now is not kept."
    return _copy_in_memory(file, tables), None, notice


def inode_of(file: Path) -> Inode | None:
    """Of the file that stands there now; ``None``: there is none, or it cannot be seen."""
    try:
        stat = os.stat(file)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def set_aside_opened(file: Path, inode: Inode | None) -> Path | None:
    """Set aside the file that was opened there as ``inode`` and is damaged; its new name.

    ``None`` where another file stands there now, which another offtui has begun meanwhile, or it cannot be renamed.
    """
    with contextlib.suppress(OSError), private.alone(file):
        if inode is not None and inode_of(file) == inode:
            return set_aside(file)
    return None


def set_aside(file: Path) -> Path:
    """Rename a damaged file, and the journal that belongs to it, to a name of its own."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = file.with_name(f"{file.name}.damaged-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = file.with_name(f"{file.name}.damaged-{stamp}-{number}")
    os.replace(file, aside)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{file}{suffix}", f"{aside}{suffix}")
    return aside


def _open(file: Path, tables: str) -> sqlite3.Connection:
    private.make_file(file)
    connection = sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        _prepare(connection, tables)
        _check(connection, file)
    except BaseException:  # whatever it was, the file must not stay open
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, file: Path) -> None:
    """Raise where the file is damaged. It reads all of it, so once in a process for each file is enough."""
    inode = inode_of(file)
    if inode is not None and _checked.get(file) == inode:
        return
    check = connection.execute("PRAGMA quick_check(1)").fetchone()
    if check[0] != "ok":
        broken = sqlite3.DatabaseError(str(check[0]))
        broken.sqlite_errorname = "SQLITE_CORRUPT"
        raise broken
    if inode is not None:
        _checked[file] = inode


def _prepare(connection: sqlite3.Connection, tables: str) -> None:
    """Make the tables that are missing."""
    connection.execute("BEGIN IMMEDIATE")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, VERSION):
        connection.execute("ROLLBACK")
        raise sqlite3.NotSupportedError(f"it is of version {version}, and this offtui knows {VERSION}")
    for statement in tables.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _copy_in_memory(file: Path, tables: str) -> sqlite3.Connection:
    memory = sqlite3.connect(":memory:", isolation_level=None)
    with contextlib.suppress(sqlite3.Error, OSError):
        for mode in ("mode=ro", "immutable=1"):
            with contextlib.suppress(sqlite3.Error), contextlib.closing(_reading(file, mode)) as source:
                if source.execute("PRAGMA user_version").fetchone()[0] == VERSION:
                    source.backup(memory)
                    break
    _prepare(memory, tables)
    return memory


def _reading(file: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.resolve().as_uri()}?{mode}", uri=True, timeout=PATIENCE)


def _name(file: Path) -> str:
    return clean_line(str(file), 300)
