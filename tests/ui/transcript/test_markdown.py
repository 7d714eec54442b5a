"""What Markdown becomes: the rows, their widths, and the same rows however the text arrives."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offtui.text import clean
from offtui.ui.transcript.code import GrowingCode, highlighted
from offtui.ui.transcript.grid import Line, line_cells
from offtui.ui.transcript.layout import markdown_lines
from offtui.ui.transcript.palette import LOOKS
from offtui.ui.transcript.stream import LiveMarkdown
from tests.ui.transcript.documents import chunked, documents

DEFINITION = re.compile(r"\]:")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


ODD_CODE = ["\n" * 19_000, "x" * 19_000, "0" * 19_000, "a b " * 4_500, "  \n" * 6_000, "-" * 19_000, "(" * 19_000]


def text_of(lines: list[Line]) -> str:
    return "\n".join("".join(run.text for run in line).rstrip() for line in lines)


def shown(text: str, width: int = 40) -> str:
    return text_of(markdown_lines(text, width))


def looks(text: str) -> dict[str, str]:
    return {run.text: run.look for line in markdown_lines(text, 60) for run in line}


@settings(max_examples=300, deadline=None)
@given(documents, st.integers(1, 130))
def test_no_row_is_wider_than_asked_and_none_can_act_on_the_terminal(document: str, width: int) -> None:
    for line in markdown_lines(clean(document), width):
        assert line_cells(line) <= width
        for run in line:
            assert not CONTROL.search(run.text)
            assert set(run.look.split()) <= LOOKS.keys()


@settings(max_examples=300, deadline=None)
@given(documents, st.lists(st.integers(0, 2000), max_size=12), st.integers(1, 90))
def test_an_answer_looks_the_same_streamed_as_at_once(document: str, cuts: list[int], width: int) -> None:
    document = DEFINITION.sub("]", clean(document))
    live = LiveMarkdown(width)
    sofar = ""
    for chunk in chunked(document, cuts):
        live.feed(chunk)
        sofar += chunk
        finished, tail = live.lines()
        assert [*finished, *tail] == markdown_lines(sofar, width)


FRAGMENTS = [
    "words and ", "more words", ". ", "1", "2. ", "- ", "* ", "**", "_", "`", "[", "](x)", "&am", "p; ", "\\", "(", ")",
    "!", "#", " #", "$", "~", "\n", "\n\n", "\n- a list of words ", "\n> a quote of words ", "\n```py\n", "\n```\n",
    "x = 1\n", "\n1. one thing that is long ", "---", "===", "|", "| a | b |\n|---|---|\n", "  ", "e\u0301", "宽",
    "\n    ", "    if x:\n",
]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40), st.integers(4, 60))
def test_words_that_come_one_by_one_stand_where_they_would_at_once(fragments: list[str], width: int) -> None:
    live = LiveMarkdown(width)
    sofar = ""
    for fragment in fragments:
        for part in (fragment[:1], fragment[1:]):
            live.feed(part)
            sofar += part
            finished, tail = live.lines()
            assert [*finished, *tail] == markdown_lines(sofar, width)


def test_a_link_whose_definition_comes_first_is_found_while_streaming() -> None:
    live = LiveMarkdown(60)
    for chunk in ("[docs]: http://exam", "ple.org\n\nfirst\n\n", "see [docs]\n\nlast"):
        live.feed(chunk)
        finished, tail = live.lines()
    assert "see docs (http://example.org)" in text_of([*finished, *tail])


def test_blocks_stand_apart_and_tight_lists_do_not() -> None:
    assert shown("# One\ntwo\n- a\n- b\n\n1. c\n\n2. d") == "One\n━━━\n\ntwo\n\n• a\n• b\n\n1. c\n\n2. d"


def test_lists_nest_with_their_own_marks_and_boxes() -> None:
    assert (
        shown("9. a\n10. b\n    - c\n      - [x] d\n      - [ ] e") == " 9. a\n10. b\n    ◦ c\n      ▪ ☑ d\n      ▪ ☐ e"
    )


def test_long_items_hang_under_their_text() -> None:
    assert shown("- one two three four", 11) == "• one two\n  three\n  four"


def test_quotes_carry_their_bar_on_every_row() -> None:
    assert shown("> one two three four more\n>> five", 22) == "▎ one two three four\n▎ more\n▎\n▎ ▎ five"


def test_short_source_lines_stay_lines_and_long_ones_flow() -> None:
    assert shown("Rose\nis a rose") == "Rose\nis a rose"
    long = "word " * 13 + "\nnext"
    assert "word next" in shown(long, 120)


def test_links_show_where_they_lead_once() -> None:
    assert shown("[bank](http://evil.example)") == "bank (http://evil.example)"
    assert shown("<http://a.example>") == "http://a.example"
    assert shown("![a cat](cat.png)") == "a cat (cat.png)"


@pytest.mark.parametrize(
    "text", ["\\(x_i * y_i\\)", "$x_i * y_i$", "$$a_b*c*$$", "\\[ x_1 \\]", "it costs $5 or $10*2"]
)
def test_mathematics_stays_as_it_was_written(text: str) -> None:
    assert shown(text) == text


def test_a_block_of_mathematics_keeps_its_lines() -> None:
    source = "$$\nx = y\n- z_1\n= 2\n$$"
    assert shown(source) == source
    assert shown("\\[\n- a_b_c\n\\]\n\nnext") == "\\[\n- a_b_c\n\\]\n\nnext"


def test_html_is_text() -> None:
    assert shown("<b onclick=x>hi</b> &lt;") == "<b onclick=x>hi</b> <"


def test_emphasis_and_code_have_looks() -> None:
    found = looks("**b** *i* ~~s~~ `c` [l](u) ***both***")
    assert found["b"] == "strong"
    assert found["i"] == "emphasis"
    assert found["s"] == "struck"
    assert found["c"] == "inline-code"
    assert found["l"] == "link"
    assert found["both"] == "emphasis strong"


def test_fenced_code_is_highlighted_folded_and_as_wide_as_the_text() -> None:
    lines = markdown_lines("```python\ndef f(): return 'a long string that is folded'\n```", 30)
    assert [line_cells(line) for line in lines] == [30, 30, 30]
    assert {run.text: run.look for line in lines for run in line}["def"] == "code code-keyword"
    assert text_of(lines).replace("\n ", " ").startswith(" python def f(): return 'a long")


def test_growing_code_has_the_colours_of_the_whole() -> None:
    source = "\n\n".join(
        f'def f{number}(x):\n    """Doc {number}."""\n    return x + {number}  # note' for number in range(60)
    )
    grow = GrowingCode()
    for end in range(0, len(source), 40):
        text = source[:end].rstrip("\n")
        assert grow(text, "python") == highlighted(text, "python")
    assert grow(source.replace("def", "class"), "python") == highlighted(source.replace("def", "class"), "python")
    assert grow(source, "nosuch") == highlighted(source, "nosuch")


def test_a_fence_left_open_is_code_and_unknown_languages_are_plain() -> None:
    assert shown("```nosuch\n<x>\n  y") == " nosuch\n <x>\n   y"


def test_tables_align_their_columns() -> None:
    table = "| a | n | c |\n|---|--:|:-:|\n| long cell | 1 | x |\n| b | 100 | yyy |"
    assert shown(table) == ("a         │   n │  c\n──────────┼─────┼────\nlong cell │   1 │  x\nb         │ 100 │ yyy")


def test_tables_fold_to_the_width_and_become_a_list_when_there_is_no_room() -> None:
    table = "| name | what it does |\n|---|---|\n| one | a rather long explanation of it |"
    folded = markdown_lines(table, 24)
    assert all(line_cells(line) <= 24 for line in folded)
    assert "explanation" in text_of(folded)
    wide = (
        "|"
        + "|".join(f" h{i} " for i in range(12))
        + "|\n"
        + "|-" * 12
        + "|\n"
        + "|"
        + "|".join("abc" * 4 for _ in range(12))
        + "|"
    )
    assert "h11: abcabcabcabc" in shown(wide, 20)


@pytest.mark.parametrize(
    "text",
    [
        ">" * 10_000 + " x",
        "\n".join(">" * (1 + i % 50) + " x" for i in range(10_000)),
        "- " * 10_000 + "x",
        "\n".join("  " * i + "- x" for i in range(400)),
        "a" * 1_000_000,
        "word " * 200_000,
        "宽" * 300_000,
        "a\n" * 100_000,
        "e" + "\u0301" * 300_000,
        "![" * 20_000,
        "[" * 20_000,
        ("![" * 300 + "\n\n") * 300,
        ("\\(" * 300 + "\n\n") * 300,
        "*a **b " * 10_000,
        "`" * 50_000,
        "```\n" * 20_000,
        "```python\n" + "x = 'y' + 1\n" * 20_000,
        "|a|b|\n|-|-|\n" + "|x|y|\n" * 10_000,
        "|" + "a|" * 2000 + "\n|" + "-|" * 2000 + "\n" + ("|" + "x|" * 2000 + "\n") * 5,
        "".join(f"[a{i}]: /u\n" for i in range(10_000)),
        "$$\n" * 20_000,
        "$a" * 60_000,
        "&#27;" * 20_000,
        "\u200d" * 200_000,
        *(
            f"```{language}\n{odd}\n```"
            for language in ("c", "make", "java", "hcl", "matlab", "console", "ocaml")
            for odd in ODD_CODE
        ),
    ],
    ids=lambda text: f"{text[:12]!r}x{len(text)}",
)
def test_no_text_takes_long_to_lay_out(text: str) -> None:
    markdown_lines("warm up", 80)
    before = time.process_time()
    lines = markdown_lines(clean(text), 80)
    assert time.process_time() - before < 5  # a hang, not a benchmark: machines are shared
    assert all(line_cells(line) <= 80 for line in lines)


def test_what_is_nested_too_deeply_is_shown_as_written() -> None:
    assert "x marks" in shown("> " * 200 + "x marks", 40).replace("\n", " ")
