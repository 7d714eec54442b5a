"""Selecting with keys alone."""

from textual.app import App, ComposeResult
from textual.pilot import Pilot

from offtui.ui.transcript.marking import MarkableTranscript
from offtui.ui.transcript.model import Entry

TEXT = "one two three\n\n- four five\n- 宽字 six\n\n```\ndef f():\n    return 1\n```"


class Host(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.copied: list[str] = []
        self.seen: list[bool] = []

    def compose(self) -> ComposeResult:
        yield MarkableTranscript()

    @property
    def transcript(self) -> MarkableTranscript:
        return self.query_one(MarkableTranscript)

    def on_markable_transcript_marked(self, message: MarkableTranscript.Marked) -> None:
        self.copied.append(message.text)

    def on_markable_transcript_marking_changed(self, message: MarkableTranscript.MarkingChanged) -> None:
        self.seen.append(message.marking is not None)


async def opened(pilot: Pilot[None], app: Host, *, text: str = TEXT, count: int = 1) -> None:
    for number in range(count):
        app.transcript.append(Entry(number, "assistant", text, name="guide"))
    app.transcript.focus()
    await pilot.pause()
    app.transcript.action_mark()
    await pilot.pause()


async def press(pilot: Pilot[None], app: Host, keys: str) -> str:
    """Some keys; the newest copy."""
    await pilot.press(*keys.split())
    await pilot.pause()
    return app.copied[-1] if app.copied else ""


async def test_a_row_is_copied_at_once_and_the_mode_ends() -> None:
    app = Host()
    async with app.run_test(size=(60, 20)) as pilot:
        await opened(pilot, app)
        assert await press(pilot, app, "y") == "    return 1"
        assert app.transcript.marking is None
        assert app.seen == [True, False]


async def test_characters_words_and_rows_are_selected_from_where_it_was_begun() -> None:
    app = Host()
    async with app.run_test(size=(60, 20)) as pilot:
        await opened(pilot, app)
        assert await press(pilot, app, "g j v w w l l y") == "one two thr"
        app.transcript.action_mark()
        assert await press(pilot, app, "g j $ v b y") == "three"
        app.transcript.action_mark()
        assert await press(pilot, app, "g j V j j y") == "one two three\n\n• four five"
        app.transcript.action_mark()
        assert await press(pilot, app, "g j j j j w v l y") == "宽字"


async def test_the_cursor_goes_on_over_the_edges_of_rows_and_entries() -> None:
    app = Host()
    async with app.run_test(size=(60, 40)) as pilot:
        await opened(pilot, app, text="ab\n\ncd", count=2)
        assert await press(pilot, app, "g j v l l l l y") == "ab\n\ncd"
        app.transcript.action_mark()
        assert await press(pilot, app, "G v k k k k k k o h y") != ""
        app.transcript.action_mark()
        await press(pilot, app, "g h h h k k b b")
        marking = app.transcript.marking
        assert marking is not None
        assert marking.cursor[:2] == (0, 0)


async def test_the_view_follows_the_cursor_through_entries_that_were_only_estimated() -> None:
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        await opened(pilot, app, text="\n\n".join(f"row {number} " + "word " * 30 for number in range(20)), count=8)
        await press(pilot, app, " ".join(["pageup"] * 30))
        marking = app.transcript.marking
        assert marking is not None
        number = app.transcript._number(marking.cursor)
        assert round(app.transcript.scroll_y) <= number < round(app.transcript.scroll_y) + 12
        copied = await press(pilot, app, "V j j y")
        assert len(copied.split("\n")) == 3
        await press(pilot, app, "G")
        app.transcript.action_mark()
        assert (await press(pilot, app, "g V y")) == "guide"


async def test_letters_do_nothing_else_escape_leaves_and_a_resize_ends_it() -> None:
    app = Host()
    async with app.run_test(size=(60, 20)) as pilot:
        await opened(pilot, app)
        await press(pilot, app, "x z")
        assert app.transcript.marking is not None
        await press(pilot, app, "escape")
        assert app.transcript.marking is None
        assert app.copied == []
        app.transcript.action_mark()
        await pilot.resize_terminal(40, 20)
        await pilot.pause()
        assert app.transcript.marking is None
        app.transcript.action_mark()
        app.transcript.clear()
        assert app.transcript.marking is None
        app.transcript.action_mark()
        assert app.transcript.marking is None, "there is nothing to select"
