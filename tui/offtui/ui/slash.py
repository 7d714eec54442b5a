"""What is typed after ``/`` in the prompt: found in the table of commands, or refused with one clear sentence."""

import difflib
from dataclasses import dataclass

from offtui.errors import UsageError
from offtui.text import clean_line
from offtui.ui.commands import BY_SLASH, Command


@dataclass(frozen=True)
class Call:
    """A command with what follows its name."""

    command: Command
    argument: str


def is_slash(text: str) -> bool:
    """Whether the prompt's text is a command and no question: ``/`` and a letter, on one line."""
    return text.startswith("/") and text[1:2].isalpha() and "\n" not in text.strip()


def parse(text: str) -> Call:
    """The command that ``text`` names.

    Raises:
        UsageError: no such command, or an argument where there is none.
    """
    name, _, argument = text.strip().removeprefix("/").partition(" ")
    command = BY_SLASH.get(name.lower())
    if command is None:
        near = difflib.get_close_matches(name.lower(), BY_SLASH, 1)
        hint = f"did you mean /{near[0]}?" if near else "/help lists them."
        raise UsageError(f"There is no command /{clean_line(name, 40)}; {hint}")
    argument = argument.strip()
    if argument and not command.argument:
        raise UsageError(f"/{command.slash} takes nothing after it.")
    return Call(command, argument)


def hints(text: str) -> list[Command]:
    """The commands that ``text`` may become, by name; none where it is no command."""
    if not text.startswith("/") or text.startswith("//") or "\n" in text:
        return []
    name, space, _ = text[1:].partition(" ")
    found = [command for slash, command in sorted(BY_SLASH.items()) if slash.startswith(name.lower())]
    return [command for command in found if command.slash == name.lower()] if space else found
