"""``offtui chats``: the chats that were kept, as a list."""

import argparse
import sys
import time

import msgspec

from offtui.cli.chat_store import opened_chats
from offtui.cli.commands import Commands
from offtui.store.chats.titles import UNTITLED
from offtui.store.chats.values import ChatRow
from offtui.text import clean_line


def add_parser(commands: Commands) -> None:
    """Add ``chats`` to the ``offtui`` command."""
    parser = commands.add(
        "chats",
        run,
        help="list the chats that were kept",
        description="Lists the chats that were kept, pinned ones first, then the newest. With words only those that "
        "have them all in their title, or in one message.",
    )
    parser.add_argument("--json", action="store_true", help="write a JSON list")
    parser.add_argument("words", nargs="*", metavar="WORD", help="what is looked for")


def run(arguments: argparse.Namespace) -> int:
    """List them; the exit code."""
    with opened_chats() as (library, _):
        rows = [row for row in library.rows(" ".join(arguments.words)) if row.messages]
    if arguments.json:
        fields = ("id", "title", "created", "updated", "pinned", "model", "tags", "messages")
        listed = [{name: getattr(row, name) for name in fields} for row in rows]
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(listed), indent=2).decode() + "\n")
    else:
        sys.stdout.writelines(line(row) + "\n" for row in rows)
        if not rows:
            sys.stderr.write("Nothing is found.\n" if arguments.words else "No chat has been kept yet.\n")
    return 0


def line(row: ChatRow) -> str:
    """A chat on a line: id, time, messages, title, tags; below, where the words were found."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.updated))
    words = [row.title or UNTITLED, *(f"#{tag}" for tag in row.tags), *(["(pinned)"] if row.pinned else [])]
    text = f"{row.id}  {when}  {row.messages:>5}  {clean_line(' '.join(words))}"
    return f"{text}\n{'':10}{clean_line(row.excerpt)}" if row.excerpt else text
