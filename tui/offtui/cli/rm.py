"""``offtui rm``: deletes a model file, after its name was typed."""

import argparse
import sys
from pathlib import Path

from offtui import config
from offtui.cli.commands import Commands
from offtui.cli.exits import complain
from offtui.errors import LoadError, OfftuiError, UsageError
from offtui.gguf.library import ModelFile, default_folders, search
from offtui.gguf.names import is_gguf
from offtui.models.removing import remove, what_goes
from offtui.store.catalogue import Catalogue
from offtui.text import clean_line
from offtui.units import size_text


def add_parser(commands: Commands) -> None:
    """Add ``rm`` to the ``offtui`` command."""
    parser = commands.add(
        "rm",
        run,
        help="delete a model file",
        description="Deletes a model with all its parts; of Hugging Face's cache the bytes and every name of them. "
        "Asks for the name first.",
    )
    parser.add_argument("name", metavar="MODEL", help="a path, or a name as offtui models lists it")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace) -> int:
    """Delete it; the exit code."""
    file = _found(arguments.name)
    paths = what_goes(file)
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise UsageError("Deleting is asked about on a terminal; elsewhere say --yes.")
        for path in paths:
            sys.stderr.write(f"  {clean_line(str(path))}\n")
        sys.stderr.write(f"{size_text(file.bytes)} will be deleted. Type {file.name} to do it: ")
        sys.stderr.flush()
        if sys.stdin.readline().strip() != file.name:
            complain("Nothing was deleted.")
            return 1
    freed = remove(file)
    catalogue = Catalogue()
    catalogue.forget(str(file.path))
    catalogue.close()
    sys.stdout.write(f"Deleted {file.name}: {size_text(freed)} free again.\n")
    return 0


def _found(name: str) -> ModelFile:
    folders = default_folders(config.load())
    path = Path(name).expanduser()
    try:
        there = path.is_file()
    except (OSError, ValueError):  # no name of a file
        there = False
    models = search(folders).models
    if there:
        known = [model for model in models if any(part.absolute() == path.absolute() for part in model.parts)]
        if not known and not is_gguf(path.name):
            raise OfftuiError(f"{clean_line(name, 200)} is no GGUF file; offtui deletes only those.")
        return known[0] if known else search([path.absolute()]).models[0]
    named = [model for model in models if model.name == name]
    if len(named) > 1:
        places = ", ".join(clean_line(str(model.path), 200) for model in named[:4])
        raise UsageError(f"{len(named)} models are called so; name one by its path: {places}.")
    if not named:
        raise LoadError(f"There is no model {clean_line(name, 200)}; offtui models lists them.")
    return named[0]
