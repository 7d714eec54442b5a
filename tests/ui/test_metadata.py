"""All that a file says of itself can be reached, over the real library and its probers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from offtui.models.shelf import Shelf
from offtui.options import Options
from offtui.ui.application import OfftuiApp
from offtui.ui.panes import metadata
from offtui.ui.panes.models import ModelList, ModelsPane
from offtui.ui.ports import Ports
from offtui.ui.screens.metadata import MetadataScreen
from offtui.ui.screens.rows import RowsScreen
from offtui.ui.widgets.rowlist import RowList
from tests.fakes import gguf_shapes
from tests.ui.harness import Recorder, Screen, StillWatch

SLOW = 120
STORY = "A long story. " * 200 + "The end."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shape = gguf_shapes.tiny_experts()
    general = {
        **shape.general,
        "general.description": ("string", STORY),
        "general.tags": ("array", [f"tag {n}" for n in range(40)]),
        "general.name": ("string", "Evil [/b] \x1b[31m"),
    }
    made = tmp_path / "models"
    made.mkdir()
    gguf_shapes.write_random(made / "m-Q4_0.gguf", gguf_shapes.Shape(shape.arch, shape.meta, shape.rows, general))
    return made


@asynccontextmanager
async def opened(folder: Path, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Screen]:
    """The app over the real library, on the page of its only file."""
    ports = Ports(
        Recorder, lambda listener, *_: StillWatch(listener), lambda listener: Shelf(lambda: [folder], listener)
    )
    app = OfftuiApp(Options(model="/models/first.gguf"), ports)
    try:
        async with app.run_test(size=size) as pilot:
            screen = Screen(app, pilot)
            await screen.press("f2")
            await screen.until(lambda: app.main.query_one(ModelList).count == 1, SLOW)
            await screen.until(lambda: app.main.query_one(ModelsPane)._shown[0].facts is not None, SLOW)
            await screen.press("m")
            await screen.until(lambda: isinstance(app.screen, MetadataScreen), SLOW)
            await screen.until(lambda: any("general.architecture" in row for row in rows(screen)), SLOW)
            yield screen
    finally:
        app.close()


def rows(screen: Screen) -> list[str]:
    assert isinstance(screen.app.screen, RowsScreen)
    return [line.plain for line, _ in screen.app.screen._shown]


async def open_row(screen: Screen, start: str) -> RowsScreen:
    """The cursor on the row that begins so, Enter, and what opens."""
    page = screen.app.screen
    index = next(index for index, row in enumerate(rows(screen)) if row.startswith(start))
    page.query_one(RowList)._put(index)
    await screen.press("enter")
    await screen.until(lambda: isinstance(screen.app.screen, RowsScreen) and screen.app.screen is not page, SLOW)
    await screen.until(lambda: bool(rows(screen)), SLOW)
    opened = screen.app.screen
    assert isinstance(opened, RowsScreen)
    return opened


async def test_long_values_open_whole_and_escape_leads_back(folder: Path) -> None:
    async with opened(folder) as screen:
        page = screen.app.screen
        await open_row(screen, "general.description")
        assert "".join(row + " " for row in rows(screen)).split() == STORY.split()
        await screen.press("escape")
        await screen.until(lambda: screen.app.screen is page, SLOW)
        await open_row(screen, "general.tags")
        assert len(rows(screen)) == 40
        assert rows(screen)[39].split() == ["39", "tag", "39"]
        await screen.press("escape", "escape")
        await screen.until(lambda: screen.app.screen is screen.app.main, SLOW)


async def test_a_vocabulary_is_read_when_it_is_asked_for(folder: Path) -> None:
    async with opened(folder) as screen:
        (counted,) = [row for row in rows(screen) if row.startswith("tokenizer.ggml.tokens")]
        assert counted.endswith("8000 elements ▸")
        page = await open_row(screen, "tokenizer.ggml.tokens")
        assert len(page._shown) == 8000
        assert page._shown[7999][0].plain.split() == ["7999", "<|im_end|>"]


def test_rows_fit_every_width() -> None:
    header = gguf_shapes.header_of(gguf_shapes.tiny_experts())
    nasty = {
        "[/b]" * 30: "[@click=app.quit]evil",
        "k": "漢字\n" * 600,
        "tab\tkey": "\x1b[31mred" * 50,
        "f": 9.999999974752427e-07,
        "f64": 1e300,
        "empty": (),
    }
    header = msgspec.structs.replace(header, metadata={**header.metadata, **nasty}, lengths={"long": 10**6, "empty": 0})
    for width in range(12, 200, 7):
        for line, _ in metadata.key_rows(header, width):
            assert line.cell_length <= width, (width, line.plain)
            assert "\x1b" not in line.plain
            assert "\n" not in line.plain
        assert all(line.cell_length <= width for line, _ in metadata.text_rows("漢字 x\ty\n" * 40 + "x" * 3000, width))
    lines = {line.plain.split()[0]: (line.plain, more) for line, more in metadata.key_rows(header, 120) if line.plain}
    assert lines["f"][0].endswith(" 1e-06")
    assert lines["f64"][0].endswith(" 1e+300")
    assert lines["k"][1] == "k"
    assert lines["long"] == (lines["long"][0], "long")


def test_tokens_show_their_spaces_and_long_ones_open() -> None:
    elements = metadata.ElementRows(["tok\n", " x", "y" * 100], 60)
    assert elements[0][0].plain == "0  tok\\n"
    assert elements[1][0].plain == "1  ' x'"
    assert elements[1][1] == ""
    assert elements[2][1] == "2"
