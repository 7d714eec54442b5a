"""``offtui import``: chats from a file, offtui's own or another program's."""

import argparse
import sys
import time
from pathlib import Path

from offtui.cli.chat_store import opened_chats
from offtui.cli.commands import Commands
from offtui.errors import LoadError
from offtui.store.chats.changes import PutChat
from offtui.store.chats.importing import read_chats
from offtui.store.chats.titles import UNTITLED
from offtui.text import clean_line

MOST_BYTES = 512 * 1024**2


def add_parser(commands: Commands) -> None:
    """Add ``import`` to the ``offtui`` command."""
    parser = commands.add(
        "import",
        run,
        help="keep chats from a file",
        description="Reads what `offtui export` wrote, lists of messages with role and content as OpenAI's, also one "
        "object a line, and Markdown whose headings say who speaks. What is imported is a new chat.",
    )
    parser.add_argument("file", metavar="FILE", help="- is standard input")


def run(arguments: argparse.Namespace) -> int:
    """Keep what is in it; the exit code."""
    name = clean_line(arguments.file, 300)
    try:
        chats = read_chats(_bytes(arguments.file))
    except OSError as error:
        raise LoadError(f"{name} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # a name that the system refuses
        raise LoadError(f"{name} cannot be read: {error}.") from error
    except LoadError as error:
        raise LoadError(f"{name} cannot be imported. {error}") from error
    with opened_chats(to_write=True) as (_, opened):
        connection = opened.connection
        assert connection is not None
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.execute("BEGIN IMMEDIATE")
        for chat in chats:
            PutChat(chat.row.id, chat).apply(connection, time.time())
        connection.execute("COMMIT")
    for chat in chats:
        count = "1 message" if len(chat.messages) == 1 else f"{len(chat.messages)} messages"
        sys.stdout.write(f"{chat.row.id}  {clean_line(chat.row.title) or UNTITLED} ({count})\n")
    return 0


def _bytes(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    path = Path(file).expanduser()
    if path.stat().st_size > MOST_BYTES:
        raise LoadError(f"It is larger than {MOST_BYTES // 1024**2} MiB.")
    return path.read_bytes()
