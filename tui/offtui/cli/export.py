"""``offtui export``: a chat as Markdown or JSON, on standard output."""

import argparse
import sys

from offtui.cli.chat_store import opened_chats
from offtui.cli.commands import Commands
from offtui.errors import UsageError
from offtui.text import clean_line


def add_parser(commands: Commands) -> None:
    """Add ``export`` to the ``offtui`` command."""
    parser = commands.add(
        "export",
        run,
        help="write a chat as Markdown or JSON",
        description="Writes the branch of a chat that is shown, with what each answer was written with.",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--md", action="store_true", help="Markdown (that is so without an option too)")
    kind.add_argument("--json", action="store_true", help="JSON: title, messages with role, content and stamp")
    parser.add_argument("chat", metavar="last|ID", help="an id that `offtui chats` lists, or how one begins")


def run(arguments: argparse.Namespace) -> int:
    """Write it; the exit code."""
    with opened_chats() as (library, _):
        chat = library.named(arguments.chat)
        if chat is None:
            known = [row.id for row in library.rows() if arguments.chat and row.id.startswith(arguments.chat)]
            if len(known) > 1:
                start = clean_line(arguments.chat, 40)
                raise UsageError(f"{len(known)} chats begin with {start!r}; give more of the id.")
            if arguments.chat == "last":
                raise UsageError("No chat has been kept yet.")
            raise UsageError(f"There is no chat {clean_line(arguments.chat, 40)!r}; `offtui chats` lists them.")
    from offtui.store.chats.exporting import to_json, to_markdown

    sys.stdout.buffer.write(to_json(chat) if arguments.json else to_markdown(chat).encode("utf-8", "replace"))
    sys.stdout.buffer.flush()
    return 0
