"""A database that may be lost at any time: a damaged one is begun anew, one that fails is said and done without."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from offtui.store.database import TABLES, Inode, is_damage, open_database, set_aside_opened
from offtui.text import clean_line

T = TypeVar("T")


class Kept:
    """Belongs to one thread. Never raises for what is wrong with its file: it says so in ``notices`` and goes on."""

    def __init__(self, file: Path, what: str, tables: str = TABLES) -> None:
        """Open it, or make it.

        Args:
            file: of the database.
            what: is kept there, as a word behind "what is".
            tables: the statements that make them.
        """
        self._file = file
        self._what = what
        self._tables = tables
        self._notices: list[str] = []
        self._connection: sqlite3.Connection
        self._inode: Inode | None
        self._open()

    @property
    def notices(self) -> tuple[str, ...]:
        """What went wrong so far, a sentence each."""
        return tuple(self._notices)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _open(self) -> None:
        self._connection, self._inode, notice = open_database(self._file, self._tables, self._what)
        if notice:
            self._say(notice)

    def _rows(self, query: str, *values: object) -> list[Any]:
        return self._try(lambda: self._connection.execute(query, values).fetchall(), [])

    def _write(self, write: Callable[[], object]) -> None:
        def transaction() -> None:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                write()
            except BaseException:  # whatever it was, the transaction must not stay open
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

        self._try(transaction, None)

    def _try(self, work: Callable[[], T], otherwise: T) -> T:
        """``work``, once more on a new file where the old one turned out damaged; ``otherwise`` where it cannot be."""
        try:
            return work()
        except sqlite3.Error as error:
            if not is_damage(error):
                return self._fail(error, otherwise)
        self._connection.close()
        aside = set_aside_opened(self._file, self._inode)
        if aside is not None:  # else another offtui was first, or it is gone: opening says what is left of it
            self._say(f"What is {self._what} was damaged and is kept as {aside.name}; another file is begun.")
        self._open()
        try:
            return work()
        except sqlite3.Error as error:
            return self._fail(error, otherwise)

    def _fail(self, error: sqlite3.Error, otherwise: T) -> T:
        self._say(f"What is {self._what} cannot be kept or read now: {clean_line(str(error), 200)}.")
        return otherwise

    def _say(self, notice: str) -> None:
        if notice not in self._notices:
            self._notices.append(notice)
