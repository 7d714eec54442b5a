"""Mistakes in ``config.toml`` are named by their key."""

from pathlib import Path

import pytest

from offtui import config
from offtui.errors import UsageError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('graph = "fancy"', "graph is one of braille, block, ascii, not 'fancy'"),
        ("n_threads = 0", "n_threads is a whole number 1…1024, not 0"),
        ("n_threads = 1025", "n_threads"),
        ("n_ctx = 0", "n_ctx"),
        ("n_ctx = 99999999999", "n_ctx"),
        ("n_gpu_layers = -1", "n_gpu_layers"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=said) as raised:
        config.load(file)
    assert str(file) in str(raised.value)


@pytest.mark.parametrize("graph", config.GRAPHS)
def test_the_least_and_the_kinds_of_graph_are_taken(tmp_path: Path, graph: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'graph = "{graph}"\nn_threads = 1\nn_ctx = 1\nn_gpu_layers = 0')
    assert config.load(file) == config.Config(graph=graph, n_threads=1, n_ctx=1, n_gpu_layers=0)
