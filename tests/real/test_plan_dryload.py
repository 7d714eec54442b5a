"""Headers and dry loads in disposable processes: what llama.cpp itself says, and what happens when it dies of it."""

import time
from pathlib import Path

import pytest

from offtui.engine.prober import dry_load, read_headers
from offtui.plan.probe import DryPoint, DryRequest, DryResult
from offtui.plan.settings import Device, Settings
from offtui.plan.table import Model, table
from offtui.protocol.spec import LoadSpec
from offtui.units import GIB, MIB
from tests.fakes import gguf_shapes as shapes
from tests.fakes.device import RunningDevice

MODELS = {
    "gemma-2-27b": shapes.gemma_2_27b,
    "llama-3.1-8b": shapes.llama_3_1_8b,
    "qwen3-30b-a3b": shapes.qwen3_30b_a3b,
    "gemma-4-12b": shapes.gemma_4_12b,
}


@pytest.fixture(scope="module", params=sorted(MODELS))
def sparse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes.write_sparse(tmp_path_factory.mktemp("sparse") / f"{request.param}.gguf", MODELS[request.param]())


def probe(spec: LoadSpec, *points: int) -> list[DryResult]:
    results = dry_load(DryRequest(spec, tuple(DryPoint(point) for point in points)), 60)
    assert [result.failure for result in results] == [None] * len(points)
    return results


@pytest.mark.parametrize(
    "change",
    [
        {"n_ctx": 4096},
        {"n_ctx": 16384, "n_ubatch": 256},
        {"n_ctx": 8192, "type_k": "q8_0", "type_v": "q8_0"},
        {"n_ctx": 4096, "flash_attn": "off"},
    ],
    ids=str,
)
def test_arithmetic_agrees_with_the_dry_load(sparse: Path, device: RunningDevice, change: dict[str, object]) -> None:
    (reply,) = read_headers([str(sparse)])
    assert reply.header is not None
    header = reply.header
    spec = LoadSpec(model=str(sparse), rpc=(device.endpoint,), **change)  # type: ignore[arg-type]
    rows = table(Model.of(header), Settings.of(spec, header), [Device("RPC0", 32 * GIB, 32 * GIB)]).rows
    last = header.n_layer + 1
    for result in probe(spec, 0, 1, 2, last // 2, last - 1, last):
        row = rows[result.point.n_gpu_layers]
        full = row is rows[-1]
        assert result.layers.get("RPC0", 0) == row.n_gpu_layers
        assert result.kv == pytest.approx(row.devices[0].kv + row.ram.kv, abs=0.02 * MIB)
        assert result.compute.get("RPC0", 0) == pytest.approx(row.devices[0].compute, abs=(10 if full else 60) * MIB)
        assert result.host + result.output == pytest.approx(row.ram.compute, abs=20 * MIB)


def test_patterns_keep_tensors_in_ram(tmp_path: Path, device: RunningDevice) -> None:
    model = shapes.write_random(tmp_path / "m.gguf", shapes.tiny_experts())
    spec = LoadSpec(model=str(model), n_ctx=2048, rpc=(device.endpoint,))
    points = (DryPoint(9), DryPoint(9, (r"blk\.[0-3]\.ffn_(up|down|gate)_exps",)))
    plain, kept = dry_load(DryRequest(spec, points), 60)
    assert plain.failure is kept.failure is None
    assert kept.host > plain.host, "the CPU has the experts to evaluate"


def test_a_spec_that_llama_cpp_refuses_is_a_failure_of_that_point(tiny_model: Path) -> None:
    (result,) = dry_load(DryRequest(LoadSpec(model=str(tiny_model), type_v="q8_0", flash_attn="off"), (DryPoint(0),)))
    assert result.failure is not None
    assert "quantized V cache requires flash_attn" in result.failure.evidence


def test_a_missing_file_and_an_absent_device(tmp_path: Path, tiny_model: Path) -> None:
    (missing,) = dry_load(DryRequest(LoadSpec(model=str(tmp_path / "x.gguf")), (DryPoint(0),)))
    assert missing.failure is not None
    assert missing.failure.kind == "not_found"
    (alone,) = dry_load(DryRequest(LoadSpec(model=str(tiny_model), rpc=("127.0.0.1:1",)), (DryPoint(0),)))
    assert alone.failure is not None
    assert alone.failure.kind == "rpc_unreachable"


def test_a_header_that_kills_llama_cpp_costs_one_point(tmp_path: Path, tiny_model: Path) -> None:
    shape = shapes.bench_tiny().with_meta(rope__scaling__type=("string", "sideways"))
    hostile = shapes.write_sparse(tmp_path / "hostile.gguf", shape)
    results = dry_load(DryRequest(LoadSpec(model=str(hostile), n_ctx=512), (DryPoint(0), DryPoint(1))))
    assert [result.failure.kind for result in results if result.failure] == ["crashed", "crashed"]
    assert results[0].failure is not None
    assert "signal" in results[0].failure.evidence


def test_probers_are_stopped_at_their_deadline(tiny_model: Path) -> None:
    start = time.monotonic()
    (reply,) = read_headers([str(tiny_model)], seconds=0.0)
    (result,) = dry_load(DryRequest(LoadSpec(model=str(tiny_model)), (DryPoint(0),)), seconds=0.0)
    assert time.monotonic() - start < 5
    assert reply.failure is not None
    assert result.failure is not None
    assert reply.failure.kind == result.failure.kind == "timeout"


def test_many_headers_in_one_process_in_their_order(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "text.gguf").write_text("no model")
    odd = str(tmp_path / "--fd")
    replies = read_headers([str(tiny_model), str(tmp_path / "text.gguf"), odd, str(tiny_model)])
    assert [reply.path for reply in replies] == [str(tiny_model), str(tmp_path / "text.gguf"), odd, str(tiny_model)]
    kinds = [reply.failure.kind if reply.failure else None for reply in replies]
    assert kinds == [None, "not_gguf", "not_found", None]
