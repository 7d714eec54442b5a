"""A model, devices, loads and answers for the planner, without a process."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from offtui.engine.prober import Leash
from offtui.engine.state import LoadWanted, Phase, SessionState
from offtui.gguf.header import Header
from offtui.plan.placement import ladder
from offtui.plan.probe import DevicesReply, DryRequest, DryResult, HeaderReply
from offtui.plan.settings import Device, Settings
from offtui.plan.table import Model
from offtui.planner.planner import Planner, Tools
from offtui.planner.view import NoPlan, PlanView
from offtui.protocol.events import Loaded, TurnEnded
from offtui.protocol.facts import DeviceFacts, DeviceKind, DeviceLedger, Failure, LayerCount, ModelFacts, Timings
from offtui.protocol.spec import LoadSpec, Placement, Sampling
from offtui.store.measurements import Store
from offtui.units import GIB
from tests.fakes import gguf_shapes as shapes

GPU_FREE, GPU_TOTAL = 7 * GIB, 8 * GIB
RAM_FREE, RAM_TOTAL = 20 * GIB, 32 * GIB


def header_at(path: Path, shape: shapes.Shape | None = None) -> Header:
    path.write_bytes(b"GGUF")
    header = shapes.header_of(shape or shapes.llama_3_1_8b(), str(path))
    return msgspec.structs.replace(header, file_bytes=4)


def facts(kind: DeviceKind = "gpu", free: int | None = GPU_FREE) -> tuple[DeviceFacts, ...]:
    name = {"gpu": "CUDA0", "rpc": "RPC0"}[kind]
    return (
        DeviceFacts(name, kind, "A Card", free, None if free is None else GPU_TOTAL),
        DeviceFacts("CPU", "cpu", "a processor", RAM_FREE, RAM_TOTAL),
    )


def loaded_as_planned(
    header: Header, layers: int, *, kind: DeviceKind = "gpu", extra: int = 0, placement: Placement = "layers"
) -> Loaded:
    """A load whose ledger is the plan's row, and ``extra`` bytes of weights more; the memory it took is gone."""
    rpc = ("127.0.0.1:50052",) if kind == "rpc" else ()
    spec = LoadSpec(
        model=header.path,
        n_gpu_layers=layers,
        placement=placement,
        n_ctx=4096,
        n_threads=3,
        n_threads_batch=3,
        rpc=rpc,
    )
    name = facts(kind)[0].name
    devices = [Device(name, GPU_FREE, GPU_TOTAL)]
    row = ladder(Model.of(header), Settings.of(spec, header), devices, placement).rows[layers]
    card, ram = row.devices[0], row.ram
    most = header.n_layer + 1
    context = 350 * 1024**2 if kind == "gpu" else 0
    assigned = layers if placement == "layers" or layers == 0 else most
    ledger = (
        DeviceLedger(name, kind, card.weights + extra, card.kv, card.compute, assigned),
        DeviceLedger("CPU", "cpu", ram.weights, ram.kv, ram.compute, most - assigned, mapped=ram.weights),
    )
    gpu, cpu = facts(kind)
    memory = (
        msgspec.structs.replace(gpu, free=GPU_FREE - card.total - extra - context),
        msgspec.structs.replace(cpu, free=RAM_FREE - ram.kv - ram.compute),
    )
    model = ModelFacts(header.path, "m", "llama", "Q4_K_M", header.n_layer, 8192, 8, 4, 1000, 64, True)
    return Loaded(
        model=model,
        spec=spec,
        layers=LayerCount(layers, layers, most),
        devices=ledger,
        memory=memory,
        n_ctx=4096,
        flash_attn=True,
        sampling=Sampling(),
        notices=(),
        load_seconds=1.0,
    )


def ended(tps: float, tokens: int = 101) -> TurnEnded:
    timings = Timings(
        prompt_tokens=100,
        reused_tokens=20,
        prompt_seconds=0.5,
        ttft_seconds=0.6,
        tokens=tokens,
        eval_seconds=(tokens - 1) / tps,
        n_past=100 + tokens,
    )
    return TurnEnded(1, "end", timings)


@dataclass
class Scene:
    """A planner with a store of its own, and what it has delivered."""

    file: Path
    headers: dict[str, Header]
    dry: Callable[[DryRequest], list[DryResult]] | None = None
    views: list[PlanView] = field(default_factory=list[PlanView])
    read: list[str] = field(default_factory=list[str])
    asked: list[DryRequest] = field(default_factory=list[DryRequest])
    stall: threading.Event | None = None
    bandwidth: float | None = None
    times_measured: int = 0
    times_answered: int = 0
    overhead: int | None = None
    refusals: list[NoPlan] = field(default_factory=list[NoPlan])
    devices: DevicesReply = field(default_factory=lambda: DevicesReply(devices=facts()))

    def __post_init__(self) -> None:
        self.state = SessionState()
        tools = Tools(
            store=lambda: Store(self.file),
            read_headers=self._read_headers,
            dry_load=self._dry_load,
            bandwidth=self._measure_bandwidth,
            ram_available=lambda: RAM_FREE,
            devices=lambda rpc=(), *, leash: self.devices,
            overhead=self.overhead,
        )
        self.planner = Planner(self._listen, tools, quiet=0.02, rest=0.01)

    def __enter__(self) -> "Scene":
        return self

    def __exit__(self, *_: object) -> None:
        if self.stall is not None:
            self.stall.set()
        self.planner.close()

    def want(self, header: Header) -> None:
        spec = LoadSpec(model=header.path)
        self.state = SessionState(phase=Phase.LOADING, wanted=spec)
        self.planner.hear(self.state, LoadWanted(spec))

    def load(self, fact: Loaded) -> None:
        self.state = SessionState(phase=Phase.READY, wanted=fact.spec, loaded=fact, memory=fact.memory)
        self.planner.hear(self.state, fact)

    def answer(self, tps: float, tokens: int = 101) -> None:
        self.times_answered += 1
        self.planner.hear(self.state, ended(tps, tokens))

    def until(self, predicate: Callable[[], bool], seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not predicate():
            assert time.monotonic() < deadline, self.views[-1:]
            threading.Event().wait(0.002)

    @property
    def view(self) -> PlanView:
        return self.views[-1]

    def _listen(self, said: PlanView | NoPlan) -> None:
        if isinstance(said, NoPlan):
            self.refusals.append(said)
        else:
            self.views.append(said)

    def _read_headers(self, paths: Sequence[str], *, leash: Leash | None) -> list[HeaderReply]:
        self.read += paths
        if self.stall is not None:
            self.stall.wait(10)
        found = [self.headers.get(path) for path in paths]
        failure = Failure("not_gguf", "It is no GGUF.")
        pairs = zip(paths, found, strict=True)
        return [HeaderReply(path=path, header=got, failure=None if got else failure) for path, got in pairs]

    def _measure_bandwidth(self) -> float | None:
        self.times_measured += 1
        return self.bandwidth

    def _dry_load(self, request: DryRequest, *, leash: Leash | None) -> list[DryResult]:
        self.asked.append(request)
        return self.dry(request) if self.dry else []
