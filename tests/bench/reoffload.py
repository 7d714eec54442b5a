"""The live re-offload: how long a running answer pauses, what a reload costs, and what its KV cache weighs.

A session with a random model of 0.5B shape over an RPC device with two slots, against the same load in a bare process.
"""

import queue
import tempfile
import time
from pathlib import Path

from offtui.engine.moves import MoveEnded
from offtui.engine.overlap import beside
from offtui.engine.session import Session
from offtui.engine.state import Occurrence, Phase, SessionState
from offtui.engine.transfer import Overlap
from offtui.protocol.events import LoadFailed, Piece, TurnEnded
from offtui.protocol.spec import LoadSpec, Message, Sampling
from tests.bench.reload import bare
from tests.bench.report import Figure
from tests.fakes import gguf_shapes
from tests.fakes.device import RunningDevice

LAYERS = (25, 0, 8)
WORDS = 120
"""Of the question; each is several tokens of the fake vocabulary."""
LARGE_WORDS = 330
"""Of one whose KV cache is a gigabyte."""


class Talk:
    """A session in the middle of an answer."""

    def __init__(self, overlap: Overlap | None) -> None:
        self._events: queue.SimpleQueue[tuple[SessionState, Occurrence]] = queue.SimpleQueue()
        self.session = Session(lambda state, event: self._events.put((state, event)), overlap=overlap)
        self._last = 0.0

    def until_ready(self) -> None:
        """Wait for a load, or an answer's end."""
        while self._next()[0].phase is not Phase.READY:
            pass

    def ask(self, tokens: int = 100_000, words: int = WORDS) -> None:
        """Begin an answer that does not end by itself; returns at its first text."""
        self.session.submit(1, (Message("user", "word " * words),), Sampling(temperature=0.0, max_tokens=tokens))
        self._piece()

    def move(self, spec: LoadSpec) -> tuple[float, float, SessionState]:
        """Seconds from the wish to the next text by the new split, and of the pause; the state then."""
        self._piece()
        began = time.monotonic()
        self.session.want(spec)
        while True:
            state, event = self._next()
            if isinstance(event, Piece):
                self._last = event.time
            if isinstance(event, MoveEnded):
                break
        if event.moved.failure is not None:
            raise RuntimeError(event.moved.failure.message)
        before = self._last
        state = self._piece()
        return self._last - began, self._last - before, state

    def _piece(self) -> SessionState:
        while True:
            state, event = self._next()
            if isinstance(event, Piece):
                self._last = event.time
                return state

    def _next(self) -> tuple[SessionState, Occurrence]:
        state, event = self._events.get(timeout=120)
        if isinstance(event, LoadFailed | TurnEnded):
            raise RuntimeError(str(event))
        return state, event


def run(runs: int) -> list[Figure]:
    """By turns, beside and in place; the file in the page cache."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder, RunningDevice(slots=2) as device, RunningDevice() as other:
        model = gguf_shapes.write_random(Path(folder) / "half.gguf", gguf_shapes.bench_half())
        for name, overlap in (("beside", beside), ("in place", None)):
            figures += _moves(name, overlap, model, device.endpoint, other.endpoint, runs)
        wide = gguf_shapes.write_random(Path(folder) / "wide.gguf", gguf_shapes.tiny_wide())
        return [*figures, *_large("beside", beside, wide, runs), *_large("in place", None, wide, runs)]


def _large(name: str, overlap: Overlap | None, model: Path, runs: int) -> list[Figure]:
    """An answer whose KV cache is a gigabyte, to a longer context and back, on the CPU."""
    pause = Figure(f"pause of an answer with a large KV cache, {name}", "ms", [])
    load = Figure(f"of it loading, {name}", "ms", [])
    size = Figure(f"KV cache carried, large, {name}", "MB", [])
    carried = Figure(f"saving and restoring 1 GB of it, {name}", "s", [], "≤ 1")
    again = Figure(f"tokens evaluated again, large, {name}", "", [], "0")
    talk = Talk(overlap)
    try:
        talk.session.want(LoadSpec(model=str(model), n_gpu_layers=0, n_ctx=2048, n_threads=1))
        talk.until_ready()
        talk.ask(words=LARGE_WORDS)
        for number in range(runs):
            n_ctx = 2048 if number % 2 else 2304
            _, gap, state = talk.move(LoadSpec(model=str(model), n_gpu_layers=0, n_ctx=n_ctx, n_threads=1))
            moved = state.moved
            if moved is None or moved.failure is not None:
                raise RuntimeError(f"the move failed: {moved}")
            pause.values.append(gap * 1000)
            load.values.append(0.0 if moved.beside or state.loaded is None else state.loaded.load_seconds * 1000)
            size.values.append(moved.size / 1e6)
            carried.values.append(moved.seconds * 1e9 / max(1, moved.size))
            again.values.append(float(0 if moved.tokens else state.n_past))
    finally:
        talk.session.close()
    return [pause, load, size, carried, again]


def _moves(name: str, overlap: Overlap | None, model: Path, endpoint: str, other: str, runs: int) -> list[Figure]:
    pause = Figure(f"pause of an answer, {name}", "ms", [], "≤ 250" if overlap else "")
    reload = Figure(f"key to first token, {name}", "s", [])
    ratio = Figure(f"over a bare load in a fresh process, {name}", "", [], "≤ 1.10")
    size = Figure(f"KV cache carried, {name}", "MiB", [])
    carried = Figure(f"saving and restoring it, {name}", "ms", [])
    again = Figure(f"tokens evaluated again, {name}", "", [], "0")

    def spec(layers: int) -> LoadSpec:
        return LoadSpec(model=str(model), n_gpu_layers=layers, n_ctx=8192, n_threads=1, rpc=(endpoint,))

    for _ in range(runs):
        talk = Talk(overlap)
        try:
            talk.session.want(spec(4))
            talk.until_ready()
            talk.ask()
            for layers in LAYERS:
                time.sleep(0.7)  # a person reads before pressing again; the spare worker starts meanwhile
                total, gap, state = talk.move(spec(layers))
                moved = state.moved
                if moved is None:
                    raise RuntimeError("the move was not told of")
                pause.values.append(gap * 1000)
                reload.values.append(total)
                ratio.values.append(total / bare(model, layers, other))
                size.values.append(moved.size / 2**20)
                carried.values.append(moved.seconds * 1000)
                again.values.append(float(0 if moved.tokens else state.n_past))
        finally:
            talk.session.close()
    return [pause, reload, ratio, size, carried, again]
