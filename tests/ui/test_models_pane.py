import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from offtui.engine.session import Session
from offtui.engine.state import LoadWanted, Occurrence, SessionState
from offtui.gguf.facts import FileFacts
from offtui.gguf.library import ModelFile
from offtui.models.entries import Entry
from offtui.models.shelf import ShelfView
from offtui.ui.panes.model_rows import model_lines
from offtui.ui.panes.models import ModelList, ModelsPane
from offtui.ui.ports import Listener
from offtui.ui.screens.typed import TypedScreen
from tests.ui import harness
from tests.ui.harness import GIB, StillShelf, with_recorder


def some(count: int) -> list[ModelFile]:
    return [ModelFile(path=Path(f"/m/{n:04}.gguf"), name=f"model {n:04}", bytes=(n + 1) * 1000) for n in range(count)]


def names(screen) -> list[str]:
    return [entry.file.name for entry in screen.app.main.query_one(ModelsPane)._shown]


def shelf(screen) -> StillShelf:
    return screen.app._shelf


async def test_only_what_is_seen_of_a_thousand_is_planned() -> None:
    async with with_recorder(size=(80, 24), files=some(1000)) as (screen, engine):
        engine.load()
        await screen.press("f2")
        rows = screen.app.main.query_one(ModelList)
        await screen.until(lambda: rows.count == 1000)
        await screen.until(lambda: any(ask[0] == "look" for ask in shelf(screen).asked))
        await screen.press("end")
        await screen.until(lambda: shelf(screen).asked[-1][-1] == Path("/m/0999.gguf"))
        assert all(len(ask) < 60 for ask in shelf(screen).asked)


async def test_favourites_come_first_and_sorting_goes_round() -> None:
    async with with_recorder(size=(80, 24), files=some(3)) as (screen, engine):
        engine.load()
        await screen.press("f2")
        rows = screen.app.main.query_one(ModelList)
        await screen.until(lambda: rows.count == 3)
        await screen.press("down", "down", "f")
        await screen.until(lambda: names(screen) == ["model 0002", "model 0000", "model 0001"])
        assert rows.cursor == 0, "the cursor stays on its file"
        await screen.press("s")
        await screen.until(lambda: names(screen) == ["model 0002", "model 0001", "model 0000"])
        assert "by size" in screen.line("models-note")


async def test_deleting_wants_the_name_typed() -> None:
    async with with_recorder(size=(80, 24), files=some(2)) as (screen, engine):
        engine.load()
        await screen.press("f2")
        await screen.until(lambda: screen.app.main.query_one(ModelList).count == 2)
        await screen.press("D", *"model 1", "enter")
        assert isinstance(screen.app.screen, TypedScreen)
        assert not any(ask[0] == "remove" for ask in shelf(screen).asked)
        await screen.press("escape", "D", *"model 0000", "enter")
        await screen.until(lambda: ("remove", Path("/m/0000.gguf")) in shelf(screen).asked)


async def test_what_cannot_be_talked_with_is_said_and_not_loaded() -> None:
    files = [ModelFile(path=Path("/m/mmproj.gguf"), name="mmproj", bytes=5, kind_hint="mmproj")]
    async with with_recorder(size=(80, 24), files=files) as (screen, engine):
        engine.load()
        await screen.press("f2")
        await screen.until(lambda: screen.app.main.query_one(ModelList).count == 1)
        await screen.press("enter")
        await screen.until(lambda: "projector for images" in screen.line("footer"))
        assert len(engine.wanted) == 1


async def test_a_word_of_the_library_is_said_though_the_next_view_comes_at_once() -> None:
    async with with_recorder(size=(80, 24), files=some(2)) as (screen, engine):
        engine.load()
        still = shelf(screen)
        still.listener(ShelfView(tuple(still.entries), notices=("Deleted model 0007.",)))
        still.tell()
        await screen.until(lambda: "Deleted model 0007." in screen.line("footer"))


async def test_the_library_hears_of_a_load_that_was_wanted_before_it_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()

    def engine(listener: Listener) -> Session:
        def hear(state: SessionState, occurrence: Occurrence) -> None:
            listener(state, occurrence)
            if isinstance(occurrence, LoadWanted):
                told.set()

        return Session(hear, command=[sys.executable, str(harness.WORKER)], spare=False)

    class LateShelf(StillShelf):
        def __init__(self, files: Sequence[ModelFile], listener: Callable[[ShelfView], None]) -> None:
            assert told.wait(60)
            super().__init__(files, listener)

    monkeypatch.setattr(harness, "StillShelf", LateShelf)
    async with harness.opened(engine) as screen:
        await screen.until(lambda: bool(shelf(screen).heard), 60)
        first = shelf(screen).heard[0]
        assert isinstance(first, LoadWanted), "else nobody looks whether the file has changed"
        assert first.spec.model == "/models/first.gguf"


def test_rows_fit_every_width() -> None:
    facts = FileFacts(kind="model", name="x", arch="a-very-long-architecture", n_layer=40, n_params=8 * 10**9)
    for name in ("short", "x" * 300, "[/b][@click=app.quit]evil", "漢字" * 60):
        entry = Entry(file=ModelFile(path=Path("/m"), name=name, bytes=5 * GIB, quant="UD-Q4_K_XL"), facts=facts)
        for width in range(20, 200):
            assert all(line.cell_length <= width for line in model_lines(entry, width, up=True)), (name, width)
