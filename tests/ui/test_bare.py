"""Widgets that are nothing but their rows look as Textual would have drawn them."""

import random

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget

from offtui.ui.compositing import CellScreen
from offtui.ui.transcript import Entry, Transcript
from offtui.ui.widgets.bare import Bare
from offtui.ui.widgets.line import Line
from tests.fakes.worker import MARKDOWN


class Sheet(CellScreen):
    CSS = """
    #plain { height: 3; background: green; } #sides { padding: 0 2 0 1; } #boxed { border: round red; height: 4; }
    Transcript { height: 12; }
    """

    def compose(self) -> ComposeResult:
        yield Line(id="plain")
        yield Line(id="sides")
        yield Line(id="boxed")
        yield Transcript(id="transcript")


class SheetApp(App[None]):
    def on_mount(self) -> None:
        self.push_screen(Sheet())


@pytest.mark.parametrize("theme", ["textual-dark", "ansi-dark"])
async def test_rows_are_textuals_own(theme: str) -> None:
    dice = random.Random(3)
    app = SheetApp()
    async with app.run_test(size=(50, 24)) as pilot:
        app.theme = theme
        await pilot.pause()
        sheet = app.screen
        rows = [Content.styled("one", "bold $error"), Content("二 two"), Content("")]
        sheet.query_one("#plain", Line).show_lines(rows)
        sheet.query_one("#sides", Line).show("between paddings " * 4)
        sheet.query_one("#boxed", Line).show_lines([Content("in a box"), Content("of its own")])
        sheet.query_one(Transcript).extend([Entry(1, "user", "Ask"), Entry(2, "assistant", MARKDOWN)])
        await pilot.pause()
        bar = sheet.query_one(Transcript).vertical_scrollbar
        for widget in [*sheet.query("Line, Transcript"), bar]:
            assert isinstance(widget, Bare)
            whole = widget.outer_size.region
            for _ in range(20):
                x, y = dice.randrange(whole.width), dice.randrange(whole.height)
                crop = Region(x, y, dice.randint(1, whole.width - x), dice.randint(1, whole.height - y))
                ours = [list(strip.simplify()) for strip in widget.render_lines(crop)]
                widget._styles_cache.clear()
                assert ours == [list(strip.simplify()) for strip in Widget.render_lines(widget, crop)], widget


async def test_what_changes_is_painted_without_the_beat_of_a_timer() -> None:
    app = SheetApp()
    async with app.run_test(size=(50, 24)) as pilot:
        await pilot.pause()
        sheet = app.screen
        painted: list[str] = []
        app.post_display_hook = lambda: painted.append(sheet.query_one("#sides", Line).text)  # type: ignore[method-assign]
        sheet._update_timer.stop()  # Textual's beat
        for number in range(3):
            text = f"changed {number}"
            sheet.query_one("#sides", Line).show(text)
            for _ in range(500):
                await pilot.pause(0.01)
                if text in painted:
                    break
                sheet.query_one("#sides", Line).refresh()  # where the last picture was only a moment ago
            assert text in painted
