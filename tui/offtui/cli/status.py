"""``offtui status``: the machine and the session that runs, once, for people, programs and tmux."""

import argparse
import sys
import threading
import time
from typing import Final

import msgspec

from offtui.cli.commands import Commands
from offtui.cli.options import argument_type
from offtui.errors import OfftuiError, UsageError
from offtui.monitor.sample import Sample
from offtui.text import clean_line

PATIENCE: Final = 0.8
"""Seconds for the drivers of the GPUs; who is slower is unknown."""
SPAN: Final = 0.15
"""Seconds over which the CPU is measured."""


def add_parser(commands: Commands) -> None:
    """Declare the command and its options."""
    parser = commands.add(
        "status",
        run,
        help="say once what GPUs, RAM and the session of an offtui that runs are doing",
        description="One line about GPUs, RAM, CPU and the session of the offtui that was started last, if one runs.",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", action="store_true", help="one JSON object: bytes, shares 0 to 1, null where unknown or not there"
    )
    form.add_argument("--tmux", action="store_true", help="a short line: set -g status-right '#(offtui status --tmux)'")
    add_pid(parser)


def add_pid(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses among several."""
    parser.add_argument("--pid", type=argument_type(_pid), metavar="N", help="of the offtui to watch, if several run")


def run(arguments: argparse.Namespace) -> int:
    """Look once, print, and return 0."""
    from offtui.recorder import status
    from offtui.recorder.client import ask_state

    look = _Look()
    state = ask_state(arguments.pid)
    if state is None and arguments.pid is not None:
        raise OfftuiError(f"No offtui of process number {arguments.pid} runs.")
    sample = look.taken()
    if arguments.json:
        print(msgspec.json.encode(status.status_of(sample, state)).decode())
    elif arguments.tmux:
        print(status.tmux_line(sample, state))
    else:
        print(status.line(sample, state))
        for problem in sample.problems:
            print(clean_line(problem), file=sys.stderr)
    return 0


class _Look:
    """A sampler that takes two samples, as the CPU's share is that of the time between two."""

    def __init__(self) -> None:
        from offtui.monitor.sampler import Sampler

        self._newest: Sample | None = None
        self._enough = threading.Event()
        self._begun = time.monotonic()
        self._sampler = Sampler(self._listen, SPAN)
        self._sampler.start()

    def _listen(self, sample: Sample) -> None:
        self._newest = sample
        if sample.host.cpu is not None and (self._sampler.has_answers or time.monotonic() > self._begun + PATIENCE):
            self._enough.set()

    def taken(self) -> Sample:
        """The sample. A driver that hangs is not waited for long."""
        self._enough.wait(2 * PATIENCE)
        self._sampler.stop()
        return self._newest or Sample(time=self._begun)


def _pid(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 2**31:
        raise UsageError(f"{text!r} is not a process number")
    return int(text)
