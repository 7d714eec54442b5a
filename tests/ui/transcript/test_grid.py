"""Cells, and breaking text into rows."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from offtui.ui.transcript.grid import Run, cells, changed_cells, clip, crop, line_cells, pad, reach, settle
from offtui.ui.transcript.wrap import wrap, wrap_hard

texts = st.text(st.characters(codec="utf-8"), max_size=60)
lines = st.lists(
    st.builds(Run, texts.map(lambda text: settle(text).replace("\n", "")), st.sampled_from(["", "a", "b"]))
).map(tuple)


def rows(text: str, width: int) -> list[str]:
    return ["".join(run.text for run in row) for row in wrap([Run(text)], width)]


@given(texts)
def test_settled_text_is_as_wide_as_its_characters(text: str) -> None:
    settled = settle(text).replace("\n", " ")
    assert settle(settled) == settled
    assert cell_len(settled) == cells(settled) == sum(cells(character) for character in settled)


def test_what_terminals_disagree_about_is_not_drawn() -> None:
    assert settle("👩‍🚀👍🏽❤️\u200b") == "👩🚀👍❤"
    assert settle("e\u0301") == "é"
    assert len(settle("x" + "\u0335" * 1000)) == 5
    assert settle("a\tb\x1b[2J") == "a    b[2J"


@given(lines, st.integers(1, 30))
def test_wrapping_keeps_every_character_but_the_spaces_at_breaks(line: tuple[Run, ...], width: int) -> None:
    found = wrap(line, width)
    assert all(line_cells(row) <= width for row in found)
    wanted = "".join(run.text for run in line).replace(" ", "")
    shown = "".join(run.text for row in found for run in row).replace(" ", "")
    if width > 1:
        assert shown == wanted


@given(lines, st.integers(2, 30))
def test_code_is_folded_without_losing_anything(line: tuple[Run, ...], width: int) -> None:
    found = wrap_hard(line, width)
    assert all(line_cells(row) <= width for row in found)
    assert "".join(run.text for row in found for run in row) == "".join(run.text for run in line)


def test_rows_break_at_spaces_and_long_words_anywhere() -> None:
    assert rows("one two three", 8) == ["one two", "three"]
    assert rows("a verylongword b", 6) == ["a", "verylo", "ngword", "b"]
    assert rows("  indented text", 10) == ["  indented", "text"]
    assert rows("a\n\nb\n", 9) == ["a", "", "b", ""]


def test_wide_characters_break_between_each_other_but_not_before_a_full_stop() -> None:
    assert rows("宽字符。测试", 6) == ["宽字", "符。测", "试"]
    assert rows("宽", 1) == ["…"]


def test_a_word_of_several_looks_stays_together() -> None:
    found = wrap([Run("see "), Run("bold", "b"), Run("ly done")], 8)
    assert found == [(Run("see"),), (Run("bold", "b"), Run("ly")), (Run("done"),)]


@given(texts.map(lambda text: settle(text).replace("\n", "")), st.integers(0, 20))
def test_reach_clip_and_crop_keep_to_their_cells(text: str, limit: int) -> None:
    assert cells(text[: reach(text, 0, limit)]) <= limit
    assert cells(clip(text, limit)) <= limit
    assert line_cells(crop((Run(text), Run(text)), limit)) <= limit
    assert line_cells(pad((Run(text),), limit, "")) == max(limit, cells(text))


@given(lines, lines)
def test_cells_outside_the_changed_ones_are_the_same(before: tuple[Run, ...], after: tuple[Run, ...]) -> None:
    def drawn(line: tuple[Run, ...]) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for text, look in line:
            for character in text:
                found += [(character, look)] * cells(character)
        return found

    start, end = changed_cells(before, after)
    one, other = drawn(before), drawn(after)
    assert one[:start] == other[:start]
    assert max(len(one), len(other)) <= max(end, start) or one == other
