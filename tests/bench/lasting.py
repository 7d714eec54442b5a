"""What two hundred reloads in a row leave behind, and what a large KV cache takes to carry.

A session over an RPC device with two slots; the file in the page cache.
"""

import os
import tempfile
import time
from pathlib import Path

import psutil

from offtui.engine.overlap import beside
from offtui.engine.state import SessionState
from offtui.protocol.spec import LoadSpec
from tests.bench.reoffload import Talk
from tests.bench.report import Figure
from tests.fakes import gguf_shapes
from tests.fakes.device import RunningDevice

RELOADS = 200
WARM = 20
"""Reloads before the memory is compared."""


def run(runs: int) -> list[Figure]:
    """Reloads between 0 and all layers in an answer that does not end; ``runs`` times forty."""
    count = RELOADS if runs >= 5 else 40 * runs
    with tempfile.TemporaryDirectory() as folder, RunningDevice(slots=2) as device:
        model = gguf_shapes.write_random(Path(folder) / "tiny.gguf", gguf_shapes.bench_tiny())
        return _reloads(model, device.endpoint, count)


def _reloads(model: Path, endpoint: str, count: int) -> list[Figure]:
    ours = Figure("memory of the parent, last reload over the twentieth", "", [], "≤ 1.05")
    theirs = Figure("memory of the last worker over the twentieth's", "", [], "≤ 1.05")
    left = Figure("processes left", "", [], "0")
    files = Figure("descriptors left", "", [], "0")
    shared = Figure("shared memory left", "KiB", [], "0")
    again = Figure("reloads that evaluated tokens again", "", [], "0")
    talk = Talk(beside)
    memory_before = _shared()
    files_before = len(os.listdir("/proc/self/fd"))
    try:
        talk.session.want(_spec(model, 0, endpoint))
        talk.until_ready()
        talk.ask(20_000)
        early: tuple[int, int] = (0, 0)
        evaluated = 0
        for number in range(count):
            *_, state = talk.move(_spec(model, 13 if number % 2 == 0 else 0, endpoint))
            evaluated += state.moved is None or not state.moved.tokens
            if number + 1 == WARM:
                early = _memory(state)
        late = _memory(state)
        ours.values.append(late[0] / early[0])
        theirs.values.append(late[1] / early[1])
        again.values.append(float(evaluated))
    finally:
        talk.session.close()
    left.values.append(float(len([p for p in psutil.Process().children(recursive=True) if _is_worker(p)])))
    files.values.append(float(len(os.listdir("/proc/self/fd")) - files_before))
    shared.values.append(max(0.0, (_shared() - memory_before) / 1024))
    return [ours, theirs, left, files, shared, again]


def _spec(model: Path, layers: int, endpoint: str) -> LoadSpec:
    return LoadSpec(model=str(model), n_gpu_layers=layers, n_ctx=32768, n_threads=1, rpc=(endpoint,))


def _memory(state: SessionState) -> tuple[int, int]:
    """Bytes of this process and of the session's worker, at rest; of the worker without what is mapped and shared."""
    time.sleep(0.5)
    workers = [p for p in psutil.Process().children(recursive=True) if _is_worker(p)]
    return psutil.Process().memory_info().rss, max(_own(p) for p in workers)


def _own(process: psutil.Process) -> int:
    """Weights and copies of the KV cache are not among it: those grow with the answer, and the parent counts them."""
    info = process.memory_info()
    return info.rss - info.shared


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "offtui.worker" in process.cmdline() and "--fd" in process.cmdline()
    except psutil.Error:
        return False


def _shared() -> int:
    """Bytes of shared memory of the whole machine."""
    for line in Path("/proc/meminfo").read_text("ascii").splitlines():
        if line.startswith("Shmem:"):
            return int(line.split()[1]) * 1024
    return 0
