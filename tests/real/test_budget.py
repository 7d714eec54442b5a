"""A budget of device memory, for real: the choice and the refusal are those of a device of that size."""

from pathlib import Path

from msgspec.structs import replace

from offtui.plan.choose import SMALL_MARGIN
from offtui.protocol.events import Loaded, LoadFailed
from offtui.protocol.requests import Load
from offtui.protocol.spec import LoadSpec
from offtui.units import MIB
from tests.fakes.device import RunningDevice
from tests.fakes.worker_client import WorkerClient


def load(spec: LoadSpec) -> Loaded | LoadFailed:
    with WorkerClient() as worker:
        worker.send(Load(spec))
        return worker.wait_for(Loaded, LoadFailed)


def test_auto_and_the_truth_stay_within_the_budget(tiny_model: Path, device: RunningDevice) -> None:
    spec = LoadSpec(model=str(tiny_model), n_ctx=2048, n_threads=1, rpc=(device.endpoint,))
    whole = load(spec)
    assert isinstance(whole, Loaded)
    assert whole.layers.got == whole.layers.max
    all_of_it = sum(row.total for row in whole.devices if row.kind == "rpc")
    budget = all_of_it * 2 // 3
    part = load(LoadSpec(model=str(tiny_model), n_ctx=2048, n_threads=1, rpc=(device.endpoint,), vram_budget=budget))
    assert isinstance(part, Loaded)
    assert 0 < part.layers.got < part.layers.max
    assert sum(row.total for row in part.devices if row.kind == "rpc") <= budget * (1 - SMALL_MARGIN) + MIB
    assert part.spec.vram_budget == budget


def test_more_than_the_budget_is_refused_as_memory_that_is_short(tiny_model: Path, device: RunningDevice) -> None:
    spec = LoadSpec(model=str(tiny_model), n_gpu_layers=13, n_ctx=2048, n_threads=1, rpc=(device.endpoint,))
    failed = load(replace(spec, vram_budget=MIB))
    assert isinstance(failed, LoadFailed)
    assert failed.failure.kind == "out_of_memory"
    assert "13 layers need" in failed.failure.message
    assert "1.0 MiB" in failed.failure.message
