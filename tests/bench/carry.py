"""What a large KV cache takes to carry from worker to worker, and what its copies cost an answer.

Bare worker processes on the CPU. The cache is a gigabyte and more, of a model with hardly any weights; the same answer
is written with and without copies by turns.
"""

import os
import socket
import tempfile
from pathlib import Path

import psutil

from offtui.protocol.codec import encode
from offtui.protocol.events import Checkpointed, Loaded, LoadFailed, StateRestored, StateSaved, TurnEnded
from offtui.protocol.requests import Generate, KeepCheckpoint, Load, Request, RestoreState, SaveState
from offtui.protocol.spec import LoadSpec, Message, Sampling
from tests.bench.report import Figure
from tests.fakes import gguf_shapes
from tests.fakes.worker_client import WorkerClient

TOKENS = 6000
"""Of an answer, so that there are several copies of it."""
MOST = 2**31
"""Bytes of a copy at most; what the app allows is less."""
WORDS = 175
"""Of the question before the large cache; each is several tokens of the fake vocabulary, of two MiB each."""


def run(runs: int) -> list[Figure]:
    """The large cache, then answers with copies and without by turns."""
    with tempfile.TemporaryDirectory() as folder:
        return [*_large(Path(folder), runs), *_copies(Path(folder), runs)]


def _large(folder: Path, runs: int) -> list[Figure]:
    size = Figure("KV cache carried", "MiB", [], "≥ 1024")
    saving = Figure("saving it", "s", [])
    restoring = Figure("restoring it", "s", [])
    both = Figure("carrying 1 GiB of it", "s", [], "≤ 1")
    cpu = Figure("processor time for carrying 1 GiB", "s", [])
    again = Figure("tokens not taken over", "", [], "0")
    model = gguf_shapes.write_random(folder / "wide.gguf", gguf_shapes.tiny_wide())
    spec = LoadSpec(
        model=str(model), n_gpu_layers=0, n_ctx=1024, type_k="f32", type_v="f32", flash_attn="off", n_threads=1
    )
    with WorkerClient() as old:
        _load(old, spec)
        old.socket.settimeout(900)
        old.send(Generate(1, (Message("user", "word " * WORDS),), Sampling(temperature=0.0, max_tokens=1)))
        n_past = old.wait_for(TurnEnded).timings.n_past
        for _ in range(runs):
            with WorkerClient() as new:
                _load(new, spec)
                descriptor = os.memfd_create("bench")
                try:
                    spent = _cpu(old) + _cpu(new)
                    _send(old, SaveState(), descriptor)
                    saved = old.wait_for(StateSaved)
                    if saved.manifest is None:
                        raise RuntimeError(saved.why)
                    _send(new, RestoreState(saved.manifest), descriptor)
                    restored = new.wait_for(StateRestored)
                    spent = _cpu(old) + _cpu(new) - spent
                finally:
                    os.close(descriptor)
            size.values.append(saved.manifest.size / 2**20)
            saving.values.append(saved.seconds)
            restoring.values.append(restored.seconds)
            both.values.append((saved.seconds + restored.seconds) * 2**30 / saved.manifest.size)
            cpu.values.append(spent * 2**30 / saved.manifest.size)
            again.values.append(float(n_past - restored.tokens))
    return [size, saving, restoring, both, cpu, again]


def _copies(folder: Path, runs: int) -> list[Figure]:
    without = Figure("generation without copies", "t/s", [])
    with_copies = Figure("generation with copies", "t/s", [])
    ratio = Figure("with over without", "", [], "≥ 0.98")
    copies = Figure("copies in an answer", "", [])
    share = Figure("time that copying took, of the answer's", "%", [], "≤ 1.7")
    model = gguf_shapes.write_random(folder / "tiny.gguf", gguf_shapes.bench_tiny())
    for _ in range(runs):
        plain, _, _ = _answer(model, keep=False)
        kept, count, seconds = _answer(model, keep=True)
        without.values.append(plain)
        with_copies.values.append(kept)
        ratio.values.append(kept / plain)
        copies.values.append(float(count))
        share.values.append(100 * seconds * kept / TOKENS)
    return [without, with_copies, ratio, copies, share]


def _answer(model: Path, *, keep: bool) -> tuple[float, int, float]:
    """Tokens per second, copies, seconds of copying."""
    with WorkerClient() as worker:
        _load(worker, LoadSpec(model=str(model), n_gpu_layers=0, n_ctx=8192, n_threads=1))
        for _ in range(2 if keep else 0):
            descriptor = os.memfd_create("bench")
            _send(worker, KeepCheckpoint(MOST), descriptor)
            os.close(descriptor)
        worker.send(Generate(1, (Message("user", "word " * 100),), Sampling(temperature=0.0, max_tokens=TOKENS)))
        count, seconds = 0, 0.0
        while isinstance(event := worker.wait_for(Checkpointed, TurnEnded), Checkpointed):
            count, seconds = count + 1, seconds + event.seconds
    if event.timings.tokens != TOKENS:
        raise RuntimeError(f"the answer ended after {event.timings.tokens} tokens")
    return event.timings.tps or 0.0, count, seconds


def _cpu(worker: WorkerClient) -> float:
    """Seconds that it has computed, in the kernel too."""
    times = psutil.Process(worker.process.pid).cpu_times()
    return times.user + times.system


def _load(worker: WorkerClient, spec: LoadSpec) -> None:
    worker.send(Load(spec))
    event = worker.wait_for(Loaded, LoadFailed)
    if isinstance(event, LoadFailed):
        raise RuntimeError(event.failure.message)


def _send(worker: WorkerClient, request: Request, descriptor: int) -> None:
    socket.send_fds(worker.socket, [encode(request)], [descriptor])
