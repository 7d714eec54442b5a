"""A reload at another layer count on the monitor's tape: ``python -m tests.bench recording``.

A model answers on a real second device, is loaded again with other layers, and answers on. The page of the full
monitor is printed, the tape is written to ``results/recording.csv`` and ``.json``, and the figures say where the step,
the gap and the marks are.
"""

import tempfile
import threading
import time
from pathlib import Path

from offtui.engine.session import Session
from offtui.engine.state import Occurrence, SessionState
from offtui.monitor.history import Event, Mark
from offtui.monitor.sample import Sample
from offtui.monitor.sampler import Sampler
from offtui.protocol.events import Loaded, Piece, TurnEnded
from offtui.protocol.spec import LoadSpec, Message, Sampling
from offtui.recorder import export
from offtui.recorder.tape import Tape
from offtui.ui.widgets.lanes import Window
from offtui.ui.widgets.monitor_page import Page, page_lines
from tests.bench.report import Figure
from tests.fakes import gguf_shapes
from tests.fakes.device import RunningDevice

BEFORE, AFTER = 4, 20
"""Layers on the device."""
ANSWERING = 6.0
"""Seconds of answer before and after the reload."""


class Recording:
    """A session, a sampler and their tape."""

    def __init__(self) -> None:
        self.tape = Tape()
        self.sample: Sample | None = None
        self.state = SessionState()
        self.seen: list[tuple[float, Occurrence]] = []
        """What happened but for text, when it was heard."""
        self._news = threading.Condition()
        self.session = Session(self._hear, overlap=None)
        self._sampler = Sampler(self._observe, 0.5)
        self._sampler.start()

    def _hear(self, state: SessionState, occurrence: Occurrence) -> None:
        now = time.monotonic()
        self.tape.hear(state, occurrence, now)
        with self._news:
            self.state = state
            self.seen.append((occurrence.time if isinstance(occurrence, Piece) else now, occurrence))
            self._news.notify_all()

    def _observe(self, sample: Sample) -> None:
        self.tape.observe(sample, self.state)
        self.sample = sample

    def until(self, kind: type, count: int) -> float:
        """Wait for the occurrence of a kind that is number ``count``; when it was."""
        with self._news:
            self._news.wait_for(lambda: self._count(kind) >= count, 120)
            return [at for at, each in self.seen if isinstance(each, kind)][count - 1]

    def _count(self, kind: type) -> int:
        return sum(isinstance(each, kind) for _, each in self.seen)

    def close(self) -> None:
        """End both."""
        self.session.close()
        self._sampler.stop()


def run(runs: int) -> list[Figure]:
    """Once: it is a recording."""
    del runs
    with tempfile.TemporaryDirectory() as folder, RunningDevice(2, "--threads", "2") as device:
        model = gguf_shapes.write_random(Path(folder) / "half.gguf", gguf_shapes.bench_half())
        recording = Recording()
        try:
            spec = LoadSpec(model=str(model), n_gpu_layers=BEFORE, n_ctx=4096, n_threads=1, rpc=(device.endpoint,))
            recording.session.want(spec)
            recording.until(Loaded, 1)
            time.sleep(2.0)
            question = (Message("user", "word " * 40),)
            recording.session.submit(1, question, Sampling(temperature=0.0, max_tokens=100_000))
            recording.until(Piece, 1)
            time.sleep(ANSWERING)
            wished = time.monotonic()
            recording.session.want(
                LoadSpec(model=str(model), n_gpu_layers=AFTER, n_ctx=4096, n_threads=1, rpc=(device.endpoint,))
            )
            up = recording.until(Loaded, 2)
            time.sleep(ANSWERING)
            recording.session.stop()
            recording.until(TurnEnded, 1)
            time.sleep(1.5)
            return _figures(recording, wished, up)
        finally:
            recording.close()


def _figures(recording: Recording, wished: float, up: float) -> list[Figure]:
    tape, sample = recording.tape, recording.sample
    assert sample is not None
    window = Window(60.0, sample.time)
    with tape.lock:
        page = Page(118, 34, tape, recording.state, sample, window, live=True, would=lambda _: None)
        print("\n".join(line.plain.rstrip() for line in page_lines(page)))
    for suffix in ("csv", "json"):
        path = Path(__file__).parent / "results" / f"recording.{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        export.write(tape, path)
    pieces = [at for at, each in recording.seen if isinstance(each, Piece)]
    gap_from, gap_to = max(at for at in pieces if at <= up), min(at for at in pieces if at > up)

    def mean(name: str, begin: float, end: float) -> float:
        known = [value for at, value in tape.history.series(name) if begin <= at <= end and value is not None]
        return sum(known) / len(known) if known else float("nan")

    def mark(event: Event, after: float = 0.0) -> Mark:
        return next(mark for mark in tape.history.marks(after) if mark.event is event)

    reload, again = mark(Event.RELOAD), mark(Event.LOADED, wished)
    holes = [at for at, value in tape.history.series("tps") if value is None and gap_from < at < gap_to]
    print(f"marks: reload {reload.note!r} {reload.time - wished:+.3f} s after the wish, up {again.note!r}")
    return [
        Figure(f"VRAM at {BEFORE} layers", "MiB", [mean("vram", wished - 3, wished) / 2**20]),
        Figure(f"VRAM at {AFTER} layers", "MiB", [mean("vram", up + 1.5, up + 5) / 2**20], "more"),
        Figure(f"tokens/s at {BEFORE} layers", "t/s", [mean("tps", wished - 4, wished)]),
        Figure(f"tokens/s at {AFTER} layers", "t/s", [mean("tps", gap_to + 0.5, gap_to + 5)], "another level"),
        Figure("gap between the tokens", "s", [gap_to - gap_from]),
        Figure("looks in the gap without a speed", "", [float(len(holes))], "≥ 1"),
        Figure("mark of the reload, after the wish", "s", [reload.time - wished], "≤ 1"),
        Figure("mark of its end, after it was up", "s", [abs(again.time - up)], "≤ 1"),
    ]
