"""The planner: hears what the session does, remembers what it measured, and delivers a plan of what it could do."""

import contextlib
import queue
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import ParamSpec, Protocol

import msgspec

from offtui import paths
from offtui.engine import prober
from offtui.engine.moves import MoveEnded
from offtui.engine.prober import Leash
from offtui.engine.state import LoadWanted, Occurrence, Phase, SessionState, WorkerEnded
from offtui.gguf.header import Header
from offtui.memory import ram_available
from offtui.monitor.bandwidth import ram_bandwidth
from offtui.monitor.sample import Sample
from offtui.plan.choose import budgets
from offtui.plan.pretend import within
from offtui.plan.probe import DryPoint, DryRequest, DryResult, HeaderReply
from offtui.plan.report import Plan, points_to_try
from offtui.plan.settings import Device
from offtui.plan.table import Model
from offtui.planner.learning import context_of, devices_text, point_of, settings_text
from offtui.planner.making import Ground, as_dry_load, compare_load, make_view, settings_of
from offtui.planner.view import PlanView
from offtui.protocol.events import DeviceMemory, Loaded, LoadFailed, TurnEnded
from offtui.protocol.facts import DeviceFacts
from offtui.protocol.spec import LoadSpec
from offtui.store.measurements import Circumstances, FileId, Residual, Store
from offtui.units import MIB

QUIET = 1.0
"""Seconds without news until llama.cpp itself is asked about the points that matter."""
STEP = 64 * MIB
"""Bytes by which free memory must have changed for a new plan."""
CONTEXT_STEP = 8 * MIB
"""Bytes by which a learned constant must have changed to be kept anew."""
LEAVE = 3.0
"""Seconds that closing waits for the thread."""

Listener = Callable[[PlanView], None]
"""Called on the planner's thread with each new plan; must not block long."""


P = ParamSpec("P")


class ReadHeaders(Protocol):
    """Reads headers."""

    def __call__(self, paths: Sequence[str], *, leash: Leash | None) -> list[HeaderReply]:
        """The header of each path, read in a process of its own."""
        ...


class DryLoad(Protocol):
    """Asks llama.cpp what loads would need."""

    def __call__(self, request: DryRequest, *, leash: Leash | None) -> list[DryResult]:
        """What each placement would need, found out in a process of its own."""
        ...


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What the planner uses of the world."""

    store: Callable[[], Store] = Store
    read_headers: ReadHeaders = prober.read_headers
    dry_load: DryLoad = prober.dry_load
    bandwidth: Callable[[], float | None] = ram_bandwidth
    ram_available: Callable[[], int] = ram_available


class _Subject(msgspec.Struct, frozen=True):
    """A model whose header is known."""

    file: FileId
    header: Header
    model: Model


class _News(msgspec.Struct, frozen=True):
    state: SessionState
    occurrence: Occurrence | Sample | None
    """``None``: the end."""


class Planner:
    """Has a thread of its own. ``hear`` and ``observe`` return at once, from any thread."""

    def __init__(self, listener: Listener, tools: Tools = Tools(), *, quiet: float = QUIET) -> None:  # noqa: B008 -- frozen
        self._listener = listener
        self._tools = tools
        self._quiet = quiet
        self._news: queue.SimpleQueue[_News] = queue.SimpleQueue()
        self._wanted = ""
        self._leash = Leash()
        self._state = SessionState()
        self._thread = threading.Thread(target=self._run, name="offtui-planner", daemon=True)
        self._thread.start()

    def hear(self, state: SessionState, occurrence: Occurrence) -> None:
        """What the session tells its listener."""
        self._state = state
        if isinstance(occurrence, LoadWanted):
            model = occurrence.spec.model
            if model != self._wanted:  # a file that stalls its reader must not hold up the next
                self._wanted = model
                leash, self._leash = self._leash, Leash()
                leash.cut()
        if isinstance(
            occurrence, LoadWanted | Loaded | LoadFailed | TurnEnded | DeviceMemory | WorkerEnded | MoveEnded
        ):
            self._news.put(_News(state, occurrence))

    def observe(self, sample: Sample) -> None:
        """What the sampler saw: how much a device's memory the worker really holds."""
        if any(gpu.processes for gpu in sample.gpus):
            self._news.put(_News(self._state, sample))

    def close(self) -> None:
        """End the thread and what it may be waiting for; may be called again."""
        self._news.put(_News(self._state, None))
        self._leash.cut()
        self._thread.join(LEAVE)

    def _run(self) -> None:
        work = _Work(self._listener, self._tools, lambda: self._leash)
        while self._round(work):
            pass
        work.close()

    def _round(self, work: "_Work") -> bool:
        """Take all news there is, then plan once; whether there is to be another round."""
        batch: list[_News] = []
        with contextlib.suppress(queue.Empty):
            batch.append(self._news.get(timeout=self._quiet if work.can_refine else None))
        with contextlib.suppress(queue.Empty):
            while True:
                batch.append(self._news.get_nowait())
        if any(news.occurrence is None for news in batch):
            return False
        if not batch:
            _attempt(work.refine)
        for news in batch:
            _attempt(work.learn, news.state, news.occurrence)
        if batch:
            _attempt(work.plan, batch[-1].state)
        return True


def _attempt(do: Callable[P, object], *given: P.args, **named: P.kwargs) -> None:
    """A plan only helps: a mistake in it goes to the crash reports, and ends neither the thread nor the screen."""
    try:
        do(*given, **named)
    except Exception:  # noqa: BLE001 -- whatever a hostile file may bring about
        _report()


def _report() -> None:
    """Write the exception at hand to the folder of crash reports."""
    with contextlib.suppress(OSError):
        folder = paths.log_dir()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "planner.txt").write_text(traceback.format_exc(), "utf-8", "backslashreplace")


class _Work:
    """What the thread does; nothing here is touched by another."""

    def __init__(self, listener: Listener, tools: Tools, leash: Callable[[], Leash]) -> None:
        self._listener, self._tools, self._leash = listener, tools, leash
        self._store = tools.store()
        self._subjects: dict[FileId, _Subject] = {}
        self._idle: dict[tuple[str, ...], tuple[DeviceFacts, ...]] = {}
        """By RPC endpoints: every device with what is free when nothing of ours is loaded."""
        self._threads: int | None = None
        self._dry: dict[tuple[FileId, LoadSpec], dict[int, DryResult]] = {}
        self._tried: set[tuple[FileId, LoadSpec, tuple[int, ...]]] = set()
        self._basis: tuple[object, ...] = ()
        """What the plan that was delivered last stands on."""
        self._newest: tuple[_Subject, Ground, Plan] | None = None
        self._state = SessionState()
        self._bandwidth_due = True

    def close(self) -> None:
        self._store.close()

    # What was measured

    def learn(self, state: SessionState, occurrence: Occurrence | Sample | None) -> None:
        match occurrence:
            case Loaded() if state.loaded is occurrence:
                self._threads = occurrence.spec.n_threads
                self._learn_load(occurrence)
            case TurnEnded() if state.loaded is not None:
                self._learn_turn(state.loaded, occurrence)
            case Sample() if state.loaded is not None:
                self._learn_context(state.loaded, occurrence)
            case _:
                pass
        # while the answer moves to another worker, both may hold memory
        if state.loaded is not None and state.memory and state.move is None:
            self._note_memory(state.loaded, state.memory)

    def _learn_load(self, loaded: Loaded) -> None:
        subject = self._subject(loaded.spec.model)
        if subject is None:
            return
        found = compare_load(subject.header, subject.model, loaded)
        residuals = [Residual(entry.device, entry.purpose, entry.planned, entry.got) for entry in found]
        self._store.add_residuals(_circumstances(subject, loaded), residuals)
        real = as_dry_load(loaded)
        if real is not None:
            self._dry.setdefault((subject.file, _bare(loaded.spec)), {})[loaded.layers.got] = real

    def _learn_turn(self, loaded: Loaded, ended: TurnEnded) -> None:
        point = point_of(loaded, ended.timings, time.time())
        subject = self._subject(loaded.spec.model) if point is not None else None
        if point is not None and subject is not None and not loaded.spec.on_cpu:
            self._store.add_point(_circumstances(subject, loaded), point)

    def _learn_context(self, loaded: Loaded, sample: Sample) -> None:
        for description, name, value in context_of(loaded, sample):
            before = self._store.constant(description, "context")
            if before is None or abs(before - value) > CONTEXT_STEP:
                self._store.set_constant(description, "context", value)
                self._note_memory(loaded, loaded.memory, again=name)

    def _note_memory(self, loaded: Loaded, memory: tuple[DeviceFacts, ...], again: str = "") -> None:
        """Keep what will be free once the load is gone, where that has changed by more than a little."""
        ours = {entry.name: entry.total - entry.mapped for entry in loaded.devices}
        found: list[DeviceFacts] = []
        for fact in memory:
            held = 0 if fact.kind == "cpu" else self._context(fact)
            free = None if fact.free is None else fact.free + ours.get(fact.name, 0) + held
            if free is not None and fact.total is not None:
                free = min(free, fact.total)
            found.append(msgspec.structs.replace(fact, free=free))
        before = self._idle.get(loaded.spec.rpc)
        if before is None or again or _changed(before, found):
            self._idle[loaded.spec.rpc] = tuple(found)

    def _context(self, fact: DeviceFacts) -> int:
        learned = self._store.constant(fact.description, "context")
        return budgets([Device(fact.name, fact.free, fact.total)])[0].context if learned is None else round(learned)

    # The plan

    @property
    def can_refine(self) -> bool:
        """Whether the plan could be made better now with nobody disturbed: while no answer is written."""
        if self._newest is None or self._state.phase is not Phase.READY or self._state.move is not None:
            return False
        return self._bandwidth_due or self._can_ask(*self._newest)

    def _can_ask(self, subject: _Subject, ground: Ground, plan: Plan) -> bool:
        """Whether llama.cpp itself can be asked about something it was not asked yet."""
        if ground.spec.rpc or not plan.target.devices:
            return False  # a server of an RPC device has one client, and that is the worker
        return (subject.file, ground.spec, points_to_try(plan)) not in self._tried

    def refine(self) -> None:
        """Measure the RAM; ask llama.cpp itself about the points that matter."""
        if self._bandwidth_due:
            self._measure_bandwidth()
            self.plan(self._state)
        if self._newest is None or not self._can_ask(*self._newest):
            return
        subject, ground, plan = self._newest
        points = points_to_try(plan)
        self._tried.add((subject.file, ground.spec, points))
        known = self._dry.setdefault((subject.file, ground.spec), {})
        settings = settings_of(ground, subject.header)
        spec = msgspec.structs.replace(ground.spec, n_ctx=settings.n_ctx)
        request = DryRequest(spec, tuple(DryPoint(point) for point in points if point not in known))
        if request.points:
            for result in self._tools.dry_load(request, leash=self._leash()):
                if result.failure is None:
                    known[result.point.n_gpu_layers] = result
            self.plan(self._state)

    def plan(self, state: SessionState) -> None:
        """Deliver the plan for what is wanted now, unless nothing has changed that it stands on."""
        self._state = state
        loaded = state.loaded
        spec = loaded.spec if loaded is not None else state.wanted
        if spec is None or spec.on_cpu:
            return
        idle = self._idle.get(spec.rpc)
        facts = None if idle is None else within(idle, spec.vram_budget)
        subject = self._subject(spec.model) if facts is not None else None
        if facts is None or subject is None:
            return
        bare = _bare(spec)
        flash_attn = loaded.flash_attn if loaded is not None else spec.flash_attn != "off"
        ground = Ground(
            bare, flash_attn, facts, self._ram(loaded, facts), bandwidth=self._store.constant("RAM", "bandwidth")
        )
        ground = msgspec.structs.replace(ground, contexts=self._contexts(ground))
        points = self._store.points(
            subject.file, devices_text(facts), settings_text(bare, flash_attn, spec.n_threads or self._threads)
        )
        dry = tuple(self._dry.get((subject.file, bare), {}).values())
        basis = (subject.file, ground, points, dry, loaded, self._store.notices)
        if basis == self._basis:
            return
        self._basis = basis
        view, plan = make_view(subject.header, subject.model, ground, points, dry)
        truth = compare_load(subject.header, subject.model, loaded) if loaded is not None else ()
        notices = (*view.notices, *self._store.notices)
        view = msgspec.structs.replace(view, truth=truth, notices=notices)
        self._newest = (subject, ground, plan)
        self._listener(view)

    def _ram(self, loaded: Loaded | None, facts: Sequence[DeviceFacts]) -> int | None:
        """Bytes of RAM for a load, in steps, so that a little more or less is no new plan."""
        free = next((fact.free for fact in facts if fact.kind == "cpu"), None)
        if free is None:
            ours = sum(entry.total - entry.mapped for entry in loaded.devices if entry.kind == "cpu") if loaded else 0
            free = self._tools.ram_available() + ours
        return free // STEP * STEP

    def _contexts(self, ground: Ground) -> tuple[int | None, ...]:
        described = {fact.name: fact.description for fact in ground.facts}
        found = [self._store.constant(described[device.name], "context") for device in ground.devices]
        return tuple(None if value is None else round(value) for value in found)

    def _measure_bandwidth(self) -> None:
        """Once per run, for a tenth of a second; the best ever seen counts, as the machine may be busy now."""
        self._bandwidth_due = False
        best, now = self._store.constant("RAM", "bandwidth"), self._tools.bandwidth()
        if now is not None and (best is None or now > best):
            self._store.set_constant("RAM", "bandwidth", now)

    def _subject(self, path: str) -> _Subject | None:
        file = FileId.of(path)
        if file is None:
            return None
        if file not in self._subjects:
            header = self._store.header(path)
            if header is None:
                (reply,) = self._tools.read_headers([path], leash=self._leash())
                if reply.header is None:
                    return None
                header = reply.header
                self._store.keep_header(header)
            self._subjects = {file: _Subject(file, header, Model.of(header))}
        return self._subjects[file]


def _bare(spec: LoadSpec) -> LoadSpec:
    """The spec without what the dial turns."""
    return msgspec.structs.replace(spec, n_gpu_layers=None)


def _changed(before: Sequence[DeviceFacts], after: Sequence[DeviceFacts]) -> bool:
    if [fact.name for fact in before] != [fact.name for fact in after]:
        return True
    pairs = [(old.free, new.free) for old, new in zip(before, after, strict=True)]
    return any(
        (old is None) != (new is None) or (old is not None and new is not None and abs(old - new) > STEP)
        for old, new in pairs
    )


def _circumstances(subject: _Subject, loaded: Loaded) -> Circumstances:
    spec = loaded.spec
    return Circumstances(
        subject.file,
        subject.header.arch,
        subject.header.quant,
        devices_text(loaded.memory),
        settings_text(spec, loaded.flash_attn, spec.n_threads),
        loaded.n_ctx,
        loaded.layers.got,
    )
