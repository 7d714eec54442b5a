"""What was measured here: headers by file, speeds by layer count, plans against loads, constants of devices.

One ``Store`` belongs to one thread. It never raises for what is wrong with its file: it says so in ``notices`` and goes
on with what it has.
"""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from offtui import paths
from offtui.gguf.header import Header
from offtui.store.kept import Kept

MAX_HEADERS = 200
"""Kept; the one unused for longest goes first. A header takes a hundred KiB or so."""
MAX_POINTS = 400
"""Kept of one model, devices and settings, the newest; of residuals those of the devices."""
_OF_FILE = "path = ? AND size = ? AND mtime_ns = ? AND devices = ? AND settings = ?"


class FileId(msgspec.Struct, frozen=True):
    """A file as it was when it was looked at: another size or time is another file."""

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str) -> Self | None:
        """The file at ``path`` now; ``None`` where there is none."""
        try:
            stat = os.stat(path)
        except (OSError, ValueError):
            return None
        return cls(path, stat.st_size, stat.st_mtime_ns)


class Circumstances(msgspec.Struct, frozen=True):
    """What a measurement is of."""

    file: FileId
    arch: str
    quant: str
    devices: str
    """Names, descriptions and sizes of the devices, as one text."""
    settings: str
    """The settings that matter for speed, as one text."""
    n_ctx: int
    n_gpu_layers: int


class Point(msgspec.Struct, frozen=True):
    """A measured speed."""

    n_gpu_layers: int
    n_past: int
    """Tokens in the cache, on average while the answer was written."""
    tokens: int
    """Of the answer."""
    tps: float
    """Tokens per second of the answer."""
    prompt_tps: float | None
    """Of the prompt; ``None``: too few tokens of it were new."""
    time: float
    """Seconds since 1970."""


class Spent(msgspec.Struct, frozen=True):
    """The energy that an answer took on all GPUs it ran on, its prompt too."""

    n_gpu_layers: int
    tokens: int
    """Of the answer."""
    joules: float
    time: float
    """Seconds since 1970."""


class Residual(msgspec.Struct, frozen=True):
    """What a plan said of one purpose on one device, and what the load took. Bytes."""

    device: str
    purpose: str
    planned: int
    got: int


class Store(Kept):
    """The database of one machine's user."""

    def __init__(self, file: Path | None = None, *, clock: Callable[[], float] = time.time) -> None:
        """Open it, or make it.

        Args:
            file: of the database; ``None``: in the data folder.
            clock: seconds since 1970.
        """
        super().__init__(file or paths.data_dir() / "measurements.db", "measured")
        self._clock = clock

    def header(self, path: str) -> Header | None:
        """The header of the file at ``path``, if it was read before and no part of it has changed since."""
        file = FileId.of(path)
        if file is None:
            return None

        def read() -> Header | None:
            row = self._connection.execute(
                "SELECT header FROM headers WHERE path = ? AND size = ? AND mtime_ns = ?",
                (os.fsencode(path), file.size, file.mtime_ns),
            ).fetchone()
            if row is None:
                return None
            try:
                header = msgspec.msgpack.decode(row[0], type=Header)
            except msgspec.MsgspecError:  # of an offtui whose headers were others
                return None
            parts = [FileId.of(part) for part in header.parts]
            if None in parts or sum(part.size for part in parts if part) != header.file_bytes:
                return None
            return header

        header = self._try(read, None)
        if header is not None:
            used = (self._clock(), os.fsencode(path))
            self._write(lambda: self._connection.execute("UPDATE headers SET used = ? WHERE path = ?", used))
        return header

    def keep_header(self, header: Header) -> None:
        """Remember a header for the file as it is now."""
        file = FileId.of(header.path)
        if file is None or header.kind == "unknown":  # a newer llama.cpp may know it
            return
        try:
            body = msgspec.msgpack.encode(header)
        except (UnicodeEncodeError, OverflowError):  # a name that is no text, a number that is none
            return

        def write() -> None:
            self._connection.execute(
                "INSERT OR REPLACE INTO headers VALUES (?, ?, ?, ?, ?)",
                (os.fsencode(file.path), file.size, file.mtime_ns, self._clock(), body),
            )
            self._connection.execute(
                "DELETE FROM headers WHERE path IN (SELECT path FROM headers ORDER BY used DESC LIMIT -1 OFFSET ?)",
                (MAX_HEADERS,),
            )

        self._write(write)

    def add_point(self, of: Circumstances, point: Point) -> None:
        """Keep a measured speed."""
        values = (point.n_past, point.tokens, point.tps, point.prompt_tps)
        row = (point.time, *_columns(of), *values)
        self._write(lambda: self._insert("points", [row], _OF_FILE, _of_file(of.file, of.devices, of.settings)))

    def points(self, file: FileId, devices: str, settings: str) -> tuple[Point, ...]:
        """The speeds of this very file on these devices with these settings, oldest first."""
        found: list[Any] = self._try(
            lambda: self._connection.execute(
                "SELECT n_gpu_layers, n_past, tokens, tps, prompt_tps, time FROM points "
                f"WHERE {_OF_FILE} ORDER BY time DESC, rowid DESC LIMIT ?",
                (*_of_file(file, devices, settings), MAX_POINTS),
            ).fetchall(),
            [],
        )
        return tuple(Point(*row) for row in reversed(found))

    def add_spent(self, of: Circumstances, spent: Spent) -> None:
        """Keep what an answer took."""
        file = of.file
        row = (
            spent.time, os.fsencode(file.path), file.size, file.mtime_ns, of.devices, of.settings,
            spent.n_gpu_layers, spent.tokens, spent.joules,
        )  # fmt: skip
        self._write(lambda: self._insert("energies", [row], _OF_FILE, _of_file(file, of.devices, of.settings)))

    def spent(self, file: FileId, devices: str, settings: str) -> tuple[Spent, ...]:
        """What answers of this very file took on these devices with these settings, oldest first."""
        found: list[Any] = self._try(
            lambda: self._connection.execute(
                "SELECT n_gpu_layers, tokens, joules, time FROM energies "
                f"WHERE {_OF_FILE} ORDER BY time DESC, rowid DESC LIMIT ?",
                (*_of_file(file, devices, settings), MAX_POINTS),
            ).fetchall(),
            [],
        )
        return tuple(Spent(*row) for row in reversed(found))

    def newest_speeds(self) -> dict[str, Point]:
        """Of each file that was measured, in whatever circumstances, the newest speed."""
        found: list[Any] = self._try(
            lambda: self._connection.execute(
                "SELECT path, n_gpu_layers, n_past, tokens, tps, prompt_tps, max(time) FROM points GROUP BY path"
            ).fetchall(),
            [],
        )
        return {os.fsdecode(row[0]): Point(*row[1:]) for row in found}

    def add_residuals(self, of: Circumstances, residuals: Sequence[Residual]) -> None:
        """Keep what a plan said and what the load took."""
        now = self._clock()
        rows = [(now, *_columns(of), entry.device, entry.purpose, entry.planned, entry.got) for entry in residuals]
        if rows:
            self._write(lambda: self._insert("residuals", rows, "devices = ?", (of.devices,)))

    def residuals(self, devices: str) -> tuple[Residual, ...]:
        """What loads on these devices took, oldest first."""
        found: list[Any] = self._try(
            lambda: self._connection.execute(
                "SELECT device, purpose, planned, got FROM residuals "
                "WHERE devices = ? ORDER BY time DESC, rowid DESC LIMIT ?",
                (devices, MAX_POINTS),
            ).fetchall(),
            [],
        )
        return tuple(Residual(*row) for row in reversed(found))

    def set_constant(self, device: str, name: str, value: float) -> None:
        """Keep a number that belongs to a device, in the place of the one before."""
        row = (device, name, value, self._clock())
        self._write(lambda: self._connection.execute("INSERT OR REPLACE INTO constants VALUES (?, ?, ?, ?)", row))

    def constant(self, device: str, name: str) -> float | None:
        """A number that belongs to a device; ``None``: never learned."""
        row: Any = self._try(
            lambda: self._connection.execute(
                "SELECT value FROM constants WHERE device = ? AND name = ?", (device, name)
            ).fetchone(),
            None,
        )
        return None if row is None else float(row[0])

    def constants(self, name: str) -> dict[str, float]:
        """A number of every device it was learned for."""
        rows: list[Any] = self._try(
            lambda: self._connection.execute("SELECT device, value FROM constants WHERE name = ?", (name,)).fetchall(),
            [],
        )
        return {str(device): float(value) for device, value in rows}

    def _insert(self, table: str, rows: Sequence[tuple[object, ...]], of: str, values: tuple[object, ...]) -> None:
        """Add rows; the oldest of the same circumstances go, which nothing would read any more."""
        self._connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        self._connection.execute(
            f"DELETE FROM {table} WHERE rowid IN "
            f"(SELECT rowid FROM {table} WHERE {of} ORDER BY time DESC, rowid DESC LIMIT -1 OFFSET ?)",
            (*values, MAX_POINTS),
        )


def _of_file(file: FileId, devices: str, settings: str) -> tuple[object, ...]:
    return os.fsencode(file.path), file.size, file.mtime_ns, devices, settings


def _columns(of: Circumstances) -> tuple[object, ...]:
    file = of.file
    return (
        os.fsencode(file.path),
        file.size,
        file.mtime_ns,
        of.arch,
        of.quant,
        of.devices,
        of.settings,
        of.n_ctx,
        of.n_gpu_layers,
    )
