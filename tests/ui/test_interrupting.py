"""Ctrl+C on the screens that cover the main one."""

from pathlib import Path

import pytest
from textual.widgets import Input, TextArea

from offtui.engine.state import Phase
from offtui.ui import arming
from offtui.ui.interrupting import Word
from offtui.ui.screens.choice import ChoiceScreen
from offtui.ui.screens.help import HelpScreen
from offtui.ui.screens.main import MainScreen
from offtui.ui.screens.manner import MannerScreen
from offtui.ui.screens.monitor import MonitorScreen
from tests.ui.harness import Recorder, Screen, with_recorder

COVERS = pytest.mark.parametrize(
    ("key", "there"),
    [("f1", HelpScreen), ("ctrl+p", ChoiceScreen), ("f4", MonitorScreen), ("f8", MannerScreen)],
)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine must not take longer between two keys than a person."""
    monkeypatch.setattr(arming, "TWICE", 600.0)


async def covered(screen: Screen, engine: Recorder, key: str, there: type) -> None:
    """A chat with a draft, and a screen over it."""
    engine.load()
    await screen.until(lambda: screen.phase is Phase.READY)
    await screen.ask("How much is it?")
    await screen.until(lambda: bool(engine.submitted))
    engine.piece("Not")
    await screen.until(lambda: screen.phase is Phase.GENERATING)
    screen.app.main.chat.prompt.text = "a draft"
    await screen.press(key)
    await screen.until(lambda: isinstance(screen.app.screen, there))


def words(screen: Screen) -> list[str]:
    return [word.text for word in screen.app.screen.query(Word)]


@COVERS
async def test_it_stops_the_answer_and_then_quits_and_clears_no_prompt_that_is_not_seen(key: str, there: type) -> None:
    async with with_recorder() as (screen, engine):
        await covered(screen, engine, key, there)
        await screen.press("ctrl+c")
        assert engine.stops == 1
        engine.end(stop="cancelled")
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.press("ctrl+c")
        assert words(screen) == ["Ctrl+C again or ^Q quits"]
        await screen.press("right")
        await screen.until(lambda: not words(screen))
        await screen.press("ctrl+c")
        assert isinstance(screen.app.screen, there)
        assert screen.app.main.chat.prompt.text == "a draft"
        await screen.press("ctrl+c")
        await screen.until(lambda: screen.app._exit)


async def test_in_a_text_field_it_copies_what_is_marked_then_empties_the_field(tmp_path: Path) -> None:
    async with with_recorder() as (screen, engine):
        await covered(screen, engine, "ctrl+p", ChoiceScreen)
        engine.end()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.press("d", "i", "shift+left", "ctrl+c")
        field = screen.app.screen.query_one(Input)
        assert [file.read_text() for file in tmp_path.rglob("copied.txt")] == ["i"]
        assert "copied" in words(screen)[0]
        assert field.value == "di"
        await screen.press("right", "ctrl+c")
        assert field.value == ""
        await screen.press("ctrl+c")
        assert "Ctrl+C again" in words(screen)[0]


async def test_a_text_of_a_form_is_not_cleared() -> None:
    async with with_recorder() as (screen, engine):
        await covered(screen, engine, "f8", MannerScreen)
        engine.end()
        await screen.until(lambda: screen.phase is Phase.READY)
        text = screen.app.screen.query_one(TextArea)
        text.focus()
        await screen.press("Y", "o", "ctrl+c")
        assert text.text == "Yo"
        assert "Ctrl+C again" in words(screen)[0]


async def test_a_filter_of_the_main_screen_is_emptied_instead_of_the_prompt_behind_it() -> None:
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        screen.app.main.chat.prompt.text = "a draft"
        await screen.press("f2", "slash", "q")
        await screen.until(lambda: isinstance(screen.app.focused, Input))
        field = screen.app.main.query_one("#models-filter", Input)
        await screen.until(lambda: field.value == "q")
        await screen.press("ctrl+c")
        assert isinstance(screen.app.screen, MainScreen)
        assert (field.value, screen.app.main.chat.prompt.text) == ("", "a draft")
