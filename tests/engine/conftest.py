from collections.abc import Callable, Iterator

import pytest

from tests.engine.harness import Harness, children


@pytest.fixture
def start() -> Iterator[Callable[..., Harness]]:
    """Starts sessions; closes them all, and finds nobody alive afterwards."""
    before = {process.pid for process in children()}
    started: list[Harness] = []

    def make(*args: str, **options: object) -> Harness:
        harness = Harness(*args, **options)
        started.append(harness)
        return harness

    yield make
    for harness in started:
        harness.session.close()
    assert [process for process in children() if process.pid not in before] == []
