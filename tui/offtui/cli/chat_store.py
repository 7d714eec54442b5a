"""The chats, for the commands without a screen."""

import contextlib
import sqlite3
from collections.abc import Generator

from offtui.cli.exits import complain
from offtui.errors import OfftuiError
from offtui.store.chats.opening import Opened, open_chats, reason
from offtui.store.chats.shelf import Library, Shelf


@contextlib.contextmanager
def opened_chats(*, to_write: bool = False) -> Generator[tuple[Library, Opened]]:
    """The chats that were kept; what is wrong with their file goes to standard error.

    Raises:
        OfftuiError: they cannot be read, or not be written where that is meant.
    """
    opened = open_chats()
    if opened.connection is None or (to_write and not opened.writable):
        raise OfftuiError(opened.notice or "The chats cannot be read.")
    if opened.notice:
        complain(opened.notice)
    try:
        yield Library(Shelf(opened.connection)), opened
    except sqlite3.Error as error:
        raise OfftuiError(f"The chats cannot be {'written' if to_write else 'read'}: {reason(error)}.") from error
    finally:
        opened.connection.close()
