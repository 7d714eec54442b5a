"""What the planner's thread does: learn, plan, ask llama.cpp. Nothing here is touched by another thread."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from offtui.engine import prober
from offtui.engine.prober import Leash
from offtui.engine.state import Occurrence, Phase, SessionState
from offtui.gguf.header import Header
from offtui.memory import ram_available
from offtui.monitor.bandwidth import ram_bandwidth
from offtui.plan.decide import learned_contexts
from offtui.plan.placement import for_llama_cpp
from offtui.plan.pretend import within
from offtui.plan.probe import DevicesReply, DryPoint, DryRequest, DryResult, HeaderReply
from offtui.plan.table import Model
from offtui.planner.learning import (
    BANDWIDTH,
    Overheads,
    changed_memory,
    circumstances,
    learned,
    measured,
    point_of,
    spent,
)
from offtui.planner.making import Ground, as_dry_load, compare_load, make_view, placement_of, settings_of
from offtui.planner.spending import with_joules
from offtui.planner.view import NoPlan, PlanView
from offtui.protocol.events import Loaded, TurnEnded
from offtui.protocol.facts import DeviceFacts, no_chat_model
from offtui.protocol.spec import LoadSpec, Placement
from offtui.store.measurements import Circumstances, FileId, Residual, Spent, Store
from offtui.text import clean_line
from offtui.units import MIB
from offtui.worker.threads import default_threads

UNPAID = 8
"""Answers that ended and whose energy may still come."""
STEP = 64 * MIB
"""Bytes of RAM by which a plan is made anew."""


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


class Devices(Protocol):
    """Asks llama.cpp which devices there are."""

    def __call__(self, rpc: Sequence[str] = (), *, leash: Leash | None) -> DevicesReply:
        """Those of this machine and of the RPC endpoints, found out in a process of its own."""
        ...


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What the planner uses of the world."""

    store: Callable[[], Store] = Store
    read_headers: ReadHeaders = prober.read_headers
    dry_load: DryLoad = prober.dry_load
    devices: Devices = prober.devices
    bandwidth: Callable[[], float | None] = ram_bandwidth
    ram_available: Callable[[], int] = ram_available
    overhead: int | None = None
    """Bytes that every backend takes outside its buffers, where a person has said so; else it is learned."""


class _Subject(msgspec.Struct, frozen=True):
    """A model whose header is known."""

    file: FileId
    header: Header
    model: Model


class _Newest(msgspec.Struct, frozen=True):
    """The plan that was made last, and what it stands on."""

    subject: _Subject
    ground: Ground
    view: PlanView


Spot = tuple[Placement, int]
"""A placement and the layers wholly on devices."""


class Work:
    """The plan of the session's model, or of one that is only thought of."""

    def __init__(self, listener: Callable[[PlanView | NoPlan], None], tools: Tools, leash: Callable[[], Leash]) -> None:
        self._listener, self._tools, self._leash = listener, tools, leash
        self._store = tools.store()
        self._subjects: dict[FileId, _Subject] = {}
        self._idle: dict[tuple[str, ...], tuple[DeviceFacts, ...]] = {}
        """By RPC endpoints: every device with what is free when nothing of ours is loaded."""
        self._threads = default_threads()
        self._dry: dict[tuple[FileId, LoadSpec], dict[Spot, DryResult]] = {}
        self._tried: dict[tuple[FileId, LoadSpec], set[Spot]] = {}
        self._basis: tuple[object, ...] = ()
        """What the plan that was delivered last stands on."""
        self._newest: _Newest | None = None
        self._state = SessionState()
        self._studied: LoadSpec | None = None
        self._bandwidth_due = True
        self._ended: dict[int, tuple[Circumstances, int]] = {}
        """What the newest answers were written with, and their tokens, by turn."""
        self.cursor: Spot | None = None
        """Where the dial points, until llama.cpp was asked about it."""

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    # What was measured

    def learn(self, state: SessionState, occurrence: Occurrence) -> None:
        """Remember what an occurrence teaches."""
        match occurrence:
            case Loaded() if state.loaded is occurrence:
                self._threads = occurrence.spec.n_threads or self._threads
                self._learn_load(occurrence)
            case TurnEnded() if state.loaded is not None:
                self._learn_turn(state.loaded, occurrence)
            case _:
                pass
        # while the answer moves to another worker, both may hold memory
        if state.loaded is not None and state.memory and state.move is None:
            self._note_memory(state.loaded, state.memory)

    def _learn_load(self, loaded: Loaded) -> None:
        Overheads(self._store).learn(loaded)
        subject = self._subject(loaded.spec.model)
        if subject is None:
            return
        found = compare_load(subject.header, subject.model, loaded)
        residuals = [Residual(entry.device, entry.purpose, entry.planned, entry.got) for entry in found]
        self._store.add_residuals(circumstances(subject.file, subject.header, loaded), residuals)
        real = as_dry_load(loaded)
        if real is not None:
            spots = self._dry.setdefault((subject.file, _bare(loaded.spec)), {})
            spots[placement_of(loaded), loaded.layers.got] = real

    def _learn_turn(self, loaded: Loaded, ended: TurnEnded) -> None:
        point = point_of(loaded, ended.timings, time.time())
        subject = self._subject(loaded.spec.model) if point is not None else None
        if point is not None and subject is not None and not loaded.spec.on_cpu:
            of = circumstances(subject.file, subject.header, loaded)
            self._store.add_point(of, point)
            if ended.timings.moves == 0:
                self._ended[ended.turn] = of, ended.timings.tokens
                self._ended = dict(list(self._ended.items())[-UNPAID:])

    def pay(self, turn: int, joules: float) -> None:
        """Remember what an answer took; of one that was too short, or moved, that says nothing of a layer count."""
        of, tokens = self._ended.pop(turn, (None, 0))
        if of is not None:
            self._store.add_spent(of, Spent(of.n_gpu_layers, tokens, joules, time.time()))

    def _note_memory(self, loaded: Loaded, memory: tuple[DeviceFacts, ...]) -> None:
        """Keep what will be free once the load is gone, where that has changed by more than a little."""
        ours = {entry.name: entry.total - entry.mapped for entry in loaded.devices}
        overheads = Overheads(self._store, self._tools.overhead)
        before = self._idle.get(loaded.spec.rpc)
        trips = {fact.name: fact.round_trip for fact in before or ()}
        is_quicker = False
        found: list[DeviceFacts] = []
        for fact in memory:
            held = 0 if fact.kind == "cpu" else overheads.of(fact)
            free = None if fact.free is None else fact.free + ours.get(fact.name, 0) + held
            if free is not None and fact.total is not None:
                free = min(free, fact.total)
            # the shortest ever seen: a longer one was met by something else that ran
            trip, known = fact.round_trip, trips.get(fact.name)
            if trip is not None and known is not None:
                is_quicker = is_quicker or trip < known / 2
                trip = min(trip, known)
            found.append(msgspec.structs.replace(fact, free=free, round_trip=trip))
        if before is None or is_quicker or changed_memory(before, found, STEP):
            self._idle[loaded.spec.rpc] = tuple(found)

    # The plan

    def study(self, spec: LoadSpec | None) -> None:
        """Plan this one from now on; ``None``: what the session has, or wants."""
        if spec != self._studied:
            self._studied, self._basis, self.cursor = spec, (), None

    @property
    def can_try(self) -> bool:
        """Whether llama.cpp can be asked now about the point where the dial rests."""
        if self.cursor is None or self._newest is None or not self._is_quiet:
            return False
        return bool(self._unknown([self.cursor]))

    @property
    def can_refine(self) -> bool:
        """Whether the plan could be made better now with nobody disturbed: while no answer is written."""
        if self._newest is None or not self._is_quiet:
            return False
        return self._bandwidth_due or bool(self._unknown(_spots(self._newest.view)))

    @property
    def _is_quiet(self) -> bool:
        state = self._state
        if state.move is not None or state.replacing:
            return False
        return state.phase is Phase.READY or (self._studied is not None and state.phase in (Phase.EMPTY, Phase.CRASHED))

    def try_cursor(self) -> None:
        """Ask llama.cpp about the point where the dial rests."""
        cursor, self.cursor = self.cursor, None
        if cursor is not None:
            self._ask([cursor])

    def refine(self) -> None:
        """Measure the RAM; ask llama.cpp itself about the points that matter."""
        if self._bandwidth_due:
            self._measure_bandwidth()
            self.plan(self._state)
        if self._newest is not None:
            self._ask(_spots(self._newest.view))

    def _unknown(self, spots: Sequence[Spot]) -> list[Spot]:
        """Those that llama.cpp can be asked about and was not."""
        newest = self._newest
        if newest is None or newest.ground.spec.rpc or not newest.ground.devices:
            return []  # a server of an RPC device has one client, and that is the worker
        most = newest.view.most
        placements = newest.view.placements
        there = [_shared(spot, most) for spot in spots if spot[0] in placements and 0 <= spot[1] <= most]
        key = newest.subject.file, newest.ground.spec
        done = self._tried.get(key, set[Spot]()) | set(self._dry.get(key, {}))
        return [spot for spot in dict.fromkeys(there) if spot not in done]

    def _ask(self, spots: Sequence[Spot]) -> None:
        newest, unknown = self._newest, self._unknown(spots)
        if newest is None or not unknown:
            return
        key = newest.subject.file, newest.ground.spec
        self._tried.setdefault(key, set()).update(unknown)
        settings = settings_of(newest.ground, newest.subject.header)
        spec = msgspec.structs.replace(newest.ground.spec, n_ctx=settings.n_ctx)
        n_layer = newest.subject.header.n_layer
        asked = {DryPoint(*for_llama_cpp(*spot, n_layer)): spot for spot in unknown}
        known = self._dry.setdefault(key, {})
        for result in self._tools.dry_load(DryRequest(spec, tuple(asked)), leash=self._leash()):
            if result.failure is None:
                known[asked[result.point]] = result
        self.plan(self._state)

    def plan(self, state: SessionState) -> None:
        """Deliver the plan for what is wanted now, unless nothing has changed that it stands on."""
        self._state = state
        loaded = state.loaded
        spec = self._studied or (loaded.spec if loaded is not None else state.wanted)
        if spec is None or spec.on_cpu:
            return
        if loaded is not None and loaded.spec.model != spec.model:
            loaded = None
        idle = self._facts(spec, state)
        facts = None if idle is None else within(idle, spec.vram_budget)
        subject = self._subject(spec.model) if facts is not None else None
        if facts is None or subject is None:
            return
        n_threads = spec.n_threads or self._threads  # a load that is only wanted runs with as many as it will
        bare = msgspec.structs.replace(_bare(spec), n_threads=n_threads)
        flash_attn = loaded.flash_attn if loaded is not None else spec.flash_attn != "off"
        known = learned(self._store, self._tools.overhead)
        ground = Ground(
            bare,
            flash_attn,
            facts,
            self._ram(state.loaded, facts),
            learned_contexts(facts, known),
            known.bandwidth,
        )
        points = measured(self._store, subject.file, facts, bare, flash_attn=flash_attn, n_threads=n_threads)
        joules = spent(self._store, subject.file, facts, bare, flash_attn=flash_attn, n_threads=n_threads)
        dry = dict(self._dry.get((subject.file, bare), {}))
        basis = (subject.file, ground, points, joules, dry, loaded, self._store.notices)
        if basis == self._basis:
            return
        self._basis = basis
        placement: Placement = "layers" if spec.placement == "best" else spec.placement
        view = with_joules(make_view(subject.header, subject.model, ground, points, dry, placement), joules)
        if spec.placement == "best":
            view = view.under(view.best.placement)
        truth = compare_load(subject.header, subject.model, loaded) if loaded is not None else ()
        notices = (*view.notices, *self._store.notices)
        view = msgspec.structs.replace(view, truth=truth, notices=notices)
        self._newest = _Newest(subject, ground, view)
        self._listener(view)

    def _facts(self, spec: LoadSpec, state: SessionState) -> tuple[DeviceFacts, ...] | None:
        """Every device with what is free when nothing of ours is loaded; asked for where only a study needs it."""
        found = self._idle.get(spec.rpc)
        if found is None and state.loaded is not None:
            found = self._idle.get(state.loaded.spec.rpc)
        if found is not None or self._studied is None:
            return found
        reply = self._tools.devices(spec.rpc, leash=self._leash())
        if reply.failure is not None:
            self._listener(NoPlan(spec, f"{reply.failure.message} {reply.failure.advice}".strip()))
            return None
        self._idle[spec.rpc] = reply.devices
        return reply.devices

    def _ram(self, loaded: Loaded | None, facts: Sequence[DeviceFacts]) -> int | None:
        """Bytes of RAM for a load, in steps, so that a little more or less is no new plan."""
        free = next((fact.free for fact in facts if fact.kind == "cpu"), None)
        if free is None:
            ours = sum(entry.total - entry.mapped for entry in loaded.devices if entry.kind == "cpu") if loaded else 0
            free = self._tools.ram_available() + ours
        return free // STEP * STEP

    def _measure_bandwidth(self) -> None:
        """Once per run, for a tenth of a second; the best ever seen counts, as the machine may be busy now."""
        self._bandwidth_due = False
        best, now = self._store.constant("RAM", BANDWIDTH), self._tools.bandwidth()
        if now is not None and (best is None or now > best):
            self._store.set_constant("RAM", BANDWIDTH, now)

    def _subject(self, path: str) -> _Subject | None:
        file = FileId.of(path)
        if file is None:
            self._refuse(path, "The file is not there.")
            return None
        if file not in self._subjects:
            header = self._store.header(path)
            if header is None:
                (reply,) = self._tools.read_headers([path], leash=self._leash())
                if reply.header is None:
                    failure = reply.failure
                    self._refuse(path, f"{failure.message} {failure.advice}".strip() if failure else "")
                    return None
                header = reply.header
                self._store.keep_header(header)
            failure = no_chat_model(header.kind, clean_line(Path(path).name, 300), header.arch)
            if failure is not None:
                self._refuse(path, f"{failure.message} {failure.advice}")
                return None
            self._subjects = {file: _Subject(file, header, Model.of(header))}
        return self._subjects[file]

    def _refuse(self, path: str, why: str) -> None:
        if self._studied is not None and self._studied.model == path:
            self._listener(NoPlan(self._studied, why))


def _bare(spec: LoadSpec) -> LoadSpec:
    """The spec without what the dial turns."""
    return msgspec.structs.replace(spec, n_gpu_layers=None, placement="layers")


def _shared(spot: Spot, most: int) -> Spot:
    """The ends are the same in every placement."""
    return ("layers", spot[1]) if spot[1] in (0, most) else spot


def _spots(view: PlanView) -> list[Spot]:
    """What is worth a dry load: of each placement the choice and its neighbours, and none, the output, all."""
    found: list[Spot] = [("layers", 0), ("layers", 1), ("layers", view.most)]
    for ladder in sorted(view.ladders, key=lambda ladder: ladder.placement != view.placement):
        near = range(ladder.choice - 1, ladder.choice + 2)
        found.extend((ladder.placement, layers) for layers in near)
    return found
