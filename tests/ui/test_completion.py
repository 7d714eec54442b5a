"""What Tab makes of what is typed."""

from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.widgets import Button

from offtui.ui.completion import Completion, completion
from offtui.ui.widgets.prompt import Prompt

ARGUMENTS = {"theme": lambda _typed: ["ember", "fjord", "offtui"]}


def text(before: str) -> str | None:
    found = completion(before, ARGUMENTS)
    return None if found is None else before[: found.start] + found.text


def test_commands_are_completed_as_far_as_they_agree() -> None:
    assert text("/mon") == "/monitor"
    assert text("/th") == "/theme "
    assert text("/TH") == "/th"  # there is /threads as well
    assert text("/no-such") is None
    assert text("//th") is None
    assert text("two\n/th") is None
    assert text("/theme f") == "/theme fjord"
    assert text("/theme x") is None
    assert text("/new x") is None
    assert text("words") is None


def test_words_that_agree_no_further_come_one_by_one() -> None:
    found = completion("/theme ", ARGUMENTS)
    assert found == Completion(7, ("ember", "fjord", "offtui"), 0)
    assert [found.turned(by).text for by in (1, -1)] == ["fjord", "offtui"]
    assert completion("/m", {}) is not None


class Host(App[None]):
    def compose(self) -> ComposeResult:
        yield Prompt()
        yield Button("other")


async def test_tab_completes_turns_and_leaves_the_prompt_where_there_is_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("alpha.py", "alps.md"):
        (tmp_path / name).write_text("x")
    app = Host()
    async with app.run_test() as pilot:
        prompt = app.query_one(Prompt)
        prompt.focus()
        prompt.load_text("one\nsee @a and on")
        prompt.move_cursor((1, 6))
        await pilot.press("tab")
        assert prompt.text == "one\nsee @alp and on"
        await pilot.press("tab")
        assert prompt.text == "one\nsee @alpha.py and on"
        await pilot.press("tab")
        assert prompt.text == "one\nsee @alps.md and on"
        await pilot.press("shift+tab")
        assert prompt.text == "one\nsee @alpha.py and on"
        await pilot.press("space", "tab")
        assert prompt.text == "one\nsee @alpha.py  and on"
        assert not prompt.has_focus, "Tab leads on where it completes nothing"
