"""The processes besides the session's worker: a spare with its imports done, and those that are on their way out."""

import selectors
from collections.abc import Sequence
from typing import NamedTuple

from offtui.engine.child import Child, Deadlines
from offtui.engine.ending import Ending, Stage
from offtui.protocol.events import Event, Hello
from offtui.protocol.facts import Failure

_REAP_INTERVAL = 0.02
"""Seconds between looks at a process that is being ended; a tenth of it once its socket is closed."""


class Starting(NamedTuple):
    """A child and when its handshake is overdue; that matters only as long as it has not said hello."""

    child: Child
    hello_due: float


class Crew:
    """Starts children, keeps a spare one, and ends and reaps them. Never blocks but in ``kill_everything``."""

    def __init__(
        self, selector: selectors.BaseSelector, command: Sequence[str], deadlines: Deadlines, keep_spare: bool
    ) -> None:
        self.spare: Starting | None = None
        self._selector = selector
        self._command = command
        self._deadlines = deadlines
        self._keep_spare = keep_spare
        self._endings: list[Ending] = []

    @property
    def is_empty(self) -> bool:
        """Whether nobody is left to be reaped."""
        return self.spare is None and not self._endings

    @property
    def has_place(self) -> bool:
        """Whether every process that may have loaded something is gone."""
        return all(ending.epoch is None and not ending.beside for ending in self._endings)

    def patience(self, now: float) -> list[float]:
        """Seconds until ``step`` has something to do, for each reason there is."""
        waits = [_REAP_INTERVAL / 10 if ending.child.eof else _REAP_INTERVAL for ending in self._endings]
        if self.spare is not None and self.spare.child.hello is None:
            waits.append(self.spare.hello_due - now)
        return waits

    def take(self, now: float) -> Starting:
        """The spare, or else a new child.

        Raises:
            OSError: no process can be started.
        """
        starting, self.spare = self.spare, None
        return starting or self._spawn(now)

    def adopt(self, starting: Starting, now: float) -> None:
        """Have this one be the spare, whose imports are done."""
        self.drop_spare(Stage.QUIT, now)
        self.spare = starting

    def keep_a_spare(self, now: float) -> None:
        """Start one, if there is none and there shall be one."""
        if self._keep_spare and self.spare is None:
            try:
                self.spare = self._spawn(now)
            except OSError:
                return  # The next load will say why no process can be started.

    def drop_spare(self, stage: Stage, now: float) -> None:
        """End the spare, if there is one."""
        if self.spare is not None:
            self.end(self.spare.child, stage, now)
            self.spare = None

    def end(
        self,
        child: Child,
        stage: Stage,
        now: float,
        *,
        epoch: int | None = None,
        failure: Failure | None = None,
        explain: bool = False,
        beside: bool = False,
    ) -> None:
        """Put a child on its way out; the arguments are those of ``Ending``."""
        ending = Ending(
            child, stage, now, self._deadlines, epoch=epoch, failure=failure, explain=explain, beside=beside
        )
        self._endings.append(ending)
        self.watch(child)

    def step(self, now: float) -> list[Ending]:
        """Enforce the deadlines, and give back those that are gone now; the caller closes their children."""
        if self.spare is not None and self.spare.child.hello is None and now >= self.spare.hello_due:
            self.drop_spare(Stage.KILL, now)
        gone = [ending for ending in self._endings if ending.step(now)]
        for ending in gone:
            self._endings.remove(ending)
            self.unwatch(ending.child)
        return gone

    def exchange(self, child: Child, mask: int) -> list[Event]:
        """Send what waits to a child whose socket is ready, and take in what it says."""
        if mask & selectors.EVENT_WRITE:
            child.flush()
            self.watch(child)
        events = child.receive() if mask & selectors.EVENT_READ else []
        child.hello = next((event for event in events if isinstance(event, Hello)), child.hello)
        if child.eof:
            self.unwatch(child)
        return events

    def watch(self, child: Child) -> None:
        """Have the selector look for what the child sends, and for room where something waits to be sent."""
        if not child.eof:
            mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if child.has_unsent else 0)
            self._selector.modify(child, mask, child)

    def unwatch(self, child: Child) -> None:
        """Have the selector forget the child."""
        if child in self._selector.get_map():
            self._selector.unregister(child)

    def kill_everything(self, *workers: Child | None) -> None:
        """SIGKILL and reap them all, and ``workers`` with them."""
        children = [ending.child for ending in self._endings]
        if self.spare is not None:
            children.append(self.spare.child)
        children += [worker for worker in workers if worker is not None]
        for child in children:
            child.kill()
        for child in children:
            child.wait(self._deadlines.kill)
            child.close()
        self.spare = None
        self._endings.clear()

    def _spawn(self, now: float) -> Starting:
        child = Child(self._command)
        self._selector.register(child, selectors.EVENT_READ, child)
        return Starting(child, now + self._deadlines.hello)
