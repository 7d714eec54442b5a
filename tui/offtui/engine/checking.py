"""Looks at another model's file before the one that is up makes place for it; brings that back where the load fails.

A process of its own reads the header: a file that is missing, cut off, no model, or hostile enough to kill its reader
costs the wish and nothing else. The process that found nothing wrong is the one that loads.
"""

from collections.abc import Callable
from dataclasses import dataclass

from offtui.engine.child import Child, Deadlines
from offtui.engine.cleaning import clean_event
from offtui.engine.crew import Starting
from offtui.engine.ending import Stage
from offtui.engine.moves import MoveFailed
from offtui.engine.state import LoadWanted, Phase
from offtui.engine.transfer import CANCELLED, Host
from offtui.engine.waiting import NO_PATH, not_started
from offtui.errors import ProtocolError
from offtui.protocol.events import Event, HeaderRead, Hello
from offtui.protocol.facts import Failure, no_chat_model
from offtui.protocol.requests import ReadHeader
from offtui.protocol.spec import LoadSpec
from offtui.text import clean_line


@dataclass(slots=True)
class _Check:
    spec: LoadSpec
    starting: Starting
    due: float


class Checker:
    """At most one check at a time. Never blocks, and reads no clock; like the supervisor, whose part it is."""

    def __init__(self, host: Host, deadlines: Deadlines, passed: Callable[[LoadSpec, float], None]) -> None:
        """Check for ``host``; ``passed`` is told a spec whose file may be loaded, and the time."""
        self._host = host
        self._deadlines = deadlines
        self._passed = passed
        self._check: _Check | None = None
        self._way_back: LoadSpec | None = None
        """What was up and made place for another load; it comes back where that one fails."""
        self._fallen: Failure | None = None
        """Why it is coming back, as long as that is untold."""

    @property
    def child(self) -> Child | None:
        """The process that reads."""
        return None if self._check is None else self._check.starting.child

    @property
    def spec(self) -> LoadSpec | None:
        """The wish whose file is being looked at."""
        return None if self._check is None else self._check.spec

    def patience(self, now: float) -> list[float]:
        """Seconds until ``on_time`` has something to do."""
        return [] if self._check is None else [self._check.due - now]

    def begin(self, spec: LoadSpec, now: float) -> None:
        """Look at the file of ``spec``."""
        try:
            starting = self._host.crew.take(now)
        except OSError as error:
            self._host.tell(MoveFailed(not_started(error)))
            return
        due = starting.hello_due if starting.child.hello is None else now + self._deadlines.check
        self._check = _Check(spec, starting, due)
        try:
            self._host.send(starting.child, ReadHeader(spec.model))
        except (ProtocolError, UnicodeError):
            self._fail(NO_PATH, Stage.QUIT, now)

    def hear(self, event: Event, now: float) -> None:
        """The process has something to say."""
        check = self._check
        if check is None:
            return
        match event:
            case Hello():
                check.due = now + self._deadlines.check
            case HeaderRead():
                failure = _objection(clean_event(event), check.spec)
                if failure is not None:
                    self._fail(failure, Stage.QUIT, now)
                    return
                self._check = None
                self._host.crew.adopt(check.starting, now)
                self._passed(check.spec, now)
            case _:
                pass

    def lose(self, stage: Stage, now: float) -> None:
        """The process closed its socket, or what it says is garbage."""
        check = self._check
        if check is None:
            return
        if check.starting.child.hello is None:
            failure = Failure("crashed", "The worker that was to look at the file ended before it did.")
        else:
            message = f"Looking at {_name(check.spec)} ended the process that did."
            failure = Failure("crashed", message, advice="The file may be broken; choose another one.")
        self._fail(failure, stage, now)

    def on_time(self, now: float) -> None:
        """Enforce the deadline."""
        check = self._check
        if check is not None and now >= check.due:
            message = f"Looking at {_name(check.spec)} took too long and was given up."
            self._fail(Failure("timeout", message, advice="Look whether the file's disk answers."), Stage.KILL, now)

    def cancel(self, now: float) -> bool:
        """Esc: give the wish up. False: there is none."""
        if self._check is None:
            return False
        self._fail(CANCELLED, Stage.KILL, now)
        return True

    def drop(self, now: float) -> None:
        """Another wish has come, or the end: forget this one without a word."""
        check, self._check = self._check, None
        if check is not None:
            self._host.crew.end(check.starting.child, Stage.KILL, now)

    # Once it has passed

    def make_place(self) -> None:
        """What is up is ended for another load."""
        state = self._host.state
        if state.loaded is not None and not state.replacing:
            self._way_back = state.loaded.spec
        self._fallen = None

    def settled(self) -> None:
        """The other load is up, or is no longer wanted."""
        self._way_back = None

    def load_failed(self, failure: Failure) -> bool:
        """Have what made place for the load that failed loaded again; ``buried`` tells why. False: there is none."""
        state = self._host.state
        spec, self._way_back = self._way_back, None
        if spec is None or state.phase is not Phase.LOADING or not state.has_worker:
            return False
        self._fallen = failure
        self._host.load_next(spec)
        self._host.tell(LoadWanted(spec))
        return True

    def buried(self) -> None:
        """The worker whose load failed is gone."""
        failure, self._fallen = self._fallen, None
        if failure is not None:
            self._host.tell(MoveFailed(failure))

    def _fail(self, failure: Failure, stage: Stage, now: float) -> None:
        check, self._check = self._check, None
        if check is not None:
            # Not to be used again, whatever it says: it has read a file that may be hostile.
            self._host.crew.end(check.starting.child, stage, now)
            self._host.crew.keep_a_spare(now)
        self._host.tell(MoveFailed(failure))


def _objection(read: Event, spec: LoadSpec) -> Failure | None:
    """Why what was read cannot be loaded."""
    assert isinstance(read, HeaderRead)
    if read.failure is not None:
        return read.failure
    if read.header is None:
        return Failure("internal", f"Nothing could be read of {_name(spec)}.")
    return no_chat_model(read.header.kind, _name(spec), read.header.arch)


def _name(spec: LoadSpec) -> str:
    return clean_line(spec.model.rpartition("/")[2], 300)
