"""A reload at another layer count over a bare load of the same in a fresh process: weights, context, one token."""

import json
import queue
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from offtui.engine.session import Session
from offtui.engine.state import Occurrence, SessionState
from offtui.protocol.events import Loaded, LoadFailed
from offtui.protocol.spec import LoadSpec
from tests.bench.report import Figure
from tests.fakes import gguf_shapes
from tests.fakes.device import RunningDevice

LAYERS = (0, 8, 16, 25)


def bare(model: Path, ngl: int, endpoint: str) -> float:
    """Seconds of a whole fresh process that loads and decodes one token."""
    command = [sys.executable, "-m", "tests.bench.bare", str(model), "--ngl", str(ngl), "--rpc", endpoint]
    started = time.perf_counter()
    json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return time.perf_counter() - started


class Reloads:
    """A session that loads on demand."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Occurrence] = queue.SimpleQueue()
        self.session = Session(self._listen)

    def _listen(self, _state: SessionState, occurrence: Occurrence) -> None:
        self._events.put(occurrence)

    def load(self, spec: LoadSpec) -> float:
        """Seconds from the wish until it is loaded and warmed up by one token."""
        started = time.perf_counter()
        self.session.want(spec)
        while True:
            event = self._events.get(timeout=120)
            if isinstance(event, LoadFailed):
                raise RuntimeError(event.failure.message)
            if isinstance(event, Loaded):
                return time.perf_counter() - started


def run(runs: int) -> list[Figure]:
    """By turns, at four layer counts over the RPC device, the file in the page cache."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder, RunningDevice() as device, RunningDevice() as other:
        model = gguf_shapes.write_random(Path(folder) / "half.gguf", gguf_shapes.bench_half())
        reloads = Reloads()
        try:
            spec = LoadSpec(model=str(model), n_gpu_layers=4, n_ctx=8192, n_threads=1, rpc=(device.endpoint,))
            reloads.load(spec)
            for ngl in LAYERS:
                ours = Figure(f"reload to {ngl} layers", "s", [])
                fresh = Figure(f"bare load of {ngl} layers, fresh process", "s", [])
                ratio = Figure(f"ratio at {ngl} layers", "", [], "≤ 1.25")
                for _ in range(runs):
                    fresh.values.append(bare(model, ngl, other.endpoint))
                    time.sleep(0.7)  # a person reads before pressing again; the spare worker starts meanwhile
                    changed = LoadSpec(
                        model=str(model), n_gpu_layers=ngl, n_ctx=8192, n_threads=1, rpc=(device.endpoint,)
                    )
                    ours.values.append(reloads.load(changed))
                    ratio.values.append(ours.values[-1] / fresh.values[-1])
                    reloads.load(spec)
                figures += [ours, fresh, ratio]
        finally:
            reloads.session.close()
    return figures
