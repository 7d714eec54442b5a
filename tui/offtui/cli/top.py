"""``offtui top``: the monitor alone."""

import argparse

from offtui.cli.commands import Commands
from offtui.cli.status import add_pid
from offtui.cli.terminal import need_terminal


def add_parser(commands: Commands) -> None:
    """Declare the command and its options."""
    parser = commands.add(
        "top",
        run,
        help="the monitor alone: GPUs, RAM, and the tokens of an offtui that runs in another terminal",
        description="Shows GPUs, RAM and CPU with their history, and the session of the offtui that was started last, "
        "with all that happened in it: loads, questions, answers, tokens per second.",
    )
    add_pid(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show it until the user quits."""
    from offtui import config

    settings = config.load()
    need_terminal("offtui status")
    from offtui.ui import app

    return app.run_top(settings, arguments.pid)
