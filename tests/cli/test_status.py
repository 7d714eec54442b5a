import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from offtui.recorder import address
from offtui.recorder.server import Server
from tests.cli.conftest import Outcome
from tests.fakes import nvml
from tests.recorder.scenes import Show


@pytest.fixture(autouse=True)
def runtime_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path / "run"


@pytest.fixture
def served() -> Iterator[Show]:
    """An offtui that runs."""
    show = Show()
    show.load(0.0)
    server = Server(show.tape, lambda: (show.state, None))
    assert server.start() == ""
    yield show
    server.close()


def test_the_status_of_this_machine_is_true(offtui: Callable[..., Outcome]) -> None:
    outcome = offtui("status", "--json")
    assert outcome.code == 0
    assert outcome.out.count("\n") == 1
    status = outcome.json
    assert list(status) == ["gpus", "host", "session"]
    assert list(status["host"]) == ["ram_total", "ram_used", "swap_used", "cpu"]
    assert status["session"] is None
    ram = psutil.virtual_memory()
    assert status["host"]["ram_total"] <= ram.total
    assert abs(status["host"]["ram_used"] - (ram.total - ram.available)) < ram.total / 4
    assert 0 <= status["host"]["cpu"] <= 1


def test_why_a_card_is_not_there_is_said_beside_the_line(tmp_path: Path) -> None:
    orders = tmp_path / "orders"
    orders.write_text("fail nvmlInitWithFlags 18\n")
    environment = {**os.environ, "LD_LIBRARY_PATH": str(nvml.build(tmp_path / "lib")), "FAKE_NVML": str(orders)}
    command = [sys.executable, "-m", "offtui", "status"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("RAM ")
    assert done.stderr == "NVML: driver/library version mismatch; reboot.\n"


def test_the_session_of_an_offtui_that_runs_is_told(offtui: Callable[..., Outcome], served: Show) -> None:
    session = offtui("status", "--json").json["session"]
    assert session == {
        "model": "model Q4_K_M", "n_gpu_layers": 4, "phase": "ready", "tps": None, "prompt_tps": None, "kv_used": 0,
        "n_ctx": 8192,
    }  # fmt: skip
    assert "4/13 layers" in offtui("status").out
    tmux = offtui("status", "--tmux", "--pid", str(os.getpid())).out
    assert tmux.startswith("VRAM 2.0/8.0 · RAM ")
    assert "\x1b" not in tmux


def test_a_process_that_is_not_there_is_said(offtui: Callable[..., Outcome]) -> None:
    outcome = offtui("status", "--pid", "1")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == "offtui: No offtui of process number 1 runs.\n"
    assert offtui("status", "--pid", "x").code == 2
    assert offtui("status", "--json", "--tmux").code == 2


def test_the_status_imports_nothing_heavy(runtime_dir: Path) -> None:
    code = (
        "import sys; from offtui.cli.main import main; main(['status']);"
        "sys.exit(bool({'textual', 'rich', 'llama_cpp', 'numpy', 'huggingface_hub'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL).returncode == 0


def test_an_offtui_that_is_stopped_is_not_waited_for_long(offtui: Callable[..., Outcome], runtime_dir: Path) -> None:
    listener = address.listen(address.folder(), os.getpid())
    began = time.monotonic()
    assert offtui("status", "--json").json["session"] is None
    assert time.monotonic() - began < 20
    listener.close()


def test_top_needs_a_terminal(offtui: Callable[..., Outcome]) -> None:
    outcome = offtui("top")
    assert outcome.code == 2
    assert outcome.err == "offtui: The screen needs a terminal; without one, use `offtui status`.\n"
