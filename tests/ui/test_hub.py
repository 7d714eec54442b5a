from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.widgets import Input

from offtui.engine.state import Phase
from offtui.models.fitting import Here
from offtui.models.hubdesk import HubDesk
from offtui.models.shelf import ShelfView
from offtui.options import Options
from offtui.protocol.facts import DeviceFacts
from offtui.ui.application import OfftuiApp
from offtui.ui.ports import Ports
from offtui.ui.screens.folder import FolderScreen
from offtui.ui.screens.hub import HubScreen
from offtui.ui.screens.page import PageScreen
from offtui.ui.widgets.line import Line
from offtui.ui.widgets.rowlist import RowList
from tests.fakes import gguf_shapes
from tests.fakes.hub import FakeFile, FakeHub, FakeRepo
from tests.ui.harness import GIB, Recorder, Screen, StillShelf, StillWatch

HERE = Here(
    (
        DeviceFacts("CPU", "cpu", "a processor", 8 * GIB, 16 * GIB),
        DeviceFacts("CUDA0", "gpu", "NVIDIA GeForce RTX 4060", 7 * GIB, 8 * GIB),
    ),
    8 * GIB,
)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    for name in ("HF_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HF_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    with FakeHub() as fake:
        monkeypatch.setenv("HF_ENDPOINT", fake.url)
        yield fake


@asynccontextmanager
async def opened(size: tuple[int, int] = (120, 36)):
    """The app with a recorder for a session and the real hub's process, on the hub's screen."""
    made: list[Recorder] = []

    def engine(listener):
        made.append(Recorder(listener))
        return made[-1]

    def library(listener):
        shelf = StillShelf((), listener)
        listener(ShelfView((), here=HERE))
        return shelf

    ports = Ports(engine, lambda listener, *_: StillWatch(listener), library, hub=HubDesk)
    app = OfftuiApp(Options(model="/models/first.gguf"), ports)
    try:
        async with app.run_test(size=size) as pilot:
            screen = Screen(app, pilot)
            await screen.until(lambda: bool(made and made[0].wanted), 60)
            made[0].load()
            await screen.until(lambda: app.main.session.phase is Phase.READY, 60)
            await screen.until(lambda: app.main.query_one("#models").here is not None, 60)
            await screen.press("f7")
            await screen.until(lambda: isinstance(app.screen, HubScreen), 60)
            yield screen, made[0]
    finally:
        app.close()


def rows(screen: Screen, id: str) -> list[str]:
    found = screen.app.screen.query_one(f"#{id}", RowList)
    return ["\n".join(line.plain for line in found._make(row, 100)) for row in range(found.count)]


def line(screen: Screen, id: str) -> str:
    return screen.app.screen.query_one(f"#{id}", Line).text


async def test_search_read_plan_download_hold_resume_and_load_by_keys_alone(hub: FakeHub, tmp_path: Path) -> None:
    big = gguf_shapes.write_sparse(tmp_path / "big.gguf", gguf_shapes.qwen3_32b())
    tiny = gguf_shapes.write_random(tmp_path / "tiny.gguf", gguf_shapes.bench_tiny())
    hub.repos["ann/Chat-GGUF"] = FakeRepo(
        {"chat-Q8_0.gguf": FakeFile(path=big, _sha256="a" * 64), "chat-Q4_0.gguf": FakeFile(path=tiny)},
        readme="# Chat\n\x1b[2J[@click=app.quit]hello[/]",
    )
    hub.repos["bob/Other-GGUF"] = FakeRepo()
    async with opened() as (screen, engine):
        assert "November" in line(screen, "hub-note"), "what is recommended is dated"
        await screen.press(*"chat", "enter")
        await screen.until(lambda: any("ann/Chat-GGUF" in row for row in rows(screen, "hub-repos")), 60)
        assert len(rows(screen, "hub-repos")) == 1
        await screen.press("r")
        await screen.until(lambda: isinstance(screen.app.screen, PageScreen), 60)
        await screen.press("escape", "enter")
        await screen.until(lambda: "★" in line(screen, "hub-note"), 60)
        best, other = rows(screen, "hub-offers")
        assert best.startswith("★ Q4_0")
        assert "13/13 layers" in best
        assert "/65 layers" in other or "does not fit" in other

        hub.fail("slow", "chat-Q4_0", rate=4 << 20)
        await screen.press("enter")
        await screen.until(lambda: bool(screen.app.main.jobs) and screen.app.main.jobs[0].done > 0, 60)
        await screen.press("p")
        await screen.until(lambda: screen.app.main.jobs[0].state == "paused", 60)
        before = hub.sent["chat-Q4_0.gguf"]
        assert before < tiny.stat().st_size
        await screen.press("p")
        await screen.until(lambda: screen.app.main.jobs[0].state == "done", 60)
        # beside the file: its header for the plan, and what lay in the buffers of the sockets when it was paused
        assert hub.sent["chat-Q4_0.gguf"] < tiny.stat().st_size + (4 << 20)
        await screen.until(lambda: "is here" in line(screen, "hub-note"), 60)
        await screen.press("enter")
        await screen.until(lambda: len(engine.wanted) == 2, 60)
        assert Path(engine.wanted[1].model).read_bytes() == tiny.read_bytes()
        assert screen.app.screen is screen.app.main


async def test_a_download_outlives_the_screen_and_the_app(hub: FakeHub, tmp_path: Path) -> None:
    tiny = gguf_shapes.write_random(tmp_path / "tiny.gguf", gguf_shapes.bench_tiny())
    hub.repos["ann/Chat-GGUF"] = FakeRepo({"chat-Q4_0.gguf": FakeFile(path=tiny)})
    async with opened() as (screen, _):
        await screen.press(*"chat", "enter")
        await screen.until(lambda: any("ann/Chat" in row for row in rows(screen, "hub-repos")), 60)
        await screen.press("enter")
        await screen.until(lambda: "★" in line(screen, "hub-note"), 60)  # else the plan's requests are the slow ones
        hub.fail("slow", "chat-Q4_0", rate=200 << 10)
        await screen.press("enter")
        await screen.until(lambda: bool(screen.app.main.jobs) and screen.app.main.jobs[0].done > 100 << 10, 60)
    async with opened(size=(80, 24)) as (screen, _):
        await screen.until(lambda: bool(screen.app.main.jobs), 60)
        assert screen.app.main.jobs[0].state == "paused"
        screen.app.screen.query_one("#hub-jobs").focus()
        await screen.press("enter")
        await screen.until(lambda: screen.app.main.jobs[0].state == "done", 60)
        # beside the file: its header for the plan, and what lay in the buffers of the sockets when it was paused
        assert hub.sent["chat-Q4_0.gguf"] < tiny.stat().st_size + (4 << 20)


async def test_a_download_goes_into_the_folder_that_was_asked_for(hub: FakeHub, tmp_path: Path) -> None:
    tiny = gguf_shapes.write_random(tmp_path / "tiny.gguf", gguf_shapes.bench_tiny())
    hub.repos["ann/Chat-GGUF"] = FakeRepo({"chat-Q4_0.gguf": FakeFile(path=tiny)})
    folder = tmp_path / "mine" / "models"
    async with opened() as (screen, engine):
        await screen.press(*"chat", "enter")
        await screen.until(lambda: any("ann/Chat" in row for row in rows(screen, "hub-repos")), 60)
        await screen.press("enter")
        await screen.until(lambda: "★" in line(screen, "hub-note"), 60)
        await screen.press("t", *str(tiny), "enter")
        assert isinstance(screen.app.screen, FolderScreen), "a file is no folder"
        screen.app.screen.query_one(Input).value = str(folder)
        await screen.press("enter")
        await screen.until(lambda: [job.state for job in screen.app.main.jobs] == ["done"], 60)
        assert (folder / "chat-Q4_0.gguf").read_bytes() == tiny.read_bytes()
        await screen.until(lambda: "is here" in line(screen, "hub-note"), 60)
        await screen.press("enter")
        await screen.until(lambda: len(engine.wanted) == 2, 60)
        assert engine.wanted[1].model == str(folder / "chat-Q4_0.gguf")


async def test_of_very_many_files_those_in_view_are_planned_and_leaving_ends_it(hub: FakeHub, tmp_path: Path) -> None:
    tiny = FakeFile(path=gguf_shapes.write_random(tmp_path / "tiny.gguf", gguf_shapes.bench_tiny()))
    hub.repos["ann/Many-GGUF"] = FakeRepo({f"m-{n:04}.gguf": tiny for n in range(500)})
    async with opened(size=(80, 24)) as (screen, _):
        await screen.press(*"many", "enter")
        await screen.until(lambda: any("ann/Many" in row for row in rows(screen, "hub-repos")), 60)
        await screen.press("enter")
        await screen.until(lambda: "500 models" in line(screen, "hub-note"), 60)
        await screen.until(lambda: "layers" in rows(screen, "hub-offers")[0], 60)
        await screen.press("end")
        await screen.until(lambda: "layers" in rows(screen, "hub-offers")[-1], 120)
        hub_screen = screen.app.screen
        assert isinstance(hub_screen, HubScreen)
        await screen.press("home", "pagedown", "pagedown")
        await screen.press("escape")
        await screen.until(
            lambda: not [one for one in hub_screen.workers if one.group == "plan" and one.is_running], 60
        )
        asked = len({path for _, path, _ in hub.seen if "/resolve/" in path})
        assert asked < 120, "not those that nobody looked at"


async def test_why_a_download_failed_is_said_in_full_on_a_small_screen(hub: FakeHub, tmp_path: Path) -> None:
    tiny = gguf_shapes.write_random(tmp_path / "tiny.gguf", gguf_shapes.bench_tiny())
    hub.repos["ann/Gated-GGUF"] = FakeRepo({"g-Q4_0.gguf": FakeFile(path=tiny)}, gated=True)

    def note() -> str:
        return " ".join(line(screen, "hub-note").split())

    async with opened(size=(80, 24)) as (screen, _):
        await screen.press(*"gated", "enter")
        await screen.until(lambda: any("ann/Gated" in row for row in rows(screen, "hub-repos")), 60)
        await screen.press("enter")
        await screen.until(lambda: note().endswith("hf auth login"), 60)
        assert note().startswith("ann/Gated-GGUF is gated")
        await screen.press("enter")
        await screen.until(lambda: [job.state for job in screen.app.main.jobs] == ["failed"], 60)
        await screen.until(lambda: note().startswith("g-Q4_0: ann/Gated-GGUF is gated"), 60)
        assert note().endswith("hf auth login")
        screen.app.screen.query_one("#hub-jobs").focus()
        await screen.press("x")
        await screen.until(lambda: screen.app.main.jobs == (), 60)
        await screen.until(lambda: screen.app.screen.query_one("#hub-offers").has_focus, 60)


async def test_what_is_on_this_disk_is_marked_and_enter_loads_it(hub: FakeHub, tmp_path: Path) -> None:
    tiny = gguf_shapes.write_random(tmp_path / "tiny.gguf", gguf_shapes.bench_tiny())
    other = tmp_path / "other.gguf"
    other.write_bytes(tiny.read_bytes() + bytes(64))
    hub.repos["ann/Chat-GGUF"] = FakeRepo(
        {"chat-Q4_0.gguf": FakeFile(path=tiny), "chat-Q8_0.gguf": FakeFile(path=other)}
    )
    beside = Path.home() / ".lmstudio/models/ann/Chat-GGUF/chat-Q8_0.gguf"
    beside.parent.mkdir(parents=True)
    beside.write_bytes(other.read_bytes())
    async with opened() as (screen, engine):
        await screen.press(*"chat", "enter")
        await screen.until(lambda: any("ann/Chat" in row for row in rows(screen, "hub-repos")), 60)
        await screen.press("enter")
        await screen.until(lambda: "★" in line(screen, "hub-note"), 60)
        found = rows(screen, "hub-offers")
        assert {("✓" in row, "here" in row) for row in found if "Q8_0" in row} == {(True, True)}
        assert {("✓" in row, "here" in row) for row in found if "Q4_0" in row} == {(False, False)}
        at = next(index for index, row in enumerate(rows(screen, "hub-offers")) if "Q8_0" in row)
        await screen.press("home", *["down"] * at, "enter")
        await screen.until(lambda: len(engine.wanted) == 2, 60)
        assert engine.wanted[1].model == str(beside)
        assert screen.app.main.jobs == ()


async def test_a_search_says_what_it_waits_for_and_escape_ends_it(hub: FakeHub) -> None:
    hub.repos["ann/Foo-GGUF"] = FakeRepo({"m-Q4_0.gguf": FakeFile(b"x")})
    hub.fail("hang", "/api/models", rate=600)
    async with opened() as (screen, _):
        await screen.press(*"foo", "enter")
        await screen.until(lambda: line(screen, "hub-note") == f"asking 127.0.0.1:{hub.port}…", 60)
        assert "Esc stop" in line(screen, "hub-keys")
        hub_screen = screen.app.screen
        assert isinstance(hub_screen, HubScreen)
        await screen.until(lambda: hub.faults[0].times == 0, 60)  # this search meets it, and not the next
        await screen.press("escape")
        await screen.until(lambda: line(screen, "hub-note") == "stopped", 60)
        assert screen.app.screen is hub_screen
        assert "Esc back" in line(screen, "hub-keys")
        await screen.press("enter")
        await screen.until(lambda: any("ann/Foo" in row for row in rows(screen, "hub-repos")), 60)


async def test_no_network_is_said_and_nothing_breaks(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    async with opened(size=(80, 24)) as (screen, _):
        await screen.press("x", "enter")
        await screen.until(lambda: "HF_HUB_OFFLINE" in line(screen, "hub-note"), 60)
        await screen.press("escape")
        await screen.until(lambda: screen.app.screen is screen.app.main, 60)
