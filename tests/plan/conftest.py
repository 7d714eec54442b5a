"""``offtui plan`` in this process, with a config and measurements of its own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from offtui.cli.main import main
from tests.fakes import gguf_shapes as shapes


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Outcome]


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr("offtui.cli.plan.ram_bandwidth", lambda: 25e9)

    def run(*words: object) -> Outcome:
        code = main(["plan", *map(str, words)])
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return run


@pytest.fixture(scope="session")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes.write_sparse(tmp_path_factory.mktemp("gemma") / "gemma-2-27b.gguf", shapes.gemma_2_27b())
