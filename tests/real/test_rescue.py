"""A worker that is killed in its answer, for real: another one goes on with the very same words."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from offtui.engine.state import Phase, TurnBroken
from offtui.protocol.events import Hello, StateRestored, TurnEnded, TurnResumed
from offtui.protocol.spec import Sampling
from tests.fakes.device import RunningDevice
from tests.real.test_moves import QUESTION, Life, spec_of, start, unmoved

__all__ = ["start"]

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_a_killed_answer_goes_on_and_is_the_one_it_would_have_been(
    start: Callable[..., Life], varied_model: Path, device: RunningDevice, temperature: float
) -> None:
    sampling = Sampling(temperature=temperature, seed=7, max_tokens=3000)
    wanted = unmoved(start, spec_of(varied_model, 4, device), sampling)
    life = start()
    life.session.want(spec_of(varied_model, 4, device))
    life.wait(lambda s: s.phase is Phase.READY)
    life.session.submit(1, QUESTION, sampling)
    copies = life.session._supervisor._turns.rescue
    life.wait(lambda s: s.turn is not None and copies._newest is not None and s.turn.tokens > 200)
    os.kill(life.of(Hello)[0].pid, signal.SIGKILL)
    life.wait(lambda s: s.broken is not None)
    (broken,) = life.of(TurnBroken)
    assert 0 < broken.broken.kept <= broken.broken.total
    life.session.go_on(1, 1)
    life.wait(lambda _: bool(life.of(TurnEnded)))
    assert life.of(StateRestored)[0].tokens >= broken.broken.kept  # the copy may hold tokens that were not told of yet
    assert life.of(TurnResumed)[0].kept_tokens >= broken.broken.kept - 1
    assert life.text() == wanted
    assert life.of(TurnEnded)[0].timings.tokens == 3000
