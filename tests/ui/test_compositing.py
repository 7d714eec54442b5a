"""Painting only what has changed leaves the same screen as painting all of it."""

import random

import pyte
import pytest
from rich.console import Console
from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.geometry import Region
from textual.screen import Screen
from textual.widgets import Static

from offtui.ui.compositing import CellCompositor, CellScreen, CellsUpdate
from offtui.ui.transcript import Entry, Transcript
from offtui.ui.transcript.column import Column
from offtui.ui.transcript.grid import Line as Row
from offtui.ui.widgets.line import Line
from offtui.ui.widgets.prompt import Prompt
from tests.fakes.worker import MARKDOWN

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


class Panes(CellScreen):
    """A transcript beside a pane that comes and goes, with something in it that changes also while it is hidden."""

    CSS = """
    #transcript { width: 1fr; } #side { width: 26; } #long { height: 90; }
    #side.-wide { width: 40; } .-narrow #side { display: none; }
    """

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Transcript(id="transcript")
            with VerticalScroll(id="side"):
                yield Line(id="long")


class PanesApp(App[None]):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def on_mount(self) -> None:
        self.push_screen(Panes())

    def begin(self) -> Transcript:
        transcript = self.screen.query_one(Transcript)
        transcript.extend([Entry(1, "user", "word " * 50), Entry(2, "assistant", MARKDOWN)])
        transcript.begin(3)
        transcript.feed(self.text)
        return transcript


@pytest.mark.parametrize("seed", range(4))
async def test_a_storm_of_sizes_leaves_the_rows_of_the_last_one(seed: int) -> None:
    dice = random.Random(seed)
    app = PanesApp("An answer that is wrapped. " * 9)
    async with app.run_test(size=(105, 21)) as pilot:
        await pilot.pause()
        transcript, side = app.begin(), app.screen.query_one("#side")
        for _ in range(12):
            transcript.feed("some more words, " * dice.randint(1, 9) + dice.choice(["", "\n\n"]))
            await dice.choice(
                [pilot.pause, lambda: pilot.pause(0.01), lambda: pilot.resize_terminal(dice.randint(50, 160), 21)]
            )()
            app.screen.set_class(dice.random() < 0.3, "-narrow")
            side.set_class(dice.random() < 0.5, "-wide")
            side.display = dice.random() < 0.5
            side.scroll_to(y=dice.randrange(60), animate=False)
            app.screen._compositor.update_widgets({side.query_one(Line)})  # as painting does where it is dirty
            transcript.flush()  # looks places up
            assert transcript.region
        await pilot.resize_terminal(105, 21)
        app.screen.set_class(False, "-narrow")
        side.display = False
        await pilot.pause(0.1)
        side.query_one(Line).refresh()  # out of sight
        await pilot.pause(0.1)
        side.display = True
        assert transcript.region  # found by what is in sight from now on
        for _ in range(500):
            await pilot.pause(0.01)
            transcript.flush()
            told = transcript.outer_size == transcript._fitted == transcript.region.size
            if told and not (app.screen._layout_required or transcript._column.has_fresh_text):
                break
        width = transcript.scrollable_content_region.width
        assert width == 104 - side.region.width < 104
        fresh = Column(width)
        fresh.extend(transcript.entries)
        fresh.begin(3)
        fresh.relay(2)
        rows = [line_text(line) for line in transcript._shown]
        top = fresh.rows.total - transcript._column.rows.total + round(transcript.scroll_y)
        assert rows == [line_text(line) for line in fresh.view(top, 21)]


async def test_what_changes_out_of_sight_costs_no_search_for_places_and_is_there_when_it_comes_into_sight() -> None:
    app = PanesApp("")
    async with app.run_test(size=(105, 21)) as pilot:
        await pilot.pause()
        side, compositor = app.screen.query_one("#side"), app.screen._compositor
        line = side.query_one(Line)
        line.show_lines([Content("before"), *[Content("")] * 89])
        side.display = False
        for _ in range(500):
            await pilot.pause(0.01)
            if line not in compositor.visible_widgets:
                break
        assert app.screen.region  # all places are known
        searches: list[int] = []
        arrange = compositor._arrange_root
        compositor._arrange_root = lambda *args, **options: (searches.append(1), arrange(*args, **options))[1]
        for number in range(20):
            line.show_lines([Content(f"after {number}"), *[Content("")] * 89])
            await pilot.pause(0.05)
            assert app.screen.query_one(Transcript).region
        assert len(searches) < 10
        side.display = True
        for _ in range(500):
            await pilot.pause(0.01)
            if "after 19" in "".join(segment.text for row in compositor.render_strips() for segment in row):
                break
        else:
            raise AssertionError("never seen")


def line_text(line: Row) -> str:
    return "".join(run.text for run in line)


def emulator() -> tuple[pyte.Screen, pyte.Stream]:
    screen = pyte.Screen(*SIZE)
    return screen, pyte.Stream(screen)


def whole(compositor: CellCompositor, console: Console) -> str:
    return compositor.render_full_update().render_segments(console)


def cells(update: CellsUpdate) -> list[tuple[int, int]]:
    return [(y, x + step) for y, x, strip in update.pieces for step in range(strip.cell_length)]


def cells_of(update: CellsUpdate) -> int:
    return sum(strip.cell_length for _, _, strip in update.pieces)
