"""What of a model fits this machine, and how fast it would run: the dial's own plan, in one line for a list."""

from collections.abc import Sequence

import msgspec

from offtui.gguf.header import Header
from offtui.memory import ram_available
from offtui.plan.decide import learned_contexts
from offtui.plan.pretend import within
from offtui.plan.table import Model
from offtui.planner.learning import Overheads, learned, measured
from offtui.planner.making import Ground, make_view
from offtui.planner.view import PlanView, rough
from offtui.protocol.events import Loaded
from offtui.protocol.facts import DeviceFacts
from offtui.protocol.spec import LoadSpec
from offtui.store.measurements import FileId, Store
from offtui.units import rate_text, size_text

STEP = 256 << 20
"""Bytes of free memory that make a difference to a list."""


class Here(msgspec.Struct, frozen=True):
    """This machine when nothing of ours is loaded."""

    facts: tuple[DeviceFacts, ...]
    ram_available: int | None
    contexts: tuple[int | None, ...] = ()
    bandwidth: float | None = None
    n_threads: int | None = None
    """That the worker runs with; what was measured is kept by it."""

    @property
    def is_about(self) -> tuple[object, ...]:
        """What must change for plans to be made anew."""
        free = tuple((fact.name, None if fact.free is None else fact.free // STEP) for fact in self.facts)
        return free, (self.ram_available or 0) // (4 * STEP), self.bandwidth, self.n_threads


class Fitting(msgspec.Struct, frozen=True, kw_only=True):
    """The choice of the plan for one model."""

    n_gpu_layers: int
    most: int
    has_device: bool
    fits: bool
    """Whether the choice fits the devices."""
    fits_ram: bool
    """Whether what stays in RAM fits there; mapped weights are read from the disk again and again where it does not."""
    vram: int
    ram: int
    """Bytes on all devices, and in RAM."""
    low: float
    tps: float
    high: float
    is_measured: bool
    """With this very count, on this machine; else predicted."""
    why: str
    """One sentence about the choice."""
    n_ctx: int

    @property
    def total(self) -> int:
        """Bytes wherever they lie."""
        return self.vram + self.ram

    @property
    def speed(self) -> str:
        """``"9.21 t/s"``, ``"~9 t/s"``."""
        return f"{rate_text(self.tps)} t/s" if self.is_measured else f"~{rough(self.tps)} t/s"

    @property
    def line(self) -> str:
        """``"31/47 layers · 11.2 GiB · ~9 t/s"``; without a device how much RAM it takes."""
        where = f"{self.n_gpu_layers}/{self.most} layers · {size_text(self.vram)}"
        if not self.has_device or not self.n_gpu_layers:
            where = f"RAM {size_text(self.ram)}"
            if self.has_device:
                where = f"0/{self.most} layers · {where}"
        if not self.fits:
            return f"{where} · does not fit"
        return f"{where} · {self.speed}" if self.fits_ram else f"{where} · RAM is short"

    @property
    def is_good(self) -> bool:
        """Whether it runs as predicted."""
        return self.fits and self.fits_ram


def here_of(facts: Sequence[DeviceFacts], store: Store, loaded: Loaded | None = None) -> Here:
    """The machine by what its backends say now, with what the model that is up will give back."""
    ours = {entry.name: entry.total - entry.mapped for entry in loaded.devices} if loaded else {}
    overheads = Overheads(store)
    free: list[DeviceFacts] = []
    for fact in facts:
        held = overheads.of(fact) if loaded is not None and fact.kind != "cpu" else 0
        back = None if fact.free is None else fact.free + ours.get(fact.name, 0) + held
        if back is not None and fact.total is not None:
            back = min(back, fact.total)
        free.append(msgspec.structs.replace(fact, free=back))
    cpu = next((fact.free for fact in free if fact.kind == "cpu"), None)
    ram = cpu if cpu is not None else ram_available()
    known = learned(store)
    n_threads = loaded.spec.n_threads if loaded else None
    pretended = within(free, loaded.spec.vram_budget if loaded else None)
    return Here(tuple(pretended), ram, learned_contexts(free, known), known.bandwidth, n_threads)


def plan_of(header: Header, here: Here, store: Store | None = None, n_ctx: int | None = None) -> PlanView:
    """The plan of every layer count of a model, here or still on the hub."""
    spec = LoadSpec(model=header.path, n_ctx=n_ctx, n_threads=here.n_threads)
    ground = Ground(spec, True, here.facts, here.ram_available, contexts=here.contexts, bandwidth=here.bandwidth)
    file = FileId.of(header.path) if store is not None else None
    points = None
    if store is not None and file is not None:
        points = measured(store, file, here.facts, spec, flash_attn=True, n_threads=here.n_threads)
    return make_view(header, Model.of(header), ground, points)


def fitting_of(header: Header, here: Here, store: Store | None = None, n_ctx: int | None = None) -> Fitting:
    """What of a model fits."""
    view = plan_of(header, here, store, n_ctx)
    row = view.rows[view.choice]
    return Fitting(
        n_gpu_layers=row.n_gpu_layers,
        most=view.most,
        has_device=bool(view.budgets),
        fits=row.fit != "too much",
        fits_ram=here.ram_available is None or row.ram.total <= here.ram_available,
        vram=row.vram,
        ram=row.ram.total,
        low=row.rate.low,
        tps=row.rate.value,
        high=row.rate.high,
        is_measured=bool(row.runs),
        why=view.why,
        n_ctx=view.n_ctx,
    )
