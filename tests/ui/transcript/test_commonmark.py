"""Every example of the CommonMark spec is drawn, and says what the spec's own HTML says."""

import html
import json
import re
from functools import cache
from pathlib import Path

import pytest

from offtui.text import clean
from offtui.ui.transcript.grid import line_cells, settle
from offtui.ui.transcript.layout import markdown_lines
from offtui.ui.transcript.stream import LiveMarkdown

SPEC = Path(__file__).parents[2] / "data" / "commonmark_spec.json"
_TAG = re.compile(r"<[^>]*>")
_SPACE = re.compile(r"\s+")
_OURS = {
    "HTML blocks", "Raw HTML",  # HTML is text here
}  # fmt: skip


@cache
def examples() -> list[dict[str, str]]:
    return json.loads(SPEC.read_text(encoding="utf-8"))


def drawn(markdown: str, width: int) -> str:
    return "\n".join("".join(run.text for run in line) for line in markdown_lines(clean(markdown), width))


def is_in_order(wanted: str, text: str) -> bool:
    rest = iter(text)
    return all(character in rest for character in wanted)


def test_the_spec_is_whole() -> None:
    assert [example["example"] for example in examples()] == list(range(1, 653))


@pytest.mark.parametrize("width", [1, 7, 40, 100])
def test_each_example_is_drawn_within_the_width(width: int) -> None:
    for example in examples():
        assert all(line_cells(line) <= width for line in markdown_lines(clean(example["markdown"]), width))


def test_each_example_says_what_the_specs_html_says() -> None:
    silent: list[str] = []
    for example in examples():
        if example["section"] in _OURS or _has_raw_html(example):
            continue
        wanted = _SPACE.sub("", settle(clean(html.unescape(_TAG.sub("", example["html"])))))
        if not is_in_order(wanted, _SPACE.sub("", drawn(example["markdown"], 100))):
            silent.append(f"{example['example']} {example['section']}: {example['markdown']!r}")
    assert silent == []


def _has_raw_html(example: dict[str, str]) -> bool:
    """Whether a tag of the source is one of the HTML too: it is no text there, and is here."""
    return any(tag in example["html"] for tag in _TAG.findall(example["markdown"]))


def test_each_example_streamed_character_by_character_looks_as_at_once() -> None:
    for example in examples():
        text = clean(example["markdown"])
        if "]:" in text:
            continue  # a link whose definition comes later is found when the answer has ended
        live = LiveMarkdown(60)
        for character in text:
            live.feed(character)
            finished, tail = live.lines()
        assert [*finished, *tail] == markdown_lines(text, 60), example
