"""Rows of text that are made anew only where they change look as Textual itself would draw them."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.visual import Visual

from offtui.ui.widgets.line import Line, _changed_cells, _looks

WIDE = "層 of the model"


class Page(App[None]):
    """One line of some rows, with room at its sides."""

    CSS = "Line { padding: 0 1; background: #101418; } Line.-framed { border: solid red; }"

    def compose(self) -> ComposeResult:
        yield Line()


def looks(strip: Strip, width: int) -> list[tuple[str, object]]:
    """Each character with its colours and marks."""
    cells = [
        (character, segment.style and (segment.style.color, segment.style.bgcolor, segment.style.bold))
        for segment in strip
        for character in segment.text
    ]
    return cells[:width]


ROWS = [
    Content("plain"),
    Content.assemble(("VRAM  ", "$secondary"), ("6.1", "bold $accent"), " / 8.0 GiB"),
    Content.assemble("", ("", "bold"), ("x", "reverse")),
    Content.styled("within", "$primary").stylize("bold", 2, 4),
    Content(WIDE),
    Content("long " * 40),
    Content(""),
]


@pytest.mark.parametrize("framed", [False, True])
async def test_rows_look_as_textual_would_draw_them(framed: bool) -> None:
    app = Page()
    async with app.run_test(size=(60, 20)) as pilot:
        line = app.query_one(Line)
        line.set_class(framed, "-framed")
        line.show_lines(ROWS)
        await pilot.pause()
        edge = 1 if framed else 0
        width = line.size.width
        drawn = line.render_lines(Region(0, 0, line.outer_size.width, len(ROWS) + 2 * edge))[edge:]
        for row, strip in zip(ROWS[: line.size.height], drawn, strict=False):
            assert strip.cell_length == line.outer_size.width
            (wanted,) = Visual.to_strips(line, row, width, 1, line.visual_style)
            inside = strip.crop(1 + edge, 1 + edge + width)
            assert looks(inside, len(wanted.text)) == looks(wanted, len(wanted.text))
            assert inside.text.rstrip() == wanted.text.rstrip()


async def test_text_is_selected_with_the_mouse_from_the_row_on_where_it_began() -> None:
    app = Page()
    async with app.run_test(size=(60, 20)) as pilot:
        line = app.query_one(Line)
        line.show_lines([Content(f"row {number}") for number in range(6)])
        await pilot.pause()
        await pilot.mouse_down(line, offset=(1, 2))
        await pilot.hover(line, offset=(6, 4))
        await pilot.mouse_up(line, offset=(6, 4))
        await pilot.pause()
        selected = app.screen.get_selected_text() or ""
        assert selected.splitlines()[0] == "row 2"
        assert selected.splitlines()[1] == "row 3"


STYLES = st.sampled_from(["", "bold", "$primary", "red"])
CONTENTS = st.lists(st.tuples(st.text("ab ", max_size=8), STYLES), max_size=5)


@given(CONTENTS, CONTENTS)
@settings(deadline=None)
def test_only_cells_outside_of_the_stretches_are_the_same(
    before: Sequence[tuple[str, str]], after: Sequence[tuple[str, str]]
) -> None:
    old, new = Content.assemble(*before), Content.assemble(*after)
    cells = max(len(old), len(new), 1)
    stretches = _changed_cells(old, new, 60)
    inside = {cell for start, end in stretches for cell in range(start, end)}

    def seen(content: Content) -> list[tuple[str, object]]:
        return list(zip(content.plain.ljust(cells), _looks(content, cells), strict=True))

    for cell, (a, b) in enumerate(zip(seen(old), seen(new), strict=True)):
        assert cell in inside or a == b
