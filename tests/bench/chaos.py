"""SIGKILL, SIGSTOP and SIGABRT to any worker at random moments, moves among them: what is lost, what is left.

Fake workers that speak the real protocol, so that it is the session that is tried, hundreds of times.
"""

import contextlib
import os
import random
import signal
import time

import psutil
from msgspec.structs import replace

from offtui.engine.overlap import beside
from offtui.engine.state import Phase, SessionState
from offtui.protocol.events import Piece
from offtui.protocol.spec import LoadSpec
from tests.bench.report import Figure
from tests.engine.harness import FAKE, QUICK, Harness, children

COUNT = 60
WHOLE = "".join(f"word{i} " for i in range(COUNT))
SIGNALS = (signal.SIGKILL, signal.SIGSTOP, signal.SIGABRT)
STRIKES = 200


def run(runs: int) -> list[Figure]:
    """Two hundred strikes; fewer with fewer runs."""
    strikes = STRIKES if runs >= 5 else 40 * runs
    wrong = Figure("answers with a wrong or lost word", "", [], "0")
    stuck = Figure("sessions that could not be used again", "", [], "0")
    usable = Figure("from the strike until something is up again", "s", [], "≤ 2 after SIGKILL")
    orphans = Figure("processes left", "", [], "0")
    for seed in range(strikes):
        chance = random.Random(seed)
        outcome = _strike(chance)
        wrong.values.append(float(outcome[0]))
        stuck.values.append(float(outcome[1]))
        usable.values.append(outcome[2])
        orphans.values.append(float(len(children())))
    return [Figure(f.name, f.unit, [sum(f.values)], f.reach) for f in (wrong, stuck, orphans)] + [usable]


def _strike(chance: random.Random) -> tuple[bool, bool, float]:
    overlap = chance.choice((beside, None))
    deadlines = replace(QUICK, hello=8.0, save=0.8, restore=0.8)  # one stopped before its handshake takes as long
    life = Harness("--pause", "0.005", "--pieces", str(COUNT), overlap=overlap, spare=chance.random() < 0.5,
                   deadlines=deadlines)  # fmt: skip
    try:
        life.load("good.gguf", n_gpu_layers=4)
        life.ask()
        _pass(life, chance)
        if chance.random() < 0.7:
            life.session.want(LoadSpec(model="good.gguf", n_gpu_layers=chance.randrange(14)))
            _pass(life, chance)
        for process in children():
            with contextlib.suppress(psutil.NoSuchProcess):
                # One stopped before its exec would hold its parent in the fork for ever.
                if str(FAKE) in process.cmdline() and chance.random() < 0.7:
                    os.kill(process.pid, chance.choice(SIGNALS))
        struck = time.monotonic()
        life.session.want(LoadSpec(model="good.gguf", n_gpu_layers=3))
        life.wait(lambda s: _at_rest(s) or s.phase is Phase.GENERATING)
        if life.state.phase is Phase.GENERATING:
            life.session.stop()
            life.wait(_at_rest)
        if life.state.phase is not Phase.READY:
            life.load("good.gguf", n_gpu_layers=2)
        seconds = time.monotonic() - struck
        broken = life.state.broken
        if broken is not None:
            life.session.go_on(broken.turn, broken.turn + 1)
            life.wait(lambda s: s.broken is None and _at_rest(s))
        return not WHOLE.startswith(life.text()), life.state.phase is not Phase.READY, seconds
    except AssertionError:
        return False, True, 20.0
    finally:
        life.session.close()


def _pass(life: Harness, chance: random.Random) -> None:
    """Let the session come to a random one of its next few states."""
    least = len(life.seen) + chance.randrange(1, 12)
    life.glance(lambda _: len(life.seen) >= least or len(life.of(Piece)) >= COUNT - 5)


def _at_rest(state: SessionState) -> bool:
    return state.phase in (Phase.READY, Phase.CRASHED, Phase.EMPTY) and state.move is None
