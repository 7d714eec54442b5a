"""``offtui top`` in a real terminal, over an offtui that runs in this process."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from offtui.recorder.server import Server
from tests.fakes import nvml
from tests.recorder.scenes import Show
from tests.ui.terminal import ROOT, Terminal

LEFT, END = "\x1b[D", "\x1b[F"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "PYTHONPATH": f"{ROOT / 'tui'}:{ROOT}",
    }


@pytest.fixture
def served(environment: dict[str, str]) -> Iterator[tuple[Show, Server]]:
    show = Show()
    show.load(0.0)
    server = Server(show.tape, lambda: (show.state, None), Path(environment["XDG_RUNTIME_DIR"]) / "offtui")
    assert server.start() == ""
    yield show, server
    server.close()


def top(environment: dict[str, str], columns: int, rows: int) -> Terminal:
    return Terminal(["-m", "offtui", "top"], columns, rows, environment)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 36), (200, 50), (40, 10)])
def test_the_machine_alone_at_any_size(environment: dict[str, str], columns: int, rows: int) -> None:
    with top(environment, columns, rows) as terminal:
        terminal.shows("no offtui runs")
        terminal.shows("RAM ")
        terminal.shows("GiB")
        terminal.shows("now")
        terminal.key("q")
        assert terminal.ended() == 0


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A driver of eight GPUs, for the real pynvml."""
    folder = nvml.build(tmp_path_factory.mktemp("nvml"))
    orders = [f"used {index} {500 + 900 * index}\npower {index} {(60 + 15 * index) * 1000}" for index in range(8)]
    (folder / "orders").write_text("\n".join(["gpus 8", "tame 1", *orders]) + "\n")
    return {"LD_LIBRARY_PATH": str(folder), "FAKE_NVML": str(folder / "orders")}


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 36), (200, 50)])
def test_eight_gpus_at_any_size(environment: dict[str, str], driver: dict[str, str], columns: int, rows: int) -> None:
    with top(environment | driver, columns, rows) as terminal:
        terminal.shows("GPU 7")
        for index in range(8):
            used = f"{(500 + 900 * index) / 1024:.1f}"
            terminal.shows(f"{used} / 8.0 GiB" if rows > 24 else f"{used}/8.0")
            terminal.shows(f"{60 + 15 * index} W")
        terminal.shows("900 W")
        terminal.shows("28.5 GiB")
        terminal.key("q")
        assert terminal.ended() == 0


def test_a_session_of_another_terminal_is_followed(
    environment: dict[str, str], served: tuple[Show, Server], tmp_path: Path
) -> None:
    show, server = served
    with top(environment, 120, 36) as terminal:
        terminal.shows("model Q4_K_M · 4/13 layers")
        terminal.shows("2.0 / 8.0 GiB")
        show.answer(show.tape.history.series("ram").newest() or 5.0)
        server.ring()
        terminal.shows("26.7 t/s")
        terminal.key("[")
        terminal.shows("answer 1 · 4/13 layers · 41 tokens · 26.7 t/s")
        terminal.key(LEFT)
        terminal.shows(" ago")
        terminal.key(END)
        terminal.shows("now")
        server.close()
        terminal.shows("no offtui runs")
        terminal.key("q")
        assert terminal.ended() == 0


def test_the_history_is_written_where_one_stands(
    environment: dict[str, str], served: tuple[Show, Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with top(environment, 120, 36) as terminal:
        terminal.shows("model Q4_K_M")
        terminal.key("E")
        terminal.shows("rows written to")
        terminal.key("q")
        assert terminal.ended() == 0
    (file,) = tmp_path.glob("offtui-*.json")
    assert [mark["event"] for mark in json.loads(file.read_text())["marks"]] == ["load", "loaded"]
