"""``offtui models``: the model files of this machine."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from offtui import config
from offtui.cli.commands import Commands
from offtui.cli.exits import complain
from offtui.gguf.library import default_folders, search
from offtui.models.entries import Entry, known, read_unknown
from offtui.store.catalogue import Catalogue
from offtui.store.measurements import Store
from offtui.text import clean_line
from offtui.units import UNKNOWN, count_text, params_text, rate_text, size_text

SORTS: Final = ("name", "size", "params", "used")


def add_parser(commands: Commands) -> None:
    """Add ``models`` to the ``offtui`` command."""
    parser = commands.add(
        "models",
        run,
        help="list the model files of this machine",
        description="Lists the models in the configured folders and in the caches of Hugging Face, LM Studio, "
        "llama.cpp and Ollama. Headers are read once and remembered.",
    )
    parser.add_argument("words", metavar="WORD", nargs="*", help="only models whose name, quant or repository has it")
    parser.add_argument("--json", action="store_true", help="write one JSON array")
    parser.add_argument("--sort", choices=SORTS, default="name", help="by what (default name)")


def run(arguments: argparse.Namespace) -> int:
    """List them; the exit code."""
    found = search(default_folders(config.load()))
    catalogue = Catalogue()
    store = Store()
    try:
        speeds = {path: point.tps for path, point in store.newest_speeds().items()}
        entries = known(found.models, catalogue, speeds)
        read = {entry.file.path: entry for batch in read_unknown(entries, catalogue) for entry in batch}
    finally:
        catalogue.close()
        store.close()
    entries = [read.get(entry.file.path, entry) for entry in entries]
    entries = ordered([entry for entry in entries if matches(entry, arguments.words)], arguments.sort)
    for notice in (*found.problems, *catalogue.notices):
        complain(notice)
    if arguments.json:
        sys.stdout.write(msgspec.json.encode([_json(entry) for entry in entries]).decode() + "\n")
    elif entries:
        sys.stdout.write(_text(entries))
    else:
        complain("No model file was found; name a folder under models in config.toml, or see offtui search.")
    return 0


def matches(entry: Entry, words: Sequence[str]) -> bool:
    """Whether every word occurs in its name, quant, architecture or repository."""
    arch = entry.facts.arch if entry.facts else ""
    text = f"{entry.file.name} {entry.quant} {entry.file.repo} {arch}".casefold()
    return all(word.casefold() in text for word in words)


def ordered(entries: Sequence[Entry], by: str) -> list[Entry]:
    """By name; or the largest, the newest used first."""
    match by:
        case "size":
            return sorted(entries, key=lambda entry: -entry.file.bytes)
        case "params":
            return sorted(entries, key=lambda entry: -(entry.facts.n_params if entry.facts else 0))
        case "used":
            return sorted(entries, key=lambda entry: -(entry.used or 0))
        case _:
            return list(entries)


def _json(entry: Entry) -> dict[str, Any]:
    facts = entry.facts if entry.facts and not entry.facts.failure else None
    return {
        "path": _text_of(entry.file.path),
        "files": [_text_of(part) for part in entry.file.parts],
        "name": entry.file.name,
        "arch": facts.arch if facts and facts.arch else None,
        "quant": entry.quant or None,
        "bytes": entry.file.bytes,
        "n_layer": facts.n_layer if facts and facts.n_layer else None,
        "kind": entry.kind,
    }


def _text_of(path: Path) -> str:
    """A name for JSON: bytes that are not UTF-8 as U+FFFD."""
    return os.fsencode(path).decode("utf-8", "replace")


def _text(entries: Sequence[Entry]) -> str:
    head = ("name", "params", "arch", "quant", "size", "context", "layers", "t/s", "from")
    rows = [head, *[_row(entry) for entry in entries]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    right = {1, 4, 5, 6, 7}
    lines = [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _row(entry: Entry) -> tuple[str, ...]:
    facts, file = entry.facts, entry.file
    if facts is None or facts.failure:
        lacking = f"lacks {file.missing} of {file.missing + len(file.parts)} parts" if file.missing else ""
        why = lacking or (facts.failure if facts else "not read")
        figures = (UNKNOWN, "", entry.quant, size_text(file.bytes), UNKNOWN, UNKNOWN, UNKNOWN)
        return (clean_line(file.name, 60), *figures, why)
    return (
        clean_line(file.name, 60),
        params_text(facts.n_params),
        facts.arch,
        entry.quant,
        size_text(file.bytes),
        count_text(facts.n_ctx_train) if facts.n_ctx_train else UNKNOWN,
        str(facts.n_layer + 1) if facts.n_layer else UNKNOWN,
        rate_text(entry.tps),
        (file.repo or file.source) + ("" if entry.kind == "model" else f" ({entry.kind})"),
    )
