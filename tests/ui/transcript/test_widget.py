"""The transcript on a screen: what is drawn, what is followed, and how little is drawn again."""

import time
from collections.abc import Callable

from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.pilot import Pilot

from offtui.ui.transcript import Entry, Transcript

TEN_LINES = "\n\n".join(f"line {number}" for number in range(10))


class Host(App[None]):
    def compose(self) -> ComposeResult:
        yield Transcript(empty="# Welcome\n\nAsk **anything**.")

    @property
    def transcript(self) -> Transcript:
        return self.query_one(Transcript)


def screen(app: App[None]) -> str:
    """What the compositor shows, rows stripped at their right."""
    rows = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in row).rstrip("▁▂▃▄▅▆▇█ ") for row in rows)


async def until(pilot: Pilot[None], predicate: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not predicate():
        assert time.monotonic() < deadline, f"never came: \n{screen(pilot.app)}"
        await pilot.pause(0.01)


async def test_an_empty_transcript_invites_in_the_middle() -> None:
    app = Host()
    async with app.run_test(size=(40, 11)) as pilot:
        await pilot.pause()
        rows = screen(app).split("\n")
        assert [row.strip() for row in rows[3:6]] == ["Welcome", "━" * 7, ""]
        assert rows[6] == " " * 13 + "Ask anything."
        app.transcript.empty = "Other words."
        await pilot.pause()
        assert "Other words." in screen(app)
        app.transcript.append(Entry(1, "user", "hi"))
        await pilot.pause()
        assert "Other words." not in screen(app)
        app.transcript.clear()
        await pilot.pause()
        assert "Other words." in screen(app)


async def test_an_invitation_that_is_too_tall_loses_its_empty_rows_first() -> None:
    app = Host()
    async with app.run_test(size=(40, 3)) as pilot:
        await pilot.pause()
        assert [row.strip() for row in screen(app).split("\n")] == ["Welcome", "━" * 7, "Ask anything."]


async def test_an_answer_streams_in_and_is_stamped() -> None:
    app = Host()
    async with app.run_test(size=(40, 12)) as pilot:
        transcript = app.transcript
        transcript.append(Entry(1, "user", "hello"))
        transcript.begin(2, name="guide")
        transcript.feed(reasoning="hm")
        await until(pilot, lambda: "thinking…" in screen(app))
        transcript.feed("Hello **you**")
        await until(pilot, lambda: "Hello you▍" in screen(app))
        transcript.end("done", "4/13 layers", reasoning_tokens=1)
        await pilot.pause()
        assert screen(app).split("\n")[:9] == [
            " ▌ you", " ▌ hello", "",
            " │ guide", " │ ▸ thought for 1 token", " │", " │ Hello you", " ╰ 4/13 layers", "",
        ]  # fmt: skip
        assert transcript.source_of(2) == "Hello **you**"
        assert [entry.state for entry in transcript.entries] == ["done", "done"]


async def test_an_answer_that_never_ended_is_stopped_by_the_next() -> None:
    app = Host()
    async with app.run_test(size=(40, 12)):
        app.transcript.begin(1)
        app.transcript.feed("half")
        app.transcript.begin(2)
        app.transcript.end()
        app.transcript.end()
        app.transcript.feed("to nobody")
        assert [(entry.text, entry.state) for entry in app.transcript.entries] == [("half", "stopped"), ("", "done")]


async def test_text_fed_before_the_first_layout_is_there() -> None:
    class Eager(Host):
        def on_mount(self) -> None:
            self.transcript.append(Entry(1, "user", "early"))
            self.transcript.begin(2)
            self.transcript.feed("bird")

    app = Eager()
    async with app.run_test(size=(40, 12)) as pilot:
        await until(pilot, lambda: "bird" in screen(app) and "early" in screen(app))


async def test_the_bottom_is_followed_within_two_rows_of_it_and_not_further_up() -> None:
    app = Host()
    async with app.run_test(size=(40, 10)) as pilot:
        transcript = app.transcript
        transcript.append(Entry(1, "assistant", TEN_LINES))
        await pilot.pause()
        assert "line 9" in screen(app)
        transcript.action_scroll_up()
        transcript.action_scroll_up()
        await pilot.pause()
        assert transcript.following
        transcript.begin(2)
        transcript.feed("new\n\nrows")
        await until(pilot, lambda: "rows▍" in screen(app))
        transcript.action_page_up()
        await pilot.pause()
        assert not transcript.following
        top = screen(app).split("\n")[0]
        transcript.feed("\n\nmore")
        await until(pilot, lambda: "↓ 2 new lines" in screen(app))
        assert screen(app).split("\n")[0] == top
        transcript.feed("\n\nmore")
        await until(pilot, lambda: "↓ 4 new lines" in screen(app))
        transcript.action_scroll_end()
        await until(pilot, lambda: "more▍" in screen(app))
        assert transcript.following
        assert transcript.unseen_rows == 0
        assert "new lines" not in screen(app)


async def test_the_mark_can_be_clicked_and_a_question_of_the_user_leads_to_the_bottom() -> None:
    app = Host()
    async with app.run_test(size=(40, 10)) as pilot:
        transcript = app.transcript
        transcript.append(Entry(1, "assistant", TEN_LINES))
        transcript.action_scroll_home()
        transcript.append(Entry(2, "assistant", TEN_LINES))
        await until(pilot, lambda: "new lines" in screen(app))
        await pilot.click(Transcript, offset=(20, 9))
        await until(pilot, lambda: transcript.following)
        transcript.action_scroll_home()
        assert not transcript.following
        transcript.append(Entry(3, "user", "and now?"))
        await until(pilot, lambda: "and now?" in screen(app))


async def test_a_line_of_reasoning_unfolds_when_clicked() -> None:
    app = Host()
    async with app.run_test(size=(40, 10)) as pilot:
        app.transcript.append(Entry(1, "assistant", "yes", "because"))
        await until(pilot, lambda: "▸ thought" in screen(app))
        await pilot.click(Transcript, offset=(6, 1))
        await until(pilot, lambda: "because" in screen(app))
        app.transcript.toggle_reasoning()
        app.transcript.toggle_reasoning()
        await until(pilot, lambda: "because" not in screen(app))


async def test_scrolling_up_through_estimates_shows_every_row_once() -> None:
    app = Host()
    async with app.run_test(size=(50, 9)) as pilot:
        transcript = app.transcript
        transcript.extend(
            Entry(number, "assistant", f"number {number}\n\n" + "| a | b |\n|---|---|\n| 1 | 2 |\n" * (number % 3))
            for number in range(24)
        )
        await pilot.pause()
        seen = [screen(app).split("\n")[0]]
        while transcript.scroll_y > 0:
            transcript.action_scroll_up()
            await pilot.pause()
            seen.append(screen(app).split("\n")[0])
        numbers = [int(row.split()[-1]) for row in seen if "number" in row]
        assert numbers == sorted(numbers, reverse=True)
        assert numbers[-1] == 0
        assert len(set(numbers)) == len(numbers)
        assert len(numbers) > 19


async def test_a_resize_wraps_again_and_keeps_the_place() -> None:
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        transcript = app.transcript
        transcript.extend(Entry(number, "assistant", f"entry {number} " + "word " * 40) for number in range(50))
        transcript.action_scroll_home()
        for _ in range(12):
            transcript.action_page_down()
        await pilot.pause()
        before = [row for row in screen(app).split("\n") if "entry" in row]
        await pilot.resize_terminal(36, 12)
        await until(pilot, lambda: transcript.virtual_size.width < 40)
        await pilot.resize_terminal(60, 12)
        await until(pilot, lambda: transcript.virtual_size.width > 40)
        after = [row for row in screen(app).split("\n") if "entry" in row]
        assert set(before) & set(after)
        transcript.action_scroll_end()
        await until(pilot, lambda: "entry 49" in screen(app))
        await pilot.resize_terminal(40, 12)
        await until(pilot, lambda: transcript.virtual_size.width <= 40 and transcript.following)
        assert screen(app).rstrip().endswith("word")


async def test_rows_that_came_are_not_counted_again_when_the_width_changes() -> None:
    app = Host()
    async with app.run_test(size=(60, 10)) as pilot:
        transcript = app.transcript
        transcript.begin(1)
        transcript.feed(TEN_LINES)
        await until(pilot, lambda: "line 9▍" in screen(app))
        transcript.action_scroll_home()
        transcript.feed("\n\nmore")
        await until(pilot, lambda: transcript.unseen_rows == 2)
        await pilot.resize_terminal(50, 10)
        await until(pilot, lambda: transcript.virtual_size.width < 50)
        transcript.feed("\n\nmore")
        await until(pilot, lambda: transcript.unseen_rows >= 4)
        assert transcript.unseen_rows == 4


async def test_only_the_cells_that_changed_are_drawn_again() -> None:
    app = Host()
    async with app.run_test(size=(80, 30)) as pilot:
        transcript = app.transcript
        transcript.append(Entry(1, "assistant", TEN_LINES))
        transcript.begin(2)
        transcript.feed("one")
        await until(pilot, lambda: "one▍" in screen(app))
        drawn: list[Region] = []
        refresh = transcript.refresh

        def recorded(*regions: Region, **options: bool) -> Transcript:
            drawn.extend(regions or [transcript.region])
            return refresh(*regions, **options)

        transcript.refresh = recorded  # type: ignore[method-assign]
        transcript.feed(" two")
        await until(pilot, lambda: "one two▍" in screen(app))
        assert sum(region.area for region in drawn) <= 12
        drawn.clear()
        await pilot.pause(0.3)
        assert drawn == []


async def test_themes_change_the_colours() -> None:
    app = Host()
    async with app.run_test(size=(40, 12)) as pilot:
        app.transcript.append(Entry(1, "user", "hello"))
        await pilot.pause()
        before = app.transcript.render_line(0)
        app.theme = "textual-light"
        await until(pilot, lambda: list(app.transcript.render_line(0)) != list(before))


async def test_faint_text_is_dim_in_the_colours_of_the_terminal() -> None:
    app = Host()
    async with app.run_test(size=(40, 12)) as pilot:
        app.transcript.append(Entry(1, "assistant", "yes", stamp="4/13 layers"))
        app.theme = "ansi-dark"

        def dim() -> bool:
            return any(
                segment.style is not None and bool(segment.style.dim) for segment in app.transcript.render_line(2)
            )

        await until(pilot, dim)


async def test_ten_thousand_messages_open_at_once_and_scroll_home() -> None:
    app = Host()
    async with app.run_test(size=(120, 40)) as pilot:
        entries = [Entry(number, "assistant", "**word** " * 60) for number in range(10_000)]
        before = time.process_time()
        app.transcript.extend(entries)
        assert time.process_time() - before < 5
        app.transcript.action_scroll_home()
        await pilot.pause()
        assert screen(app).startswith(" │ assistant\n │ word word")


async def test_entries_are_replaced_and_removed_in_place() -> None:
    app = Host()
    async with app.run_test(size=(40, 12)) as pilot:
        transcript = app.transcript
        transcript.extend([Entry(1, "user", "a"), Entry(2, "notice", "b")])
        transcript.replace(Entry(1, "user", "A\nA"))
        await until(pilot, lambda: " ▌ A\n ▌ A\n\n · b" in screen(app))
        transcript.remove_entry(1)
        await until(pilot, lambda: screen(app).startswith(" · b"))


async def test_text_is_selected_with_the_mouse_and_copied_without_bars() -> None:
    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        app.transcript.append(Entry(1, "assistant", "one two\n\nthree four"))
        await until(pilot, lambda: "three" in screen(app))
        plain = app.transcript.render_line(1)
        await pilot.mouse_down(Transcript, offset=(7, 1))
        await pilot.hover(Transcript, offset=(8, 3))
        await pilot.mouse_up(Transcript, offset=(8, 3))
        await until(pilot, lambda: app.screen.get_selected_text() is not None)
        assert (app.screen.get_selected_text() or "").startswith("two\n\nthree")
        assert list(app.transcript.render_line(1)) != list(plain)
        app.screen.clear_selection()
        await pilot.pause()
        assert app.transcript.render_line(1).text == plain.text


async def test_an_answer_that_is_followed_is_followed_on_through_resizes() -> None:
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = app.transcript
        transcript.append(Entry(1, "assistant", TEN_LINES * 3))
        transcript.begin(2)
        for width, height in [(58, 36), (40, 10), (100, 40), (30, 8), (90, 36), (60, 12), (110, 40)] * 2:
            transcript.feed("some more words of a paragraph that is wrapped at every width " * 4 + "\n\n")
            await pilot.resize_terminal(width, height)
            transcript.flush()
            await until(pilot, lambda: transcript._fitted == transcript.outer_size)
            assert transcript.following, (width, height)
