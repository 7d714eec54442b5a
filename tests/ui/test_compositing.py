"""Painting only what has changed leaves the same screen as painting all of it."""

import random

import pyte
from rich.console import Console
from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.geometry import Region
from textual.screen import Screen
from textual.widgets import Static

from offtui.ui.compositing import CellCompositor, CellsUpdate
from offtui.ui.widgets.line import Line
from offtui.ui.widgets.prompt import Prompt

SIZE = (60, 20)


class Board(Screen[None]):
    """Widgets beside, above and over one another, one of them in a box that is scrolled."""

    CSS = """
    #left { width: 1fr; } #right { width: 21; border: round white; height: 8; overflow-y: scroll; }
    #over { layer: top; dock: bottom; width: 30; height: 3; margin: 0 0 4 8; background: red; }
    Board { layers: base top; } #tall { height: 12; } #rows { height: 5; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._compositor = CellCompositor()

    def compose(self) -> ComposeResult:
        with Horizontal():
            with Vertical(id="left"):
                yield Line(id="rows")
                yield Prompt(id="prompt")
            with Vertical(id="right"):
                yield Static("wide ab " * 40, id="tall")
        yield Static("over", id="over")


class BoardApp(App[None]):
    def on_mount(self) -> None:
        self.push_screen(Board())


async def test_only_changed_cells_are_painted_and_the_screen_is_as_if_all_were() -> None:
    dice = random.Random(7)
    app = BoardApp()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        board = app.screen
        compositor = board._compositor
        assert isinstance(compositor, CellCompositor)
        console = Console(width=SIZE[0], color_system="truecolor", force_terminal=True)
        seen, stream = emulator()
        stream.feed(whole(compositor, console))
        for _ in range(150):
            rows = board.query_one("#rows", Line)
            texts = [Content("".join(dice.choices("ab c", k=dice.randint(0, 39)))) for _ in range(5)]
            widget = dice.choice(list(board.query("#rows, #prompt, #right, #tall, #over")))
            with app.batch_update():  # nobody else takes what is dirty
                if dice.random() < 0.5:
                    rows.show_lines(texts)
                else:
                    x, y = dice.randrange(30), dice.randrange(10)
                    widget.refresh(Region(x, y, dice.randint(1, 30), dice.randint(1, 4)))
                compositor.update_widgets({rows, widget})
                update = compositor.render_partial_update()
            if update is not None:
                assert isinstance(update, CellsUpdate)
                assert cells_of(update) == len(set(cells(update))), "no cell is painted twice"
                stream.feed(update.render_segments(console))
            expected, all_of_it = emulator()
            all_of_it.feed(whole(compositor, console))
            assert seen.display == expected.display
        row = board.query_one("#rows", Line)
        with app.batch_update():
            row.refresh(Region(3, 1, 2, 1))
            compositor.update_widgets({row})
            update = compositor.render_partial_update()
        assert update is not None
        assert cells(update) == [(1, 3), (1, 4)], "what was not touched is not sent"


def emulator() -> tuple[pyte.Screen, pyte.Stream]:
    screen = pyte.Screen(*SIZE)
    return screen, pyte.Stream(screen)


def whole(compositor: CellCompositor, console: Console) -> str:
    return compositor.render_full_update().render_segments(console)


def cells(update: CellsUpdate) -> list[tuple[int, int]]:
    return [(y, x + step) for y, x, strip in update.pieces for step in range(strip.cell_length)]


def cells_of(update: CellsUpdate) -> int:
    return sum(strip.cell_length for _, _, strip in update.pieces)
