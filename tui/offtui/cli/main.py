"""The ``offtui`` command: which subcommand is meant, and how failures end. Imports late, for a quick start."""

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Sequence

import msgspec

from offtui import __version__
from offtui.cli.commands import Commands
from offtui.cli.exits import BROKEN_PIPE, INTERRUPTED, complain
from offtui.cli.options import Parser, add_session_options, options_from
from offtui.cli.terminal import need_terminal
from offtui.errors import OfftuiError

COMMANDS = (
    "ask", "chats", "device", "doctor", "export", "import", "models", "plan", "pull", "rm", "search", "status", "top",
)  # fmt: skip
"""Modules of this folder with an ``add_parser``; ``import`` is in ``import_``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``offtui`` with these arguments, by default those of the process; gives the exit code."""
    # An answer may hold characters that the terminal's encoding lacks.
    with contextlib.suppress(AttributeError, ValueError):
        sys.stdout.reconfigure(errors="replace")  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue] -- a text stream of another kind has none
    try:
        words = sys.argv[1:] if argv is None else list(argv)
        arguments = _parser(words).parse_args(words)
        code: int = arguments.run(arguments)
    except OfftuiError as error:
        complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout once more when it exits; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return code


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser that understands ``words``: only the subcommands they name are imported, all of them for help."""
    parser = Parser(
        prog="offtui",
        description="Run GGUF models that do not fit the GPU: choose the layers, see the cost, chat, "
        "and turn the offload while it talks.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"offtui {__version__}")
    add_session_options(parser)
    parser.add_argument("--no-load", action="store_true", help="open on the model's plan instead of loading it")
    chat = parser.add_mutually_exclusive_group()
    chat.add_argument(
        "-c", "--continue", dest="chat", action="store_const", const="last", help="go on with the last chat"
    )
    chat.add_argument(
        "--resume", dest="chat", metavar="ID", nargs="?", const="choose", help="choose a chat to go on with, or name it"
    )
    parser.set_defaults(run=_run_app)
    named = [name for name in COMMANDS if name in words]
    if not named and not {"-h", "--help"} & set(words):
        return parser
    commands = Commands(parser)
    for name in named or COMMANDS:
        module = "import_" if name == "import" else name
        importlib.import_module(f"offtui.cli.{module}").add_parser(commands)
    return parser


def _run_app(arguments: argparse.Namespace) -> int:
    from offtui import config

    options = msgspec.structs.replace(options_from(arguments, config.load()), chat=arguments.chat)
    need_terminal("offtui ask")

    from offtui.ui import app

    return app.run(options)
