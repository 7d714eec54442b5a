"""How a KV cache leaves one worker and reaches the next: what each is asked, and what the parent keeps meanwhile.

Steps of a move, which ``mover`` puts in order. Nothing here blocks.
"""

import contextlib
import os
from typing import Final

from offtui import paths
from offtui.engine.child import Child, Deadlines
from offtui.engine.moves import MoveStep, MoveStepped
from offtui.engine.parcel import parcel
from offtui.engine.transfer import Host, Transfer, cache_size, expected_size, to_await
from offtui.errors import ProtocolError
from offtui.memory import ram_available
from offtui.protocol.events import StateSaved, TurnPaused
from offtui.protocol.facts import Failure
from offtui.protocol.requests import Load, Pause, Reserve, RestoreState, SaveState
from offtui.protocol.spec import LoadSpec
from offtui.text import clean_line
from offtui.units import MIB

RESERVE_FROM: Final = 64 * MIB
"""Bytes of a cache whose memory is made ready before the answer halts; a smaller one takes no time that is noticed."""
RESERVE_SHARE: Final = 1 / 4
"""Of the RAM that is available, at most, while two workers are loaded."""


def reserve(host: Host, move: Transfer) -> bool:
    """While the answer goes on: take the memory for its cache, and have the old worker put pages into it.

    False: there is nothing to wait for.
    """
    size = expected_size(move.origin, host.state.n_past)
    if host.worker is None or not RESERVE_FROM <= size <= ram_available() * RESERVE_SHARE:
        return False
    with contextlib.suppress(OSError):  # without it the answer halts for longer
        move.parcel = parcel(size, paths.state_dir())
        os.ftruncate(move.parcel.descriptor, size)
        move.reserved = size
        host.send(host.worker, Reserve(size, to_write=True), move.parcel.descriptor)
        return True
    return False


def make_room(host: Host, move: Transfer, deadlines: Deadlines, now: float) -> bool:
    """Before an answer is halted for a load in its worker's place, ``reserve``. False: there is nothing to wait for."""
    if host.state.turn is None or not reserve(host, move):
        return False
    move.step, move.due = MoveStep.PREPARING, now + deadlines.reserve + move.reserved / deadlines.reserve_rate
    host.tell(MoveStepped(MoveStep.PREPARING))
    return True


def announce(host: Host, move: Transfer, child: Child) -> None:
    """Have the next worker map the memory that it will read while it loads."""
    size = move.reserved or (0 if move.manifest is None else move.manifest.size)
    if size >= RESERVE_FROM and move.parcel is not None:
        with contextlib.suppress(OSError):
            host.send(child, Reserve(size, to_write=False), move.parcel.descriptor)


def load_in_place(host: Host, move: Transfer | None, worker: Child, spec: LoadSpec, left: tuple[str, ...]) -> None:
    """Have the session's next worker load ``spec``, in a move or without one.

    Raises:
        ProtocolError: the request is too long.
        UnicodeEncodeError: a text in it has lone surrogates.
    """
    if move is None:
        host.send(worker, Load(spec, left=left))
        return
    host.send(worker, Load(spec, move.origin.flash_attn, to_await(move.origin, host.state), left))
    announce(host, move, worker)


def ask_for_cache(host: Host, move: Transfer, deadlines: Deadlines, now: float) -> bool:
    """Have the old worker halt its answer, and hand its cache over. False: there is nothing to wait for."""
    worker, turn = host.worker, host.state.turn
    size = cache_size(move.origin, host.state.n_past)
    move.step, move.due = MoveStep.SAVING, now + deadlines.save + size / deadlines.carry_rate
    host.tell(MoveStepped(MoveStep.SAVING))
    if worker is None:
        return True  # its end is on the way
    if turn is None and host.state.n_past == 0:
        move.close()
        return False
    if turn is not None:
        host.send(worker, Pause(turn.turn))
    try:
        if move.parcel is None or not move.reserved:
            move.close()
            move.parcel = parcel(size, paths.state_dir())
        move.reserved = 0
        host.send(worker, SaveState(), move.parcel.descriptor)
    except OSError as error:
        move.close()
        move.why = f"The KV cache could not be kept: {clean_line(error.strerror or str(error))}."
        return turn is not None
    return True


def note(move: Transfer, event: TurnPaused | StateSaved) -> bool:
    """Keep what the old worker hands over; whether that is all."""
    if isinstance(event, TurnPaused):
        move.paused = event
        return move.step is MoveStep.SAVING and move.parcel is None
    if move.step is not MoveStep.SAVING or move.parcel is None:
        return False
    move.saved = event
    move.parcel.manifest = event.manifest
    if event.manifest is None:
        move.close()
        move.why = event.why
    return True


def give_cache(host: Host, move: Transfer, child: Child, deadlines: Deadlines, now: float) -> bool:
    """Give the next worker the cache. False: there is none to wait for."""
    manifest = move.manifest
    size = manifest.size if manifest is not None else 0
    move.step, move.due = MoveStep.RESTORING, now + deadlines.restore + size / deadlines.carry_rate
    host.tell(MoveStepped(MoveStep.RESTORING))
    if manifest is None or move.parcel is None:
        return False
    try:
        host.send(child, RestoreState(manifest), move.parcel.descriptor)
    except (OSError, ProtocolError) as error:
        move.why = f"The KV cache could not be handed over: {clean_line(str(error))}."
        return False
    return True


def overdue(step: MoveStep) -> Failure:
    """What is said of a worker that did not come so far in time, and was ended."""
    match step:
        case MoveStep.SAVING:
            message = "The worker did not hand its KV cache over in time"
        case MoveStep.RESTORING:
            message = "The next worker did not take the KV cache over in time"
        case _:
            message = "The load made no progress"
    return Failure("timeout", f"{message} and was ended.")
