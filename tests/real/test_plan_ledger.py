"""The plan against real loads on a second device: what was predicted is what llama.cpp allocated."""

from pathlib import Path

import pytest

from offtui.engine.prober import dry_load
from offtui.gguf.header import Header
from offtui.plan.placement import ladder
from offtui.plan.probe import DryPoint, DryRequest
from offtui.plan.settings import Device, Settings
from offtui.plan.table import Model, Row, table
from offtui.protocol.events import Loaded, LoadFailed
from offtui.protocol.facts import DeviceLedger
from offtui.protocol.requests import Load
from offtui.protocol.spec import LoadSpec, Placement
from offtui.units import GIB, MIB
from offtui.worker.header import read_header
from tests.fakes import gguf_shapes as shapes
from tests.fakes.device import RunningDevice
from tests.fakes.worker_client import WorkerClient

EXACT = round(0.02 * MIB)
"""Bytes; llama.cpp prints sizes with two decimals of a MiB."""

SHAPES = {
    "llama": shapes.bench_tiny,
    "gemma2": shapes.tiny_swa,
    "qwen3moe": shapes.tiny_experts,
    "qwen35": shapes.tiny_hybrid,
    "deepseek2": shapes.tiny_latent,
    "gemma4": shapes.tiny_shared,
}


@pytest.fixture(scope="module", params=sorted(SHAPES))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    return shapes.write_random(folder / f"{request.param}.gguf", SHAPES[request.param]())


def load(spec: LoadSpec) -> Loaded:
    """A real load."""
    with WorkerClient() as worker:
        worker.send(Load(spec))
        event = worker.wait_for(Loaded, LoadFailed)
    assert isinstance(event, Loaded), event
    return event


def parts(loaded: Loaded) -> tuple[DeviceLedger, DeviceLedger]:
    """The device's and the CPU's part of a load."""
    remote = next(row for row in loaded.devices if row.kind == "rpc")
    return remote, next(row for row in loaded.devices if row.kind == "cpu")


def ledger(spec: LoadSpec) -> tuple[DeviceLedger, DeviceLedger]:
    return parts(load(spec))


def planned(header: Header, spec: LoadSpec) -> tuple[Row, ...]:
    return table(Model.of(header), Settings.of(spec, header), [Device("RPC0", 8 * GIB, 8 * GIB)]).rows


def test_weights_and_cache_are_exact_and_compute_is_near(model: Path, device: RunningDevice) -> None:
    header = read_header(str(model))
    base = {"model": str(model), "n_ctx": 2048, "n_threads": 1, "rpc": (device.endpoint,)}
    rows = planned(header, LoadSpec(**base))
    last = header.n_layer + 1
    counts = (0, 1, last // 2, last - 1, last)
    dry = dry_load(DryRequest(LoadSpec(**base), tuple(DryPoint(layers) for layers in counts)), 60)
    for layers, said in zip(counts, dry, strict=True):
        remote, cpu = ledger(LoadSpec(n_gpu_layers=layers, **base))
        row = rows[layers]
        assert remote.layers == layers
        assert abs(remote.weights - row.devices[0].weights) <= EXACT
        assert abs(remote.kv - row.devices[0].kv) <= EXACT
        assert abs(cpu.kv - row.ram.kv) <= EXACT
        assert abs(remote.compute - row.devices[0].compute) <= 5 * MIB
        assert abs(cpu.compute - row.ram.compute) <= 5 * MIB
        assert said.failure is None
        assert abs(remote.compute - said.compute.get("RPC0", 0)) <= 1 * MIB
        assert abs(cpu.compute - said.host - said.output) <= 1 * MIB
        assert said.kv == pytest.approx(remote.kv + cpu.kv, abs=EXACT)


def test_weights_in_ram_are_exact_where_the_file_is_not_mapped(model: Path, device: RunningDevice) -> None:
    header = read_header(str(model))
    spec = LoadSpec(
        model=str(model),
        n_ctx=512,
        n_threads=1,
        rpc=(device.endpoint,),
        use_mmap=False,
        n_gpu_layers=header.n_layer // 2,
    )
    remote, cpu = ledger(spec)
    row = planned(header, spec)[header.n_layer // 2]
    assert abs(cpu.weights - row.ram.weights) <= EXACT
    assert abs(remote.weights - row.devices[0].weights) <= EXACT


@pytest.mark.parametrize(
    "change",
    [
        {"n_ctx": 5000, "n_ubatch": 128},
        {"type_k": "q8_0", "type_v": "q8_0"},
        {"type_k": "q8_0", "flash_attn": "off"},
        {"flash_attn": "off"},
        {"offload_kqv": False},
    ],
    ids=str,
)
def test_settings_change_both_alike(tiny_model: Path, device: RunningDevice, change: dict[str, object]) -> None:
    header = read_header(str(tiny_model))
    spec = LoadSpec(
        **{  # type: ignore[arg-type]
            "model": str(tiny_model),
            "n_gpu_layers": 7,
            "n_ctx": 4096,
            "n_threads": 1,
            "rpc": (device.endpoint,),
            **change,
        }
    )
    remote, cpu = ledger(spec)
    row = planned(header, spec)[7]
    assert abs(remote.weights - row.devices[0].weights) <= EXACT
    assert abs(remote.kv - row.devices[0].kv) <= EXACT
    assert abs(cpu.kv - row.ram.kv) <= EXACT
    assert abs(remote.compute - row.devices[0].compute) <= 5 * MIB
    assert abs(cpu.compute - row.ram.compute) <= 5 * MIB


@pytest.mark.parametrize("split", [(1.0, 1.0), (3.0, 1.0), (0.0, 1.0)])
def test_two_devices_get_what_was_planned_for_each(
    tiny_model: Path, device: RunningDevice, split: tuple[float, float]
) -> None:
    header = read_header(str(tiny_model))
    spec = LoadSpec(
        model=str(tiny_model),
        n_gpu_layers=9,
        n_ctx=2048,
        n_threads=1,
        tensor_split=split,
        rpc=(device.endpoint, device.second_endpoint),
    )
    with WorkerClient() as worker:
        worker.send(Load(spec))
        event = worker.wait_for(Loaded, LoadFailed)
    assert isinstance(event, Loaded), event
    remotes = [row for row in event.devices if row.kind == "rpc"]
    pair = [Device("RPC0", 8 * GIB, 8 * GIB), Device("RPC1", 8 * GIB, 8 * GIB)]
    row = table(Model.of(header), Settings.of(spec, header), pair).rows[9]
    for got, want in zip(remotes, row.devices, strict=True):
        assert abs(got.weights - want.weights) <= EXACT
        assert abs(got.kv - want.kv) <= EXACT
        assert abs(got.compute - want.compute) <= 12 * MIB


@pytest.mark.parametrize(
    ("placement", "name"), [("ffn", "llama"), ("ffn", "gemma2"), ("experts", "qwen3moe"), ("experts", "deepseek2")]
)
def test_matrices_that_stay_in_ram_are_where_the_plan_has_them(
    tmp_path: Path, device: RunningDevice, placement: Placement, name: str
) -> None:
    path = shapes.write_random(tmp_path / "m.gguf", SHAPES[name]())
    header = read_header(str(path))
    base = {"model": str(path), "n_ctx": 2048, "n_threads": 1, "rpc": (device.endpoint,)}
    devices = [Device("RPC0", 8 * GIB, 8 * GIB)]
    rows = ladder(Model.of(header), Settings.of(LoadSpec(**base), header), devices, placement).rows
    last = header.n_layer + 1
    assert len(rows) == last + 1
    for layers in (0, 1, 2, last // 2, last):
        loaded = load(LoadSpec(n_gpu_layers=layers, placement=placement, **base))
        remote, cpu = parts(loaded)
        row = rows[layers]
        assert loaded.layers.asked == layers
        assert loaded.layers.got == layers
        assert remote.layers == (last if layers else 0)
        assert abs(remote.weights - row.devices[0].weights) <= EXACT
        assert abs(remote.kv - row.devices[0].kv) <= EXACT
        assert abs(cpu.kv - row.ram.kv) <= EXACT
        assert cpu.weights >= row.ram.weights - EXACT
        assert abs(remote.compute - row.devices[0].compute) <= 5 * MIB
        assert abs(cpu.compute - row.ram.compute) <= 5 * MIB


def test_the_worker_chooses_the_layers_of_a_placement(tmp_path: Path, device: RunningDevice) -> None:
    path = shapes.write_random(tmp_path / "m.gguf", SHAPES["qwen3moe"]())
    base = {"model": str(path), "n_ctx": 2048, "n_threads": 1, "rpc": (device.endpoint,)}
    loaded = load(LoadSpec(placement="best", **base))
    assert loaded.layers.got == loaded.layers.max
    dense = load(LoadSpec(placement="ffn", n_gpu_layers=3, **base))
    assert dense.spec.placement == "layers"
    assert dense.notices[0] == "This model has no dense feed-forward matrices: its layers are placed whole."
