"""How a worker is ended: Quit, SIGTERM, SIGKILL, each with its deadline, until it is reaped."""

import enum

from offtui.engine.child import Child, Deadlines
from offtui.protocol.facts import Failure
from offtui.protocol.requests import Quit


class Stage(enum.IntEnum):
    """What the worker was told last."""

    NOTHING = 0
    """It has closed its socket by itself, and should be dead in a moment."""
    QUIT = 1
    TERM = 2
    KILL = 3


class Ending:
    """One worker on its way out. ``step`` it until it says that the worker is gone."""

    def __init__(
        self,
        child: Child,
        stage: Stage,
        now: float,
        deadlines: Deadlines,
        *,
        epoch: int | None = None,
        failure: Failure | None = None,
        explain: bool = False,
        beside: bool = False,
    ) -> None:
        """Begin with ``stage``.

        Args:
            child: the worker, reaped and closed by this object.
            stage: what to tell it first.
            now: the clock.
            deadlines: how long each stage may take.
            epoch: the life it was, if it was the session's worker and not a spare.
            failure: why it is ended, if that is a failure.
            beside: it loaded, or was loaded, beside the session's worker.
            explain: the end was not wanted; ask the autopsy why it came.
        """
        self.child = child
        self.epoch = epoch
        self.failure = failure
        self.explain = explain
        self.beside = beside
        self.returncode: int | None = None
        """Of a worker that is gone; ``None``: it hangs in the kernel and could not be reaped."""
        self._deadlines = deadlines
        self._enter(stage, now)

    @property
    def killed(self) -> bool:
        """Whether it took a signal of ours, so that the exit status explains nothing."""
        return self._stage >= Stage.TERM

    def step(self, now: float) -> bool:
        """Reap the worker or press harder. True: it is gone, or given up."""
        self.returncode = self.child.poll()
        if self.returncode is not None:
            return True
        if now < self._due:
            return False
        if self._stage is Stage.KILL:
            return True
        self._enter(Stage.TERM if self._stage < Stage.TERM else Stage.KILL, now)
        return False

    def _enter(self, stage: Stage, now: float) -> None:
        self._stage = stage
        match stage:
            case Stage.NOTHING:
                self._due = now + self._deadlines.quit
            case Stage.QUIT:
                self.child.send(Quit())
                self._due = now + self._deadlines.quit
            case Stage.TERM:
                self.child.terminate()
                self._due = now + self._deadlines.term
            case Stage.KILL:
                self.child.kill()
                self._due = now + self._deadlines.kill
