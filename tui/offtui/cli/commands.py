"""The subcommands of ``offtui``, as argparse knows them."""

import argparse
from collections.abc import Callable


class Commands:
    """Those that one parser understands."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._made = parser.add_subparsers(title="without the screen", metavar="COMMAND")

    def add(
        self, name: str, run: Callable[[argparse.Namespace], int], *, help: str, description: str, epilog: str = ""
    ) -> argparse.ArgumentParser:
        """A subcommand.

        Args:
            name: what is typed.
            run: carries it out; gives the exit code.
            help: one line of ``offtui --help``.
            description: of its own ``--help``.
            epilog: at the end of that.
        """
        parser = self._made.add_parser(
            name, help=help, description=description, epilog=epilog or None, allow_abbrev=False
        )
        parser.set_defaults(run=run)
        return parser
