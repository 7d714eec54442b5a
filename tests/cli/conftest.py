import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from offtui.cli import ask
from offtui.cli.main import main
from tests.engine.harness import FAKE, children


class Outcome(msgspec.Struct):
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return msgspec.json.decode(self.out)


@pytest.fixture(autouse=True)
def config_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config folder of the test's own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "config" / "offtui"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def offtui(monkeypatch, capsys) -> Callable[..., Outcome]:
    """Runs the command over fake workers; no process is left."""
    monkeypatch.setattr(ask, "WORKER_COMMAND", (sys.executable, str(FAKE)))

    def run(*words: str, worker: tuple[str, ...] = ()) -> Outcome:
        monkeypatch.setattr(ask, "WORKER_COMMAND", (sys.executable, str(FAKE), *worker))
        code = main(words)
        captured = capsys.readouterr()
        assert children() == []
        return Outcome(code, captured.out, captured.err)

    return run
