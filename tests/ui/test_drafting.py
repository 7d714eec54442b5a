"""Weighing what is typed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from offtui.protocol.events import Tokenized
from offtui.ui.drafting import PART, Drafting, FileWeight


class Desk:
    """Time and tokenizer by hand."""

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []
        self.asked: list[tuple[int, str]] = []
        self.told = 0
        self.drafting = Drafting(lambda _seconds, act: self.later.append(act), self.count, self.tell)

    def count(self, number: int, text: str) -> None:
        self.asked.append((number, text))

    def tell(self) -> None:
        self.told += 1

    def quiet(self) -> None:
        while self.later:
            self.later.pop(0)()

    def answer(self) -> None:
        while self.asked:
            number, text = self.asked.pop(0)
            self.drafting.hear(Tokenized(number, len(text.split())))
            assert len(self.asked) <= 1, "one count at a time"


def test_a_draft_is_counted_once_the_typing_stops_however_many_keys_there_were() -> None:
    desk = Desk()
    for end in range(1, 14):
        desk.drafting.changed("what is that?"[:end])
    assert desk.asked == []
    desk.quiet()
    assert desk.asked == [(1, "what is that?")]
    assert desk.drafting.tokens is None
    desk.answer()
    assert (desk.drafting.tokens, desk.told) == (3, 1)
    desk.drafting.changed("what is that?")
    desk.quiet()
    assert desk.asked == [], "it is known"


def test_commands_and_nothing_are_not_counted() -> None:
    desk = Desk()
    for text in ("/theme ember", "", "  \n"):
        desk.drafting.changed(text)
        desk.quiet()
    assert desk.asked == []
    assert desk.drafting.tokens is None


def test_files_are_weighed_with_the_draft_and_read_again_when_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "a.txt"
    file.write_text("one two three\n")
    desk = Desk()
    desk.drafting.changed("see @a.txt")
    desk.quiet()
    assert desk.drafting.files == [FileWeight("a.txt", 14, None)]
    desk.answer()
    assert desk.drafting.files == [FileWeight("a.txt", 14, 3)]
    assert desk.drafting.tokens == 2 + 1 + 2 + 3  # the words, the name, the fence, the text
    file.write_bytes(b"\0")
    desk.drafting.changed("see @a.txt!")
    desk.quiet()
    assert "is not text" in desk.drafting.problem
    assert desk.drafting.files == []
    file.write_text("four\n")
    desk.drafting.changed("see @a.txt")
    desk.quiet()
    desk.answer()
    assert desk.drafting.problem == ""
    assert desk.drafting.files == [FileWeight("a.txt", 5, 1)]


def test_another_model_counts_anew() -> None:
    desk = Desk()
    desk.drafting.changed("one two")
    desk.quiet()
    desk.answer()
    desk.drafting.again()
    desk.quiet()
    assert desk.drafting.tokens is None
    assert [text for _, text in desk.asked] == ["one two"]


def test_only_what_is_new_is_counted_and_one_part_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "long.txt").write_text("".join(f"word {n:05} word\n" for n in range(20_000)))
    desk = Desk()
    parts = 0
    desk.drafting.changed("see @long.txt")
    desk.quiet()
    while desk.asked:
        ((number, text),) = desk.asked
        assert len(text) <= PART
        desk.asked.clear()
        desk.drafting.hear(Tokenized(number, len(text.split())))
        parts += 1
    assert parts > 4
    assert desk.drafting.tokens == 60_000 + 5
    for end in range(1, 8):  # nobody answers
        desk.drafting.changed("see @long.txt please"[: 13 + end])
        desk.quiet()
    assert len(desk.asked) == 1, "neither the file again nor more than one draft"
    desk.answer()
    assert desk.drafting.tokens == 60_000 + 6


def test_where_nobody_counts_one_part_is_waited_for_until_there_is_a_model() -> None:
    desk = Desk()
    for text in ("one", "one two", "one two three"):
        desk.drafting.changed(text)
        desk.quiet()
    assert [text for _, text in desk.asked] == ["one"]
    desk.asked.clear()
    desk.drafting.again()
    desk.quiet()
    assert [text for _, text in desk.asked] == ["one two three"]
    desk.answer()
    assert desk.drafting.tokens == 3
