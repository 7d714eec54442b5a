"""What a large KV cache takes to carry from worker to worker, and what its copies cost an answer.

Bare worker processes. The cache is a gigabyte and more, of a model with hardly any weights. Beside it, in the same run,
stands the least that any way through shared memory takes: as many bytes copied into new shared memory, and out of it.
The same answer is written with and without copies by turns.
"""

import ctypes
import mmap
import os
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from msgspec.structs import replace

from offtui.protocol.codec import encode
from offtui.protocol.events import Checkpointed, Loaded, LoadFailed, StateRestored, StateSaved, TurnEnded
from offtui.protocol.requests import Generate, KeepCheckpoint, Load, Request, Reserve, RestoreState, SaveState
from offtui.protocol.spec import FlashAttn, LoadSpec, Message, Sampling
from tests.bench.report import Figure
from tests.fakes import gguf_shapes
from tests.fakes.device import RunningDevice
from tests.fakes.worker_client import WorkerClient

GB = 10**9
TOKENS = 3000
"""Of an answer, so that there are several copies of it."""
MOST = 2**31
"""Bytes of a copy at most; what the app allows is less."""
WORDS = 345
"""Of the question before the large cache; each is several tokens of the fake vocabulary, of one MiB each."""
TURN = Sampling(temperature=0.0, max_tokens=1)


def run(runs: int) -> list[Figure]:
    """The large cache in several ways, then answers with copies and without by turns."""
    with tempfile.TemporaryDirectory() as folder, RunningDevice(slots=2) as device:
        model = gguf_shapes.write_random(Path(folder) / "wide.gguf", gguf_shapes.tiny_wide())
        figures = _large(model, "CPU, flash attention", "on", runs)
        figures += _large(model, "CPU, no flash attention", "off", runs)
        figures += _large(model, "RPC, flash attention", "on", min(2, runs), device)
        return [*figures, *_copies(Path(folder), runs)]


def _large(
    model: Path, name: str, flash_attn: FlashAttn, runs: int, device: RunningDevice | None = None
) -> list[Figure]:
    layers = 17 if device else 0
    spec = LoadSpec(model=str(model), n_gpu_layers=layers, n_ctx=1280, flash_attn=flash_attn, n_threads=1)
    beside = spec
    if device is not None:
        spec, beside = replace(spec, rpc=(device.endpoint,)), replace(spec, rpc=(device.second_endpoint,))
    size = Figure(f"KV cache carried ({name})", "MiB", [], "≥ 954")
    ways = {
        "as it comes": ("1 GB, memory taken when it is needed", "≤ 1"),
        "made ready": ("1 GB, memory made ready before", "≤ 1"),
    }
    halt = {way: Figure(f"{what}: halt", "s", [], reach) for way, (what, reach) in ways.items()}
    cpu = {way: Figure(f"{what}: processor time in it", "s", [], reach) for way, (what, reach) in ways.items()}
    bare = Figure("1 GB copied into new shared memory and out of it", "s", [])
    bare_cpu = Figure("… processor time", "s", [])
    ratio = Figure("processor time as it comes, over that of the copy", "", [])
    again = Figure("tokens not taken over", "", [], "0")
    bytes_before = 0
    with WorkerClient() as old:
        _load(old, spec)
        old.socket.settimeout(900)
        old.send(Generate(1, (Message("user", "word " * WORDS),), TURN))
        n_past = old.wait_for(TurnEnded).timings.n_past
        for _ in range(runs):
            for way in ways:
                with WorkerClient() as new:
                    _load(new, beside)
                    new.socket.settimeout(900)
                    seconds, spent, restored = _carry(old, new, bytes_before if way == "made ready" else 0)
                bytes_before = restored.size
                size.values.append(restored.size / 2**20)
                again.values.append(float(n_past - restored.tokens))
                halt[way].values.append(seconds * GB / restored.size)
                cpu[way].values.append(spent * GB / restored.size)
            seconds, spent = _bare(restored.size)
            bare.values.append(seconds * GB / restored.size)
            bare_cpu.values.append(spent * GB / restored.size)
            ratio.values.append(cpu["as it comes"].values[-1] / bare_cpu.values[-1])
    return [size, *halt.values(), *cpu.values(), bare, bare_cpu, ratio, again]


def _carry(old: WorkerClient, new: WorkerClient, ready: int) -> tuple[float, float, StateRestored]:
    """Seconds on the clock and of the processor for saving and restoring, and how it came out.

    ``ready``: bytes of memory that are made ready first, as a session does while the next worker loads.
    """
    descriptor = os.memfd_create("bench")
    try:
        if ready:
            os.ftruncate(descriptor, ready)
            _send(old, Reserve(ready, to_write=True), descriptor)
            _until(lambda: os.fstat(descriptor).st_blocks * 512 >= ready)
            _send(new, Reserve(ready, to_write=False), descriptor)
            _until_quiet(old, new)
        spent, began = _cpu(old) + _cpu(new), time.monotonic()
        _send(old, SaveState(), descriptor)
        saved = old.wait_for(StateSaved)
        if saved.manifest is None:
            raise RuntimeError(saved.why)
        _send(new, RestoreState(saved.manifest), descriptor)
        restored = new.wait_for(StateRestored)
        return time.monotonic() - began, _cpu(old) + _cpu(new) - spent, restored
    finally:
        os.close(descriptor)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("the memory was not made ready")
        time.sleep(0.05)


def _until_quiet(*workers: WorkerClient) -> None:
    """Until none of them computes."""
    before = -1.0
    while (now := sum(_cpu(worker) for worker in workers)) - before > 0.02:
        before = now
        time.sleep(0.3)


def _bare(size: int) -> tuple[float, float]:
    """Seconds, and of the processor, for a copy into new shared memory, with room for sure, and one out of it."""
    source = mmap.mmap(-1, size)
    address = ctypes.addressof(ctypes.c_uint8.from_buffer(source))
    ctypes.memset(address, 7, size)
    descriptor = os.memfd_create("bench")
    try:
        spent, began = time.process_time(), time.monotonic()
        os.posix_fallocate(descriptor, 0, size)
        for to_shared in (True, False):
            with mmap.mmap(descriptor, size) as memory:
                shared = ctypes.addressof(ctypes.c_uint8.from_buffer(memory))
                ctypes.memmove(*((shared, address) if to_shared else (address, shared)), size)
        return time.monotonic() - began, time.process_time() - spent
    finally:
        os.close(descriptor)
        source.close()


def _copies(folder: Path, runs: int) -> list[Figure]:
    without = Figure("generation without copies", "t/s", [])
    with_copies = Figure("generation with copies", "t/s", [])
    ratio = Figure("with over without", "", [], "≥ 0.98")
    cpu = Figure("processor time with over without", "", [], "≤ 1.02")
    copies = Figure("copies in an answer", "", [])
    share = Figure("time that copying took, of the answer's", "%", [], "≤ 1.7")
    model = gguf_shapes.write_random(folder / "tiny.gguf", gguf_shapes.bench_tiny())
    for _ in range(runs):
        plain, _, _, alone = _answer(model, keep=False)
        kept, count, seconds, spent = _answer(model, keep=True)
        cpu.values.append(spent / alone)
        without.values.append(plain)
        with_copies.values.append(kept)
        ratio.values.append(kept / plain)
        copies.values.append(float(count))
        share.values.append(100 * seconds * kept / TOKENS)
    return [without, with_copies, ratio, cpu, copies, share]


def _answer(model: Path, *, keep: bool) -> tuple[float, int, float, float]:
    """Tokens per second, copies, seconds of copying, seconds of the processor."""
    with WorkerClient() as worker:
        _load(worker, LoadSpec(model=str(model), n_gpu_layers=0, n_ctx=8192, n_threads=1))
        for _ in range(2 if keep else 0):
            descriptor = os.memfd_create("bench")
            _send(worker, KeepCheckpoint(MOST), descriptor)
            os.close(descriptor)
        spent = _cpu(worker)
        worker.send(Generate(1, (Message("user", "word " * 100),), Sampling(temperature=0.0, max_tokens=TOKENS)))
        count, seconds = 0, 0.0
        while isinstance(event := worker.wait_for(Checkpointed, TurnEnded), Checkpointed):
            count, seconds = count + 1, seconds + event.seconds
        spent = _cpu(worker) - spent
    if event.timings.tokens != TOKENS:
        raise RuntimeError(f"the answer ended after {event.timings.tokens} tokens")
    return event.timings.tps or 0.0, count, seconds, spent


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
