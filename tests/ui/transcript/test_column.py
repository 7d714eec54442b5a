"""The column of rows behind the widget."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offtui.text import clean
from offtui.ui.transcript.column import CACHED_ROWS, Column
from offtui.ui.transcript.grid import BLANK, Line, line_cells
from offtui.ui.transcript.model import Entry
from tests.ui.transcript.documents import chunked, documents


def text_of(lines: list[Line]) -> str:
    return "\n".join("".join(run.text for run in line).rstrip() for line in lines)


def all_rows(column: Column) -> list[Line]:
    for index in range(len(column)):
        column.settle(index)
    return column.view(0, column.rows.total)


@settings(max_examples=200, deadline=None)
@given(documents, documents, st.lists(st.integers(0, 2000), max_size=9), st.integers(8, 120))
def test_an_answer_that_has_ended_looks_as_if_it_had_come_at_once(
    document: str, reasoning: str, cuts: list[int], width: int
) -> None:
    streamed, whole = Column(width), Column(width)
    streamed.extend([Entry(1, "assistant", "")])
    streamed.begin(1)
    for chunk in chunked(reasoning, cuts):
        streamed.feed("", chunk)
        streamed.relay(0)
    for chunk in chunked(document, cuts):
        streamed.feed(chunk, "")
        streamed.relay(0)
        assert all(line_cells(line) <= width for line in streamed.view(0, streamed.rows.total))
    streamed.end("done", "stamp", 3)
    streamed.relay(0)
    whole.extend([Entry(1, "assistant", document, reasoning, "stamp", reasoning_tokens=3)])
    assert all_rows(streamed) == all_rows(whole)
    assert streamed.entries == whole.entries


@given(st.lists(st.text(max_size=200), min_size=1, max_size=8), st.integers(1, 100))
def test_every_row_fits_and_heights_are_true_once_settled(texts: list[str], width: int) -> None:
    column = Column(width)
    column.extend(
        Entry(number, ("user", "notice", "error", "assistant")[number % 4], text) for number, text in enumerate(texts)
    )
    rows = all_rows(column)
    assert len(rows) == column.rows.total
    if width >= 6:
        assert all(line_cells(line) <= width for line in rows)


def test_who_speaks_is_told_in_words_and_by_a_bar() -> None:
    column = Column(40)
    column.extend([Entry(1, "user", "hi"), Entry(2, "assistant", "yes", name="guide"), Entry(3, "error", "no")])
    assert text_of(all_rows(column)) == " ▌ you\n ▌ hi\n\n │ guide\n │ yes\n\n ▐ error\n ▐ no\n"


def test_what_the_user_wrote_is_not_markdown() -> None:
    column = Column(40)
    column.extend([Entry(1, "user", "# not a *heading*\n  1. kept")])
    assert " ▌ # not a *heading*\n ▌   1. kept" in text_of(all_rows(column))


def test_reasoning_is_folded_with_its_length_and_unfolds() -> None:
    column = Column(40)
    column.extend(
        [Entry(1, "assistant", "yes", "because of that", reasoning_tokens=214), Entry(2, "assistant", "a", "b")]
    )
    assert "▸ thought for 214 tokens" in text_of(all_rows(column))
    assert "▸ thought for 1 word" in text_of(all_rows(column))
    assert "because" not in text_of(all_rows(column))
    column.toggle_reasoning(1)
    assert "▾ thought for 214 tokens\n │   because of that" in text_of(all_rows(column))
    column.toggle_reasoning()
    column.toggle_reasoning()
    assert "because" not in text_of(all_rows(column))


def test_the_end_of_the_reasoning_is_shown_until_the_answer_begins() -> None:
    column = Column(40)
    column.extend([Entry(1, "assistant", "")])
    column.begin(1)
    column.feed("", "one\ntwo\nthree\nfour")
    column.relay(0)
    assert text_of(all_rows(column)) == " │ assistant\n │ ▾ thinking…\n │   two\n │   three\n │   four\n"
    column.feed("So", "")
    column.relay(0)
    assert text_of(all_rows(column)) == " │ assistant\n │ ▸ thought for 4 words\n │\n │ So▍\n"


def test_how_an_answer_ended_is_told() -> None:
    column = Column(60)
    column.extend(
        [Entry(1, "assistant", "a", stamp="28/37 layers", state="stopped"), Entry(2, "assistant", "", state="failed")]
    )
    assert " ╰ ■ stopped · 28/37 layers" in text_of(all_rows(column))
    assert " ╰ ✕ failed" in text_of(all_rows(column))


def test_a_stopped_answer_goes_on_where_it_was() -> None:
    column = Column(60)
    column.extend([Entry(1, "assistant", "It is", state="stopped", stamp="x")])
    column.begin(1)
    column.feed(" so.", "")
    column.end("done", "", None)
    assert column.entry(0) == Entry(1, "assistant", "It is so.")


def test_entries_can_be_replaced_removed_and_cleared_also_while_one_is_written() -> None:
    column = Column(60)
    column.extend([Entry(1, "user", "a"), Entry(2, "user", "b"), Entry(3, "assistant", "")])
    column.begin(3)
    column.feed("one", "")
    column.relay(2)
    column.replace(Entry(2, "user", "B"))
    column.remove(1)
    column.feed(" two", "")
    column.relay(1)
    assert [entry.text for entry in column.entries] == ["B", "one two"]
    assert " │ one two▍" in text_of(all_rows(column))
    column.remove(3)
    assert column.live_index is None
    column.clear()
    assert (len(column), column.rows.total, column.view(0, 2)) == (0, 0, [BLANK, BLANK])


def test_an_id_can_be_there_once() -> None:
    column = Column(60)
    column.extend([Entry(1, "user", "a")])
    with pytest.raises(ValueError, match="1"):
        column.extend([Entry(1, "user", "b")])


def test_everything_that_comes_in_is_cleaned() -> None:
    evil = "\x1b]52;c;eA==\x07x\u202e\x9b31m"
    column = Column(60)
    column.extend([Entry(1, "assistant", evil, evil, evil, name=evil)])
    column.begin(1)
    column.feed(evil, evil)
    entry = column.entry(0)
    assert (entry.text, entry.reasoning, entry.name) == (clean(evil) * 2, clean(evil) * 2, clean(evil))


def test_rows_that_were_not_looked_at_for_long_are_dropped_and_come_back() -> None:
    column = Column(40)
    text = "\n\n".join(["word"] * 400)
    column.extend(Entry(number, "assistant", text) for number in range(12))
    first = all_rows(column)
    kept = sum(1 for index in range(12) if column.is_cached(index))
    assert kept * 800 <= CACHED_ROWS + 800
    assert column.view(0, column.rows.total) == first


def test_ten_thousand_entries_are_taken_without_being_laid_out() -> None:
    column = Column(100)
    column.extend(Entry(number, "assistant", "word " * 100) for number in range(10_000))
    column.settle_end(40)
    assert sum(1 for index in range(10_000) if column.is_cached(index)) < 20


def test_an_answer_that_ends_while_nobody_looks_is_laid_out_anew_when_it_is_looked_at() -> None:
    column = Column(40)
    column.extend([Entry(1, "assistant", "")])
    column.begin(1)
    column.feed("one", "")
    column.relay(0)
    column.feed(" two", "")
    column.end("done", "a stamp", None)
    assert text_of(all_rows(column)) == " │ assistant\n │ one two\n ╰ a stamp\n"
