"""What is known of model files: facts of their headers, hashes, marks, and downloads that are not done.

One ``Catalogue`` belongs to one thread. It never raises for what is wrong with its file: it says so in ``notices`` and
goes on with what it has.
"""

import contextlib
import os
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from offtui import paths
from offtui.gguf.facts import FileFacts
from offtui.gguf.header import Header
from offtui.store.kept import Kept
from offtui.store.measurements import FileId

MAX_HEADERS = 2000
"""Kept whole; packed, one takes some ten KiB."""

_TABLES = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, facts BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS headers (key BLOB PRIMARY KEY, time REAL NOT NULL, header BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (path BLOB PRIMARY KEY, favourite INTEGER NOT NULL, used REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hashes (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL, time REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS downloads (id TEXT PRIMARY KEY, added REAL NOT NULL, job BLOB NOT NULL) WITHOUT ROWID;
"""


class Mark(msgspec.Struct, frozen=True):
    """What a person did with a file."""

    favourite: bool = False
    used: float | None = None
    """When it was last loaded, in seconds since 1970."""


class Recorded(msgspec.Struct, frozen=True):
    """A file's hash, and what the file was like when it was taken."""

    file: FileId
    sha256: str


class Catalogue(Kept):
    """The database of one user's model files."""

    def __init__(self, file: Path | None = None, *, clock: Callable[[], float] = time.time) -> None:
        """Open it, or make it.

        Args:
            file: of the database; ``None``: in the data folder.
            clock: seconds since 1970.
        """
        super().__init__(file or paths.data_dir() / "models.db", "known of models", _TABLES)
        self._clock = clock

    # Facts and headers

    def facts(self) -> dict[str, tuple[int, int, FileFacts]]:
        """Of every file known by its path: size of all parts, time of change, facts."""
        found: list[Any] = self._rows("SELECT path, size, mtime_ns, facts FROM files")
        decode = msgspec.msgpack.Decoder(FileFacts).decode
        facts: dict[str, tuple[int, int, FileFacts]] = {}
        for path, size, mtime_ns, body in found:
            with contextlib.suppress(msgspec.MsgspecError):  # of an offtui whose facts were others
                facts[os.fsdecode(path)] = (size, mtime_ns, decode(body))
        return facts

    def keep_facts(self, read: Iterable[tuple[str, int, int, FileFacts]]) -> None:
        """Remember facts by path, size and time of change, all at once; but not what a newer llama.cpp may know."""
        rows = [
            (os.fsencode(path), size, at, msgspec.msgpack.encode(facts))
            for path, size, at, facts in read
            if facts.kind != "unknown"
        ]
        self._write(lambda: self._connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", rows))

    def header(self, key: str) -> Header | None:
        """The header kept under ``key``."""
        found: list[Any] = self._rows("SELECT header FROM headers WHERE key = ?", os.fsencode(key))
        if not found:
            return None
        try:
            return msgspec.msgpack.decode(zlib.decompress(found[0][0]), type=Header)
        except (msgspec.MsgspecError, zlib.error):  # of an offtui whose headers were others
            return None

    def keep_header(self, key: str, header: Header) -> None:
        """Remember a header; the oldest go where there are too many."""
        if header.kind == "unknown":  # a newer llama.cpp may know it
            return
        try:
            body = zlib.compress(msgspec.msgpack.encode(header), 1)
        except (UnicodeEncodeError, OverflowError):  # a name that is no text, a number that is none
            return
        row = (os.fsencode(key), self._clock(), body)

        def write() -> None:
            self._connection.execute("INSERT OR REPLACE INTO headers VALUES (?, ?, ?)", row)
            self._connection.execute(
                "DELETE FROM headers WHERE key IN (SELECT key FROM headers ORDER BY time DESC LIMIT -1 OFFSET ?)",
                (MAX_HEADERS,),
            )

        self._write(write)

    # Marks

    def marks(self) -> dict[str, Mark]:
        """By path."""
        found: list[Any] = self._rows("SELECT path, favourite, used FROM marks")
        return {os.fsdecode(path): Mark(bool(favourite), used) for path, favourite, used in found}

    def set_favourite(self, path: str, favourite: bool) -> None:
        """Mark a file, or take the mark away."""
        row = (os.fsencode(path), int(favourite))
        self._write(
            lambda: self._connection.execute(
                "INSERT INTO marks VALUES (?, ?, NULL) ON CONFLICT(path) DO UPDATE SET favourite = excluded.favourite",
                row,
            )
        )

    def set_used(self, path: str) -> None:
        """It was loaded now."""
        row = (os.fsencode(path), self._clock())
        self._write(
            lambda: self._connection.execute(
                "INSERT INTO marks VALUES (?, 0, ?) ON CONFLICT(path) DO UPDATE SET used = excluded.used", row
            )
        )

    def forget(self, path: str) -> None:
        """The file is gone: drop everything about it."""

        def write() -> None:
            for table in ("files", "marks", "hashes"):
                self._connection.execute(f"DELETE FROM {table} WHERE path = ?", (os.fsencode(path),))

        self._write(write)

    # Hashes

    def hash(self, path: str) -> Recorded | None:
        """The hash recorded for the file at ``path``, whatever became of the file since."""
        found: list[Any] = self._rows("SELECT size, mtime_ns, sha256 FROM hashes WHERE path = ?", os.fsencode(path))
        return Recorded(FileId(path, found[0][0], found[0][1]), found[0][2]) if found else None

    def hashed(self) -> dict[str, list[FileId]]:
        """The files that had a hash when it was recorded, by it."""
        found: dict[str, list[FileId]] = {}
        for path, size, mtime_ns, sha256 in self._rows("SELECT path, size, mtime_ns, sha256 FROM hashes"):
            found.setdefault(sha256, []).append(FileId(os.fsdecode(path), size, mtime_ns))
        return found

    def keep_hash(self, file: FileId, sha256: str) -> None:
        """Record the hash of a file as it is now."""
        row = (os.fsencode(file.path), file.size, file.mtime_ns, sha256, self._clock())
        self._write(lambda: self._connection.execute("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?)", row))

    # Downloads

    def downloads(self) -> dict[str, bytes]:
        """What is to be downloaded, by its id, oldest first."""
        return {row[0]: row[1] for row in self._rows("SELECT id, job FROM downloads ORDER BY added")}

    def keep_downloads(self, jobs: Mapping[str, bytes]) -> None:
        """Remember these, and forget those whose body is empty."""

        def write() -> None:
            for id, job in jobs.items():
                if job:
                    self._connection.execute(
                        "INSERT INTO downloads VALUES (?, ?, ?) ON CONFLICT(id) DO UPDATE SET job = excluded.job",
                        (id, self._clock(), job),
                    )
                else:
                    self._connection.execute("DELETE FROM downloads WHERE id = ?", (id,))

        self._write(write)
