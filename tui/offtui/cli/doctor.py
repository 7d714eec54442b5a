"""``offtui doctor``: does the installed llama.cpp match this machine, and if not, which command makes it."""

import argparse
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

import msgspec

from offtui import units
from offtui.cli.commands import Commands
from offtui.cli.doctor_advice import Advice, advise, has_backend
from offtui.cli.doctor_facts import Facts, Gpu, Terminal, describe, gather

_WIDTH = 80
_KEY = 18


def add_parser(commands: Commands) -> None:
    """Declare the command and its options."""
    parser = commands.add(
        "doctor",
        run,
        help="say whether the installed llama.cpp can use this machine's GPUs, and how to make it",
        description="Says which backends the installed llama.cpp has, which GPUs this machine has, and the command to "
        "run where the two do not match. Exit code 0: nothing to do; 1: something should be done.",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--has-backend", metavar="NAME", help="print nothing; exit with 0 if llama.cpp has this backend, else with 1"
    )


def run(arguments: argparse.Namespace) -> int:
    """Look, print, and return the exit code: 0 where nothing needs to be done, else 1."""
    if arguments.has_backend is not None:
        llama, _ = describe()
        return 0 if llama is not None and has_backend(llama.backends, arguments.has_backend) else 1
    facts = gather()
    advice = advise(facts)
    code = 1 if any(each.must for each in advice) else 0
    if arguments.json:
        answer = {"ok": code == 0, **msgspec.to_builtins(facts), "advice": msgspec.to_builtins(advice)}
        print(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
        return code
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and facts.terminal.term not in ("", "dumb")
    width = min(100, shutil.get_terminal_size((_WIDTH, 24)).columns) if sys.stdout.isatty() else _WIDTH
    print(report(facts, advice, width=max(40, width), colours=colours))
    return code


def report(facts: Facts, advice: Sequence[Advice], *, width: int = _WIDTH, colours: bool = False) -> str:
    """Everything as text: sections of aligned lines, no wider than ``width`` but for commands and names."""
    sections = [
        ("Versions", _rows(_versions(facts), width)),
        ("GPUs of this machine", _gpus(facts, width)),
        ("Devices llama.cpp sees", _devices(facts, width)),
        ("Folders searched for models", _folders(facts)),
        ("Terminal", _rows(_terminal(facts.terminal), width)),
        ("To do", _advice([each for each in advice if each.must], width) or ["  nothing: all matches"]),
        ("Worth knowing", _advice([each for each in advice if not each.must], width)),
    ]
    text = "\n\n".join("\n".join((_bold(title, colours), *lines)) for title, lines in sections if lines)
    encoding = facts.terminal.encoding
    return text.encode(encoding, "replace").decode(encoding) if encoding != "unknown" else text


def _versions(facts: Facts) -> list[tuple[str, str]]:
    return [
        ("offtui", facts.offtui),
        ("Python", f"{facts.python}, {facts.executable}"),
        ("system", facts.system),
        ("llama-cpp-python", facts.llama_cpp_python or "not installed"),
        ("backends", ", ".join(facts.llama.backends) if facts.llama else f"unknown: {facts.llama_failure}"),
    ]


def _gpus(facts: Facts, width: int) -> list[str]:
    rows = [(gpu.maker, _gpu(gpu)) for gpu in facts.gpus] or [("none found", "")]
    return _rows(rows + [("problem", problem) for problem in facts.gpu_problems], width)


def _gpu(gpu: Gpu) -> str:
    parts = [gpu.name]
    if gpu.total is not None:
        parts.append(f"{units.gib(gpu.total)} GiB")
    if gpu.integrated:
        parts.append("integrated, shares the RAM")
    parts.append(f"driver {gpu.driver}" if gpu.driver else "" if gpu.answers else "no driver")
    return ", ".join(part for part in parts if part) + ("" if gpu.answers else " (does not answer)")


def _devices(facts: Facts, width: int) -> list[str]:
    if facts.llama is None:
        return ["  unknown"]
    rows = [
        (
            device.name,
            f"{device.description}, {units.gib(device.free)} of {units.gib(device.total)} GiB free ({device.kind})",
        )
        for device in facts.llama.devices
    ]
    return _rows(rows, width) or ["  none"]


def _folders(facts: Facts) -> list[str]:
    home = os.path.expanduser("~")
    return [
        f"  {'found' if folder.exists else '–':<7}{folder.of:<15}"
        + (f"~{folder.path[len(home) :]}" if folder.path.startswith(home + os.sep) else folder.path)
        for folder in facts.folders
    ]


def _terminal(terminal: Terminal) -> list[tuple[str, str]]:
    unknown = "unknown" if terminal.tty else "unknown: the output is not a terminal"
    size = f"{terminal.columns}×{terminal.rows}" if terminal.columns else unknown
    through = [name for name, there in (("SSH", terminal.ssh), ("tmux", terminal.tmux)) if there]
    return [
        ("TERM", terminal.term or "not set"),
        ("colours", terminal.colours),
        ("size", size),
        ("through", ", ".join(through) or "neither SSH nor tmux"),
        ("encoding", terminal.encoding),
    ]


def _advice(advice: Sequence[Advice], width: int) -> list[str]:
    lines: list[str] = []
    for number, each in enumerate(advice, 1):
        mark = f"  {number}. "
        lines.extend(_wrap(each.text, width, mark))
        if each.command:  # on one line, however long: to be copied
            lines.extend(("", each.command, ""))
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _rows(rows: Sequence[tuple[str, str]], width: int) -> list[str]:
    lines: list[str] = []
    for key, value in rows:
        first = f"  {key:<{_KEY}} " if value else f"  {key}"
        lines.extend(_wrap(value, width, first) or [first])
    return lines


def _wrap(text: str, width: int, first: str) -> list[str]:
    """Lines of ``text`` behind ``first``, the later ones indented as far. Words stay whole: they may be paths."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _bold(text: str, colours: bool) -> str:
    return f"\x1b[1m{text}\x1b[0m" if colours else text
