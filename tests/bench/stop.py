"""From the request to stop until the worker has stopped: in decode, and in prompt eval, on the CPU and over RPC."""

import tempfile
import time
from pathlib import Path

from offtui.protocol.events import Loaded, Piece, TurnStarted
from offtui.protocol.requests import Cancel, Generate, Load
from offtui.protocol.spec import LoadSpec, Message, Sampling
from tests.bench.report import Figure
from tests.fakes import gguf_shapes
from tests.fakes.device import RunningDevice
from tests.fakes.worker_client import WorkerClient

LONG = Sampling(temperature=0.0, max_tokens=100_000)


def run(runs: int) -> list[Figure]:
    """A 0.5B shape with all layers on the CPU, and with all on the RPC device."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder, RunningDevice() as device:
        model = gguf_shapes.write_random(Path(folder) / "half.gguf", gguf_shapes.bench_half())
        for ngl, where in ((0, "CPU"), (25, "RPC")):
            rpc = (device.endpoint,) if ngl else ()
            spec = LoadSpec(model=str(model), n_gpu_layers=ngl, n_ctx=8192, rpc=rpc)
            decode = Figure(f"stop in decode, {where}", "ms", [], "≤ 150 ms")
            prompt = Figure(f"stop in prompt eval, {where}", "ms", [], "≤ 150 ms")
            with WorkerClient() as worker:
                worker.send(Load(spec))
                worker.wait_for(Loaded)
                for index in range(runs):
                    long = Message("user", f"{index} " + "word " * 1200)
                    worker.send(Generate(2 * index, (Message("user", f"{index}?"),), LONG))
                    worker.wait_for(Piece)
                    decode.values.append(stopped(worker, 2 * index, 0.05))
                    worker.send(Generate(2 * index + 1, (long,), LONG))
                    worker.wait_for(TurnStarted)
                    prompt.values.append(stopped(worker, 2 * index + 1, 0.6))
            figures += [decode, prompt]
    return figures


def stopped(worker: WorkerClient, turn: int, after: float) -> float:
    """Milliseconds until the turn has ended, when it is stopped so many seconds into it."""
    time.sleep(after)
    started = time.perf_counter()
    worker.send(Cancel(turn))
    worker.finish_turn()
    return (time.perf_counter() - started) * 1000
