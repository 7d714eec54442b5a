"""What several folders of tests need: real models of small shapes, and a real second device."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import gguf_shapes
from tests.fakes.device import RunningDevice


def pytest_configure() -> None:
    """Run as a job in the background this process ignores SIGINT and SIGQUIT, and all that it starts would too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random-weight model of 12 layers that llama.cpp runs in milliseconds; greedy, it never ends its answer."""
    return gguf_shapes.write_random(tmp_path_factory.mktemp("models") / "tiny.gguf", gguf_shapes.bench_tiny())


@pytest.fixture(scope="session")
def varied_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``tiny_model`` with another answer: not one word of it is like the others, all depend on those before."""
    return gguf_shapes.write_random(tmp_path_factory.mktemp("models") / "varied.gguf", gguf_shapes.tiny_varied())


@pytest.fixture(scope="session")
def swa_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random-weight model with a sliding window."""
    return gguf_shapes.write_random(tmp_path_factory.mktemp("models") / "swa.gguf", gguf_shapes.tiny_swa())


@pytest.fixture(scope="session")
def _device_process() -> Iterator[RunningDevice]:
    with RunningDevice(slots=2) as device:
        yield device


@pytest.fixture
def device(_device_process: RunningDevice) -> RunningDevice:
    """``offtui device`` with two slots, running: a real second device."""
    assert _device_process.process.poll() is None, "the device of the session died"
    return _device_process
