"""The planner: hears what the session does, remembers what it measured, and delivers a plan of what it could do."""

import contextlib
import queue
import threading
import traceback
from collections.abc import Callable
from typing import ParamSpec

import msgspec

from offtui import paths
from offtui.engine.moves import MoveEnded
from offtui.engine.prober import Leash
from offtui.engine.state import LoadWanted, Occurrence, SessionState, WorkerEnded
from offtui.planner.view import NoPlan, PlanView
from offtui.planner.work import Tools, Work
from offtui.protocol.events import DeviceMemory, Loaded, LoadFailed, TurnEnded
from offtui.protocol.spec import LoadSpec, Placement

__all__ = ["Planner", "Tools"]

QUIET = 1.0
"""Seconds without news until llama.cpp itself is asked about the points that matter."""
REST = 0.3
"""Seconds that the dial rests on a count until llama.cpp is asked about it."""
LEAVE = 3.0
"""Seconds that closing waits for the thread."""

Listener = Callable[[PlanView | NoPlan], None]
"""Called on the planner's thread with each new plan; must not block long."""

P = ParamSpec("P")

_HEARD = LoadWanted | Loaded | LoadFailed | TurnEnded | DeviceMemory | WorkerEnded | MoveEnded


class _Study(msgspec.Struct, frozen=True):
    """A model to plan that is not loaded; ``None``: the one of the session again."""

    spec: LoadSpec | None


class _Rest(msgspec.Struct, frozen=True):
    """Where the dial points now."""

    placement: Placement
    layers: int


class _Paid(msgspec.Struct, frozen=True):
    """What an answer took."""

    turn: int
    joules: float


class _News(msgspec.Struct, frozen=True):
    state: SessionState
    occurrence: Occurrence | _Study | _Rest | _Paid | None
    """``None``: the end."""


class Planner:
    """Has a thread of its own. All methods but ``close`` return at once, from any thread."""

    def __init__(
        self,
        listener: Listener,
        tools: Tools = Tools(),  # noqa: B008 -- frozen
        *,
        quiet: float = QUIET,
        rest: float = REST,
    ) -> None:
        self._listener = listener
        self._tools = tools
        self._quiet, self._rest = quiet, rest
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
            self._turn_to(occurrence.spec.model)
        if isinstance(occurrence, _HEARD):
            self._news.put(_News(state, occurrence))

    def study(self, spec: LoadSpec | None) -> None:
        """Plan a load that is only thought of, until the next; ``None``: the session's own again."""
        if spec is not None:
            self._turn_to(spec.model)
        self._news.put(_News(self._state, _Study(spec)))

    def rest(self, placement: Placement, layers: int) -> None:
        """The dial points there; if it stays, llama.cpp itself is asked about that point, where it can be."""
        self._news.put(_News(self._state, _Rest(placement, layers)))

    def pay(self, turn: int, joules: float) -> None:
        """An answer that has ended took so much."""
        self._news.put(_News(self._state, _Paid(turn, joules)))

    def close(self) -> None:
        """End the thread and what it may be waiting for; may be called again."""
        self._news.put(_News(self._state, None))
        self._leash.cut()
        self._thread.join(LEAVE)

    def _turn_to(self, model: str) -> None:
        if model != self._wanted:  # a file that stalls its reader must not hold up the next
            self._wanted = model
            leash, self._leash = self._leash, Leash()
            leash.cut()

    def _run(self) -> None:
        work = Work(self._listener, self._tools, lambda: self._leash)
        while self._round(work):
            pass
        work.close()

    def _round(self, work: Work) -> bool:
        """Take all news there is, then plan once; whether there is to be another round."""
        batch: list[_News] = []
        wait = self._rest if work.can_try else self._quiet if work.can_refine else None
        with contextlib.suppress(queue.Empty):
            batch.append(self._news.get(timeout=wait))
        with contextlib.suppress(queue.Empty):
            while True:
                batch.append(self._news.get_nowait())
        if any(news.occurrence is None for news in batch):
            return False
        if not batch:
            _attempt(work.try_cursor if work.can_try else work.refine)
        for news in batch:
            match news.occurrence:
                case _Study(spec=spec):
                    _attempt(work.study, spec)
                case _Rest(placement=placement, layers=layers):
                    work.cursor = placement, layers
                case _Paid(turn=turn, joules=joules):
                    _attempt(work.pay, turn, joules)
                case None:
                    pass
                case occurrence:
                    _attempt(work.learn, news.state, occurrence)
        if any(not isinstance(news.occurrence, _Rest) for news in batch):
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
