"""Which changes of the devices' memory the worker tells."""

import pytest
from msgspec.structs import replace

from offtui.protocol.facts import DeviceFacts
from offtui.units import GIB, MIB
from offtui.worker.memory_news import is_news

CPU = DeviceFacts("CPU", "cpu", "a processor", 8 * GIB, 16 * GIB)
GPU = DeviceFacts("CUDA0", "gpu", "A Card", 6 * GIB, 8 * GIB)


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ((CPU, GPU), False),
        ((replace(CPU, free=8 * GIB - 15 * MIB), GPU), False),
        ((replace(CPU, free=8 * GIB + 16 * MIB), GPU), True),
        ((CPU, replace(GPU, free=6 * GIB - MIB // 2)), False),
        ((CPU, replace(GPU, free=6 * GIB - MIB)), True),
        ((CPU, replace(GPU, free=None)), True),
        ((CPU, replace(GPU, total=4 * GIB)), True),
        ((CPU,), True),
        ((CPU, replace(GPU, name="CUDA1")), True),
        ((), True),
    ],
)
def test_a_little_more_or_less_is_no_news(after: tuple[DeviceFacts, ...], told: bool) -> None:
    assert is_news((CPU, GPU), after) is told


def test_a_device_that_never_tells_is_no_news() -> None:
    silent = replace(GPU, free=None, total=None)
    assert not is_news((silent,), (silent,))
