"""How a terminal that is not looked at is told."""

import pytest

from offtui.ui.attention import sequence
from tests.ui.harness import Recorder, Screen, with_recorder


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMUX", "TERM_PROGRAM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def test_each_way_is_its_sequence_and_the_text_cannot_end_it() -> None:
    evil = "done\x1b\\\x07\nrm;x\x9c"
    assert sequence("osc777", evil) == "\x1b]777;notify;offtui;done\\ rm,x\x1b\\"
    assert sequence("osc9", evil) == "\x1b]9;offtui: done\\ rm,x\x1b\\"
    assert sequence("bel", evil) == "\x07"
    assert sequence("none", evil) == ""


@pytest.mark.parametrize(
    ("name", "value", "begins"),
    [
        ("TERM", "xterm-kitty", "\x1b]9;"), ("TERM", "foot", "\x1b]777;"),
        ("TERM", "rxvt-unicode-256color", "\x1b]777;"),
        ("TERM_PROGRAM", "iTerm.app", "\x1b]9;"), ("TERM", "tmux-256color", "\x07"), ("TERM", "xterm-256color", "\x07"),
    ],
)  # fmt: skip
def test_left_to_itself_it_goes_by_the_terminal(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, begins: str
) -> None:
    monkeypatch.setenv(name, value)
    assert sequence("auto", "done").startswith(begins)
    monkeypatch.setenv("TMUX", "/tmp/tmux,1,0")
    assert sequence("auto", "done") == "\x07", "tmux passes on the bell alone"


async def calls(screen: Screen, engine: Recorder, *, focus: bool) -> list[str]:
    written: list[str] = []
    engine.load()
    await screen.ask("hello")
    await screen.until(lambda: bool(engine.submitted))
    driver = screen.app._driver
    assert driver is not None
    driver.write = written.append  # type: ignore[method-assign]
    screen.app.app_focus = focus
    engine.piece("hi")
    engine.end()
    await screen.until(lambda: any(role == "assistant" and text == "hi" for role, text in screen.said()))
    await screen.pilot.pause()
    return [text for text in written if "\x07" in text]


@pytest.mark.parametrize("focus", [True, False])
async def test_the_end_of_an_answer_calls_only_while_nobody_looks(focus: bool) -> None:
    async with with_recorder() as (screen, engine):
        assert bool(await calls(screen, engine, focus=focus)) is not focus
