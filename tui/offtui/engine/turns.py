"""The turn that the session's worker answers: taken up, heard of, stopped.

Never blocks, and reads no clock; like the supervisor, whose part it is.
"""

from offtui.engine.child import Deadlines
from offtui.engine.rescue import Rescue, TurnEvent
from offtui.engine.state import Phase, TurnWanted
from offtui.engine.transfer import Host
from offtui.engine.waiting import Due, TurnAsked, Wait, not_ready, not_sent
from offtui.errors import ProtocolError
from offtui.protocol.events import TurnEnded, TurnFailed
from offtui.protocol.facts import Failure
from offtui.protocol.requests import Cancel, Generate, Resume


class Turns:
    """At most one turn at a time."""

    def __init__(self, host: Host, deadlines: Deadlines) -> None:
        self._host = host
        self._deadlines = deadlines
        self.rescue = Rescue(host, deadlines)

    def ask(self, asked: TurnAsked, now: float) -> None:
        """Have the worker answer."""
        host, worker = self._host, self._host.worker
        if worker is None or host.state.phase is not Phase.READY:
            host.tell(TurnFailed(asked.turn, Failure("internal", not_ready(host.state.phase))))
            return
        self.rescue.forget()
        host.tell(TurnWanted(asked.turn))
        try:
            host.send(worker, Generate(asked.turn, asked.messages, asked.sampling, asked.go_on))
        except (ProtocolError, UnicodeError) as error:
            host.tell(TurnFailed(asked.turn, not_sent(error)))
            return
        self._expect(now)

    def resume(self, state: bytes, now: float) -> None:
        """Have the worker take up the turn that was halted, where one is."""
        worker, turn = self._host.worker, self._host.state.turn
        if worker is not None and turn is not None:
            self._host.send(worker, Resume(turn.turn, state))
            self._expect(now)

    def cancel(self, now: float) -> None:
        """Have the worker stop, unless it has been told to."""
        turn, due = self._host.state.turn, self._host.due
        if turn is not None and (due is None or due.wait is not Wait.STOP):
            self._host.order_stop(Cancel(turn.turn), now)

    def hear(self, event: TurnEvent) -> bool:
        """Tell what the worker says of its turn. False: it is about another one, and of no interest."""
        host = self._host
        if host.state.turn is None or host.state.turn.turn != event.turn:
            return False
        over = isinstance(event, TurnEnded | TurnFailed)
        if over or host.due is None or host.due.wait is not Wait.STOP:
            host.due = None
        if over and host.worker is not None:
            host.worker.trim_log()
        self.rescue.hear(event)
        host.tell(event)
        return True

    def _expect(self, now: float) -> None:
        self._host.due = Due(Wait.TURN_START, now + self._deadlines.turn_start)
