"""From the first word of a search to the answer, by keys alone in a real terminal: the hub is the tests' own.

The download is held by its key and killed with the whole app; how much came before is said by the server.
"""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gguf import GGMLQuantizationType as Q
from tests.fakes import gguf_shapes
from tests.fakes.device import RunningDevice
from tests.fakes.hub import FakeFile, FakeHub, FakeRepo
from tests.ui.terminal import ROOT, Terminal, alive

MIB = 1 << 20
AGAIN = 16 * MIB
"""Bytes that an interrupted download may fetch a second time."""
BIG = "way-Q8_0.gguf"
FIRST_STOP, SECOND_STOP = 24 * MIB, 44 * MIB
"""The server sends no more until the test says so: on a fast machine the download must not be over too early."""
README = "# Way\n\nA mixture of 36 experts for tests. \x1b[31mRead it[/] twice."
SLOW = 240
"""Seconds that anything may take on a busy machine."""
F7, ESC, TAB, ENTER, CTRL_Q = "\x1b[18~", "\x1b", "\t", "\r", "\x11"

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.timeout(1800),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large to download and quick to run: many experts, two of them used."""
    extra = {
        "expert_count": ("uint32", 36),
        "expert_used_count": ("uint32", 2),
        "expert_feed_forward_length": ("uint32", 256),
    }
    eight = {"base": Q.Q8_0, "more": Q.Q8_0, "out": Q.Q8_0}
    shape = gguf_shapes.decoder(
        "qwen3moe", 8, 256, 4, 2, 64, 768, 8000, 8192, qk_norm=True, experts=(36, 256), extra=extra, **eight
    )
    return gguf_shapes.write_random(tmp_path_factory.mktemp("way") / BIG, shape)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    for name in (
        "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "HTTP_PROXY",
        "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "OFFTUI_MODELS", "LLAMA_CACHE",
        "OLLAMA_MODELS",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    with FakeHub() as fake:
        monkeypatch.setenv("HF_ENDPOINT", fake.url)
        yield fake


def launched(device: RunningDevice) -> Terminal:
    options = ["--rpc", device.endpoint, "--ctx", "2048", "--temp", "0", "--max-tokens", "24"]
    return Terminal(["-m", "offtui", *options], 120, 36, {"PYTHONPATH": f"{ROOT / 'tui'}{os.pathsep}{ROOT}"})


def percent(terminal: Terminal) -> int:
    """How much of the download is here, by its row; -1: there is none."""
    found = re.search(r"^ *[█·]+ +(\d+) %", terminal.text(), re.MULTILINE)
    return int(found[1]) if found else -1


def starts(hub: FakeHub) -> list[int]:
    """From which offset the file was asked for, each time that it was asked for to its end."""
    ranges = [
        re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("Range", ""))
        for method, path, headers in hub.seen
        if method == "GET" and path.startswith("/cdn/") and path.endswith(BIG)
    ]
    last = hub.repos["ann/Way-GGUF"].files[BIG].size - 1
    return [int(asked[1]) for asked in ranges if asked and int(asked[2]) == last]


def gone(pids: set[int]) -> Callable[[], bool]:
    return lambda: not any(alive(pid) for pid in pids)


def test_from_the_search_to_the_answer(
    hub: FakeHub, model: Path, tiny_model: Path, device: RunningDevice, tmp_path: Path
) -> None:
    size = model.stat().st_size
    assert size > SECOND_STOP + 2 * MIB
    hub.repos["ann/Way-GGUF"] = FakeRepo(
        {"way-Q4_0.gguf": FakeFile(path=tiny_model), BIG: FakeFile(path=model)}, readme=README
    )
    hub.repos["bob/Other-GGUF"] = FakeRepo({"other-Q4_0.gguf": FakeFile(path=tiny_model)})
    with launched(device) as terminal:
        terminal.shows("/13 layers", SLOW)
        search(terminal)
        read_and_plan(terminal)
        hub.fail("slow", BIG, rate=8 * MIB, times=1 << 30)
        hub.limits[BIG] = FIRST_STOP
        terminal.key(ENTER)
        terminal.until(lambda: percent(terminal) >= 10, "a tenth has come", SLOW)
        terminal.key("p")
        terminal.shows("paused · Enter goes on", SLOW)
        held = hub.sent[BIG]
        terminal.key("p")
        terminal.until(lambda: len(starts(hub)) == 2, "it goes on", SLOW)
        hub.limits[BIG] = SECOND_STOP
        terminal.until(lambda: percent(terminal) >= 45, "almost half has come", SLOW)
        family = terminal.children()
        os.kill(terminal.pid, signal.SIGKILL)
        assert terminal.ended(SLOW) == -signal.SIGKILL
        terminal.until(gone(family), "what it had started has ended too", SLOW)
        killed = hub.sent[BIG]
    hub.limits.clear()
    with launched(device) as terminal:
        terminal.shows("/13 layers", SLOW)
        terminal.key(F7)
        terminal.shows("paused · Enter goes on", SLOW)
        assert percent(terminal) > 30  # what had come before the kill, and not before the key
        to_the_downloads(terminal)
        terminal.key(ENTER)
        terminal.shows("here and checked", SLOW)
        terminal.key(ENTER)
        terminal.until(lambda: "way-Q8_0" in terminal.text() and "/9 layers" in terminal.text(), "it is up", SLOW)
        terminal.type("What is GPU offloading?" + ENTER)
        terminal.until(lambda: "ended by the limit of" in terminal.text(), "the answer", SLOW)
        assert "filler" in terminal.text()  # the model's words have no other
        terminal.key(CTRL_Q)
        assert terminal.ended(SLOW) == 0
    (found,) = (tmp_path / "HF_HOME").rglob(f"snapshots/*/{BIG}")
    assert found.read_bytes() == model.read_bytes()
    first, second, third = starts(hub)
    assert first == 0
    assert held - AGAIN <= second <= held
    assert killed - AGAIN <= third <= killed


def search(terminal: Terminal) -> None:
    terminal.key(F7)
    terminal.shows("models to begin with here", SLOW)
    terminal.type("way" + ENTER)
    terminal.shows("ann/Way-GGUF", SLOW)
    terminal.until(lambda: "bob/Other" not in terminal.text(), "only what was searched for", SLOW)


def read_and_plan(terminal: Terminal) -> None:
    """README, then the plan of both files; the cursor is on the one to take."""
    terminal.key("r")
    terminal.shows("Read it[/] twice.", SLOW)
    terminal.key(ESC)
    terminal.until(lambda: "Read it[/] twice." not in terminal.text(), "the list again", SLOW)
    terminal.key(ENTER)
    terminal.shows("★ Q8_0", SLOW)
    rows = {quant: line for line in terminal.text().splitlines() for quant in ("Q4_0", "Q8_0") if f" {quant}  " in line}
    assert "13/13 layers" in rows["Q4_0"]
    assert "9/9 layers" in rows["Q8_0"]
    assert all("t/s" in row for row in rows.values())


def to_the_downloads(terminal: Terminal) -> None:
    """By Tab, as the line of keys says it."""
    terminal.key(TAB)
    terminal.shows("Enter open", SLOW)
    terminal.key(TAB)
    terminal.shows("hold, go on, load", SLOW)
