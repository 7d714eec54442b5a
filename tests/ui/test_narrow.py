"""What goes to the terminal: after any change of rows it shows what a painting of everything would."""

import random

import pyte
from rich.console import RenderableType
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from offtui.ui.narrow import NarrowApp
from offtui.ui.widgets.line import Line

WIDTH, HEIGHT, ROWS = 60, 8, 5
WORDS = ("VRAM", "6.1/8.0", "▇▂▁", "·", " ", "12 %", "日本", "é", "")
STYLES = ("", "bold", "red", "bold $primary", "reverse")


class Rows(NarrowApp):
    """A widget with padding and rows between two others; what it writes goes to an emulated terminal too."""

    CSS = "Static { width: 7; } #rows { padding: 1 2; height: 8; }"

    def __init__(self) -> None:
        super().__init__()
        self.terminal = pyte.Screen(WIDTH, HEIGHT)
        self.sent = 0
        self._stream = pyte.Stream(self.terminal)

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static("left")
            yield Line(id="rows")
            yield Static("right")

    def write(self, renderable: RenderableType | None) -> None:
        if isinstance(renderable, ChopsUpdate | LayoutUpdate):
            text = renderable.render_segments(self.console)
            self.sent = len(text.encode())
            self._stream.feed(text)


def some_rows(chance: random.Random, before: list[Content]) -> list[Content]:
    """Rows of which some are other than before."""
    rows = list(before)
    for row in chance.sample(range(ROWS), chance.randrange(1, ROWS)):
        words = [(chance.choice(WORDS), chance.choice(STYLES)) for _ in range(chance.randrange(9))]
        rows[row] = Content.assemble(*words)
    return rows


def shown(app: Rows) -> list[str]:
    """What a painting of everything shows; pyte leaves the second cell of a wide character empty."""
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


async def test_the_terminal_shows_what_a_painting_of_everything_would(monkeypatch) -> None:
    app = Rows()
    monkeypatch.setattr(NarrowApp.__bases__[0], "_display", lambda self, screen, what: self.write(what))
    chance = random.Random(7)
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        line = app.query_one("#rows", Line)
        rows = [Content("")] * ROWS
        line.show_lines(rows)
        await pilot.pause()
        for _ in range(80):
            rows = some_rows(chance, rows)
            line.show_lines(rows)
            await pilot.pause()
            assert [text.rstrip() for text in app.terminal.display] == shown(app)


async def test_one_figure_costs_a_move_a_colour_and_itself(monkeypatch) -> None:
    app = Rows()
    monkeypatch.setattr(NarrowApp.__bases__[0], "_display", lambda self, screen, what: self.write(what))
    async with app.run_test(size=(WIDTH, HEIGHT)) as pilot:
        line = app.query_one("#rows", Line)
        line.show_lines([Content.assemble("CPU", " " * 30, ("12 %", "bold")) for _ in range(ROWS)])
        await pilot.pause()
        changed = Content.assemble("CPU", " " * 30, ("13 %", "bold"))
        line.show_lines([changed, *[Content.assemble("CPU", " " * 30, ("12 %", "bold")) for _ in range(ROWS - 1)]])
        await pilot.pause()
        assert "13 %" in app.terminal.display[1]
        assert 0 < app.sent < 60
