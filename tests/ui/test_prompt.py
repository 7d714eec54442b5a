"""The prompt: what sends, what begins a line, what is recalled, and that nothing typed is lost."""

import time
from collections.abc import Callable

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from offtui.ui.widgets.prompt import BURST_SECONDS, Prompt


class Host(App[None]):
    ENABLE_COMMAND_PALETTE = False

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []
        self.bubbled: list[str] = []

    def compose(self) -> ComposeResult:
        yield Prompt(placeholder="Ask something")

    @property
    def prompt(self) -> Prompt:
        return self.query_one(Prompt)

    def on_prompt_submitted(self, message: Prompt.Submitted) -> None:
        assert message.control is self.prompt
        self.sent.append(message.text)

    def on_key(self, event: events.Key) -> None:
        self.bubbled.append(event.key)

    def at_once(self, text: str) -> None:
        """Characters as they come in one read of the terminal."""
        self.send(text, 0)

    def typed(self, text: str) -> None:
        """Characters as a hand types them."""
        self.send(text, 0.1)

    def send(self, text: str, seconds: float) -> None:
        for number, character in enumerate(text):
            key = events.Key({"\n": "enter", "\r": "enter"}.get(character, character), character)
            key.time += 1000 * (seconds > 0) + number * seconds
            self.prompt.post_message(key)


async def until(pilot: Pilot[None], predicate: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not predicate():
        assert time.monotonic() < deadline, "never came"
        await pilot.pause(0.01)


async def test_enter_sends_and_the_text_stays_until_it_is_taken() -> None:
    app = Host()
    async with app.run_test() as pilot:
        app.typed("hi\n")
        await until(pilot, lambda: app.sent == ["hi"])
        assert app.prompt.text == "hi"
        assert app.prompt.take() == "hi"
        assert app.prompt.text == ""


async def test_a_blank_prompt_is_not_sent() -> None:
    app = Host()
    async with app.run_test() as pilot:
        app.typed(" \n")
        await pilot.pause()
        assert app.sent == []


@pytest.mark.parametrize("keys", [("ctrl+j",), ("shift+enter",), ("\\", "enter")])
async def test_ways_to_begin_a_line(keys: tuple[str, ...]) -> None:
    app = Host()
    async with app.run_test() as pilot:
        await pilot.press("a", *keys, "b")
        await until(pilot, lambda: app.prompt.text == "a\nb")
        assert app.sent == []


async def test_a_script_that_types_a_line_and_enter_at_once_sends_it() -> None:
    app = Host()
    async with app.run_test() as pilot:
        app.at_once("what is it?\r")
        await until(pilot, lambda: app.sent == ["what is it?"])


async def test_lines_pasted_without_brackets_do_not_send_even_if_the_last_one_ends() -> None:
    app = Host()
    async with app.run_test() as pilot:
        app.at_once("one\rtwo\r\rthree\r")
        await until(pilot, lambda: app.prompt.text == "one\ntwo\n\nthree\n")
        await pilot.pause(BURST_SECONDS * 3)
        assert app.sent == []
        app.typed("\n")
        await until(pilot, lambda: app.sent == ["one\ntwo\n\nthree\n"])


async def test_a_bracketed_paste_keeps_its_lines_and_loses_its_escapes() -> None:
    app = Host()
    async with app.run_test() as pilot:
        app.prompt.post_message(events.Paste("a\r\nb\rc\x1b[31m\u202e\n"))
        await until(pilot, lambda: app.prompt.text == "a\nb\nc[31m\n")
        assert app.sent == []


async def test_keys_that_come_at_once_act_in_the_order_of_typing() -> None:
    app = Host()
    async with app.run_test() as pilot:
        for key, character in (
            ("a", "a"),
            ("b", "b"),
            ("backspace", None),
            ("ctrl+j", None),
            ("c", "c"),
            ("left", None),
        ):
            app.prompt.post_message(events.Key(key, character))
        app.prompt.post_message(events.Key("d", "d"))
        await until(pilot, lambda: app.prompt.text == "a\ndc")


async def test_up_and_down_at_the_edges_recall_and_the_draft_comes_back() -> None:
    app = Host()
    async with app.run_test() as pilot:
        for text in ("first", "second\nline", "second\nline", "  "):
            app.prompt.remember(text)
        assert app.prompt.past == ("first", "second\nline")
        app.typed("draft")
        await pilot.press("up")
        await until(pilot, lambda: app.prompt.text == "second\nline")
        await pilot.press("up")
        assert app.prompt.text == "second\nline"
        await pilot.press("up", "up")
        assert app.prompt.text == "first"
        await pilot.press("down")
        assert app.prompt.text == "second\nline"
        await pilot.press("down", "down")
        assert app.prompt.text == "draft"


async def test_a_wrapped_line_is_walked_through_before_history_is_recalled() -> None:
    app = Host()
    async with app.run_test(size=(20, 20)) as pilot:
        app.prompt.remember("before")
        app.typed("many words that need several rows")
        await until(pilot, lambda: app.prompt.text.endswith("rows"))
        await pilot.press("up")
        assert app.prompt.text.endswith("rows")
        await pilot.press("up", "up", "up")
        await until(pilot, lambda: app.prompt.text == "before")


async def test_escape_clears_nothing_and_scrolling_keys_are_left_to_the_owner() -> None:
    app = Host()
    async with app.run_test() as pilot:
        app.typed("kept")
        await until(pilot, lambda: app.prompt.text == "kept")
        keys = ["escape", "pageup", "pagedown", "shift+up", "shift+down", "ctrl+b", "ctrl+z"]
        await pilot.press(*keys)
        assert app.prompt.text == "kept"
        assert [key for key in app.bubbled if key in keys] == keys


def test_no_key_is_bound_that_terminals_or_multiplexers_take() -> None:
    bound = {key for binding in Prompt.BINDINGS for key in binding.key.split(",")}  # type: ignore[union-attr]
    never = ["a", "b", "h", "i", "m", "left_square_bracket"]
    assert not bound & {f"ctrl+{key}" for key in never} | bound & {"ctrl+tab", "ctrl+enter", "alt+enter", "f10", "f11"}


async def test_it_grows_to_a_third_of_the_screen() -> None:
    app = Host()
    async with app.run_test(size=(40, 30)) as pilot:
        heights: list[int] = []
        for _ in range(14):
            await pilot.press("x", "ctrl+j")
            await pilot.pause()
            heights.append(app.prompt.outer_size.height)
        assert heights[0] == 4
        assert max(heights) in {9, 10}
        assert heights == sorted(heights)


async def test_what_could_not_be_sent_is_put_back_before_what_was_typed_since() -> None:
    app = Host()
    async with app.run_test() as pilot:
        app.typed("one")
        await until(pilot, lambda: app.prompt.text == "one")
        taken = app.prompt.take()
        app.typed("two")
        await until(pilot, lambda: app.prompt.text == "two")
        app.prompt.restore(taken)
        assert app.prompt.text == "one\ntwo"
        assert app.prompt.cursor_location == (1, 3)
