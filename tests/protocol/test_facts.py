"""What is told of an answer's times."""

import pytest

from offtui.protocol.facts import Timings


def timings(ttft_seconds: float, moves: int) -> Timings:
    """404 tokens, 244 of them by the worker that ended it."""
    return Timings(
        prompt_tokens=24,
        reused_tokens=0,
        prompt_seconds=0.1,
        ttft_seconds=ttft_seconds,
        tokens=404,
        eval_seconds=5.4,
        n_past=428,
        moves=moves,
        epoch_tokens=244,
        epoch_seconds=5.4,
    )


def test_an_answer_whose_worker_died_has_the_speed_since_then() -> None:
    assert timings(0.0, moves=1).tps == pytest.approx(45.0)


def test_an_answer_that_moved_has_the_speed_of_the_whole() -> None:
    assert timings(0.2, moves=1).tps == pytest.approx(403 / 5.4)
    assert timings(0.2, moves=0).tps == pytest.approx(403 / 5.4)
