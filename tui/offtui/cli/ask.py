"""``offtui ask``: one question, one answer, without a screen."""

import argparse
import contextlib
import os
import queue
import signal
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from types import FrameType

import msgspec

from offtui import config
from offtui.cli.commands import Commands
from offtui.cli.exits import complain, report
from offtui.cli.options import add_session_options, options_from
from offtui.engine.child import WORKER_COMMAND
from offtui.engine.session import Session
from offtui.engine.state import Occurrence, Phase, SessionState, WorkerEnded
from offtui.errors import OfftuiError, UsageError
from offtui.options import Options
from offtui.protocol.events import Loaded, LoadFailed, LoadProgress, Piece, Stop, TurnEnded, TurnFailed
from offtui.protocol.facts import DeviceLedger, Failure, LayerCount, Learned, Timings
from offtui.protocol.spec import Message

_TURN = 1
_DIM, _UNDIM = "\x1b[2m", "\x1b[22m"
_ERASE_LINE = "\r\x1b[K"


class AnswerTimings(msgspec.Struct, frozen=True):
    """Milliseconds, tokens, and tokens per second; ``null`` where nothing was measured."""

    load_ms: float
    ttft_ms: float
    prompt_tokens: int
    reused_tokens: int
    prompt_tps: float | None
    tokens: int
    tps: float | None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The object that ``--json`` writes."""

    text: str
    reasoning: str
    model: str
    n_gpu_layers: LayerCount
    devices: tuple[DeviceLedger, ...]
    timings: AnswerTimings
    stop: Stop
    n_ctx: int
    notices: tuple[str, ...]


class AskFailed(Exception):
    """The session told of a failure; there will be no (whole) answer."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def add_parser(commands: Commands) -> None:
    """Declare ``offtui ask``."""
    parser = commands.add(
        "ask",
        run,
        help="answer one question on standard output",
        description="Load a model, answer one question on standard output, and exit.",
        epilog="Exit codes: 0 answered, 2 bad usage, 3 the file cannot be loaded, 4 out of memory, 1 anything else.",
    )
    add_session_options(parser, inherit=True)
    parser.add_argument("--json", action="store_true", help="write one JSON object: text, devices, timings")
    parser.add_argument("prompt", nargs="*", metavar="PROMPT", help="the question; - or nothing: standard input")


def run(arguments: argparse.Namespace) -> int:
    """Carry out ``offtui ask``; gives the exit code."""
    prompt = read_prompt(arguments.prompt)
    options = options_from(arguments, config.load())
    _say_what_changed(options.load_spec().model)
    voice = Voice() if arguments.json else PlainVoice()
    try:
        with _signals_as_exits():
            answer = ask(options, prompt, voice, WORKER_COMMAND)
    except AskFailed as failed:
        voice.end()
        return report(failed.failure)
    finally:
        voice.end()
    if arguments.json:
        try:
            sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OfftuiError(f"The answer cannot be written: {error.strerror}.") from error
    return 0


def _say_what_changed(model: str) -> None:
    """One line where the file is not the one whose SHA-256 was recorded any more."""
    from offtui.models.integrity import difference, parts_of
    from offtui.store.catalogue import Catalogue

    with contextlib.closing(Catalogue()) as catalogue:
        for part in parts_of(Path(model)):
            if notice := difference(catalogue, part):
                complain(f"{notice}.")
                return


def read_prompt(words: list[str]) -> str:
    """The question, of the command line or of standard input.

    Raises:
        UsageError: there is none.
    """
    if words and words != ["-"]:
        # Bytes of the command line that are not UTF-8 arrive as surrogates.
        prompt = " ".join(words).encode("utf-8", "replace").decode()
    elif words or not sys.stdin.isatty():
        prompt = sys.stdin.buffer.read().decode("utf-8", "replace")
    else:
        raise UsageError("There is no question; write it behind `offtui ask`, or pipe it in.")
    if not prompt.strip():
        raise UsageError("The question is empty.")
    return prompt


class Voice:
    """What is shown while the answer comes. This one shows nothing: with ``--json`` the one object comes at the end."""

    def loading(self, progress: LoadProgress) -> None:
        """The load goes on."""

    def loaded(self, loaded: Loaded) -> None:
        """The model is ready."""

    def piece(self, piece: Piece) -> None:
        """Some text has come."""

    def end(self) -> None:
        """There will be no more text."""


class PlainVoice(Voice):
    """The answer on standard output as it comes; everything else on standard error."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._dim = self._terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._progress_shown = False
        self._thinking = False
        self._line_open = False

    def loading(self, progress: LoadProgress) -> None:
        """A percentage, on a terminal only; it is erased later."""
        if self._terminal and progress.step == "weights":
            sys.stderr.write(f"\rLoading {progress.fraction:4.0%}")
            sys.stderr.flush()
            self._progress_shown = True

    def loaded(self, loaded: Loaded) -> None:
        """What a person should know of the load."""
        self._erase_progress()
        for notice in loaded.notices:
            sys.stderr.write(f"offtui: {notice}\n")
        sys.stderr.flush()

    def piece(self, piece: Piece) -> None:
        """The answer's text; reasoning only where somebody looks."""
        if piece.channel == "answer":
            self._stop_thinking()
            # First, for a signal may end the program in the middle of this.
            self._line_open = not piece.text.endswith("\n") if piece.text else self._line_open
            sys.stdout.write(piece.text)
            sys.stdout.flush()
        elif self._terminal:
            self._thinking = True
            sys.stderr.write(f"{_DIM}{piece.text}{_UNDIM}" if self._dim else piece.text)
            sys.stderr.flush()

    def end(self) -> None:
        """End the line."""
        self._erase_progress()
        self._stop_thinking()
        if self._line_open:
            self._line_open = False
            sys.stdout.write("\n")
            sys.stdout.flush()

    def _erase_progress(self) -> None:
        if self._progress_shown:
            self._progress_shown = False
            sys.stderr.write(_ERASE_LINE)
            sys.stderr.flush()

    def _stop_thinking(self) -> None:
        if self._thinking:
            self._thinking = False
            sys.stderr.write("\n")
            sys.stderr.flush()


def ask(options: Options, prompt: str, voice: Voice, command: Sequence[str]) -> Answer:
    """Load, ask, and wait for the end of the answer; the worker is gone when this returns or raises.

    Raises:
        AskFailed: the load or the turn failed, or the worker died.
    """
    occurrences: queue.SimpleQueue[tuple[SessionState, Occurrence]] = queue.SimpleQueue()

    def learned() -> Learned:
        from offtui.planner.learning import learned_from

        return learned_from(options.config.vram_overhead_bytes)

    session = Session(
        lambda state, occurrence: occurrences.put((state, occurrence)), command=command, spare=False, learned=learned
    )
    text: list[str] = []
    reasoning: list[str] = []
    loaded: Loaded | None = None
    try:
        spec = options.load_spec()
        session.want(spec)
        while True:
            state, occurrence = occurrences.get()
            match occurrence:
                case LoadProgress():
                    voice.loading(occurrence)
                case Loaded():
                    loaded = occurrence
                    voice.loaded(loaded)
                    session.submit(_TURN, _messages(options, prompt), options.sampling)
                case Piece():
                    (text if occurrence.channel == "answer" else reasoning).append(occurrence.text)
                    voice.piece(occurrence)
                case TurnEnded() if loaded is not None:
                    return _answer(spec.model, loaded, "".join(text), "".join(reasoning), occurrence)
                case LoadFailed() | TurnFailed() | WorkerEnded() if occurrence.failure is not None:
                    raise AskFailed(occurrence.failure)
                case _ if state.phase is Phase.CLOSED:
                    raise OfftuiError("The session ended before the answer did.")
                case _:
                    pass
    finally:
        session.close()


@contextlib.contextmanager
def _signals_as_exits() -> Generator[None]:
    """SIGTERM and SIGHUP unwind the stack, as Ctrl+C does, so that the worker is ended and reaped."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = [(number, signal.signal(number, leave)) for number in (signal.SIGTERM, signal.SIGHUP)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _messages(options: Options, prompt: str) -> list[Message]:
    system = options.config.system_prompt
    return ([Message("system", system)] if system else []) + [Message("user", prompt)]


def _answer(model: str, loaded: Loaded, text: str, reasoning: str, ended: TurnEnded) -> Answer:
    return Answer(
        text=text,
        reasoning=reasoning,
        model=model,
        n_gpu_layers=loaded.layers,
        devices=loaded.devices,
        timings=_timings(loaded.load_seconds, ended.timings),
        stop=ended.stop,
        n_ctx=loaded.n_ctx,
        notices=loaded.notices,
    )


def _timings(load_seconds: float, timings: Timings) -> AnswerTimings:
    return AnswerTimings(
        load_ms=round(load_seconds * 1000, 3),
        ttft_ms=round(timings.ttft_seconds * 1000, 3),
        prompt_tokens=timings.prompt_tokens,
        reused_tokens=timings.reused_tokens,
        prompt_tps=timings.prompt_tps,
        tokens=timings.tokens,
        tps=timings.tps,
    )
