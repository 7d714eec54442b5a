"""Any order of loads, questions, cancels, crashes and losses: what must hold in every life of a session.

A real session over fake workers that speak the real protocol. What is done is drawn beforehand and never depends on
what is seen, so that every run does the same; where exactly a worker is hit is up to the machine, and must not matter.
"""

import contextlib
import os
from collections.abc import Sequence

import psutil
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Step
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from offtui.engine.state import Phase, SessionState
from offtui.protocol.events import Piece, TurnEnded, TurnFailed
from offtui.protocol.spec import LoadSpec
from tests.engine.harness import Harness, caches, children, until

TOKENS = 40
PATIENT = 90.0
"""Seconds a wait may take at most."""
LOSES_DEVICE, STARVES = 11, 12
"""Layers with which a worker loses its device at the first token; for which there is too little memory."""
COMMAND = (
    *("--pieces", str(TOKENS), "--pause", "0.002"),
    *("--do-layers", f"{STARVES}:progress:oom", "--do-layers", f"{LOSES_DEVICE}:piece:rpc-gone"),
)


def whole(question: str) -> str:
    return "".join(f"{question}.{i} " for i in range(TOKENS))


def at_rest(state: SessionState) -> bool:
    if state.phase is Phase.READY:
        return state.move is None and not state.replacing
    return state.phase in (Phase.CRASHED, Phase.EMPTY) and not state.has_worker and state.move is None


def both(_state: SessionState, spec: LoadSpec, _used: Sequence[str]) -> LoadSpec:
    """Everything fits beside everything."""
    return spec


class AnyLife(RuleBasedStateMachine):
    """One session; its workers are hit at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.others = {process.pid for process in children()}
        self.life: Harness | None = None
        self.turn = 0
        self.asked: dict[int, str] = {}
        """The question that each turn answers."""

    @initialize(both_fit=st.booleans(), spare=st.booleans())
    def begin(self, both_fit: bool, spare: bool) -> None:
        self.life = Harness(*COMMAND, overlap=both if both_fit else None, spare=spare, patience=PATIENT)

    @rule(layers=st.sampled_from((0, 4, 9)), answering=st.booleans())
    def load(self, layers: int, answering: bool) -> None:
        self.come_to_answer(answering)
        self.want("good.gguf", layers)

    @rule(answering=st.booleans())
    def load_another(self, answering: bool) -> None:
        self.come_to_answer(answering)
        self.want("other.gguf", 4)

    @rule(answering=st.booleans())
    def run_out_of_memory(self, answering: bool) -> None:
        self.come_to_answer(answering)
        self.want("good.gguf", STARVES)

    @rule(answering=st.booleans())
    def turn_to_a_device_that_is_lost(self, answering: bool) -> None:
        self.come_to_answer(answering)
        self.want("good.gguf", LOSES_DEVICE)

    @rule()
    def ask(self) -> None:
        number = self.next_turn()
        self.asked[number] = f"turn{number}"
        self.life.ask(number, self.asked[number])

    @rule()
    def token(self) -> None:
        """Another one is written, or nothing is."""
        self.sync()
        before = len(self.life.of(Piece))
        self.life.wait(lambda state: len(self.life.of(Piece)) > before or at_rest(state))

    @rule(answering=st.booleans())
    def cancel(self, answering: bool) -> None:
        self.come_to_answer(answering)
        self.life.session.stop()

    @rule(newest=st.booleans(), answering=st.booleans())
    def crash(self, newest: bool, answering: bool) -> None:
        self.come_to_answer(answering)
        with contextlib.suppress(psutil.NoSuchProcess):
            alive = sorted(self.workers(), key=lambda process: process.create_time())
            if alive:
                alive[-1 if newest else 0].kill()

    @rule(broken_off=st.booleans())
    def go_on(self, broken_off: bool) -> None:
        if broken_off:
            self.crash(newest=True, answering=True)
            self.settle()
        broken = self.life.state.broken
        if broken is not None:
            number = self.next_turn()
            self.asked[number] = self.asked[broken.turn]
            self.life.session.go_on(broken.turn, number)

    @rule()
    def settle(self) -> None:
        """Wait until nothing happens any more, and look at what came of it."""
        self.sync()
        while True:  # it may rest for a moment between two things
            state = self.life.wait(at_rest)
            self.sync()
            if at_rest(state) and self.life.state is state:
                break
        if state.phase is Phase.CRASHED:
            assert state.failure is not None
            assert state.failure.message
        self.check_text()
        # besides the one that is up there may be one that has looked at another model's file, and would be the next
        until(lambda: len(self.workers()) <= (state.phase is Phase.READY) + 1, PATIENT)
        assert caches() <= 2

    def teardown(self) -> None:
        """Whatever has happened: it can be used again, and leaves nothing behind."""
        if self.life is None:
            return
        try:
            self.settle()
            self.come_up()
            self.ask()
            number = self.turn
            self.life.wait(lambda _: any(end.turn == number for end in self.life.of(TurnEnded)))
            self.check_text()
        finally:
            self.life.session.close()
        assert self.life.state.phase is Phase.CLOSED
        assert self.workers() == []
        assert caches() == 0

    def come_up(self) -> None:
        """Have a model up that can answer."""
        for _ in range(3):  # a spare that was killed is found out as it is reached for
            self.want("good.gguf", 4)
            self.settle()
            if self.life.state.phase is Phase.READY:
                break
        assert self.life.state.phase is Phase.READY

    def come_to_answer(self, answering: bool) -> None:
        """Be in the middle of an answer, or wherever it is."""
        if answering:
            self.settle()
            self.come_up()
            self.ask()
            self.token()

    def want(self, model: str, layers: int) -> None:
        self.life.session.want(LoadSpec(model=model, n_gpu_layers=layers))

    def next_turn(self) -> int:
        self.turn += 1
        return self.turn

    def workers(self) -> list[psutil.Process]:
        return [process for process in children() if process.pid not in self.others]

    def sync(self) -> None:
        """Until the session has heard all that was asked of it."""
        number = -self.next_turn()
        self.life.session.go_on(number, number)
        self.life.wait(lambda _: any(failed.turn == number for failed in self.life.of(TurnFailed)))

    def check_text(self) -> None:
        """Each answer is what its workers made, from the beginning, once and in order; at its end it is whole."""
        text = dict.fromkeys(self.asked.values(), "")
        over: set[int] = set()
        for _, occurrence in list(self.life.seen):
            if isinstance(occurrence, Piece):
                assert occurrence.turn not in over
                question = self.asked[occurrence.turn]
                text[question] += occurrence.text
                assert whole(question).startswith(text[question])
            elif isinstance(occurrence, TurnEnded | TurnFailed):
                over.add(occurrence.turn)
                if isinstance(occurrence, TurnEnded) and occurrence.stop == "end":
                    assert text[self.asked[occurrence.turn]] == whole(self.asked[occurrence.turn])


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="counts the descriptors of Linux")
@pytest.mark.timeout(900)
def test_any_life() -> None:
    lives = settings(
        max_examples=15,
        stateful_step_count=14,
        derandomize=True,
        deadline=None,
        database=None,
        phases=(Step.generate,),  # a life that went wrong is not lived again: what follows may differ
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(AnyLife, settings=lives)
