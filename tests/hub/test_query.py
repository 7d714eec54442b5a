import pytest

from offtui.errors import UsageError
from offtui.hub.query import Query, parse_params, parse_query
from offtui.hub.wire import Range
from offtui.units import GIB, MIB

B = 10**9


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", Query()),
        ("qwen3 8b", Query(words="qwen3 8b")),
        ("Author:ann licence:mit ARCH:llama chat", Query(words="chat", author="ann", license="mit", arch="llama")),
        ("size:<8GiB", Query(size=Range(0, 8 * GIB))),
        ("size:>=512MiB", Query(size=Range(512 * MIB, 0))),
        ("size:4..8GiB", Query(size=Range(4 * GIB, 8 * GIB))),
        ("size:512MB..4.5G", Query(size=Range(512 * MIB, 9 * GIB // 2))),
        ("size:..8gb", Query(size=Range(0, 8 * GIB))),
        ("size:3B..9B", Query(params=Range(3 * B, 9 * B))),
        ("params:3..9B", Query(params=Range(3 * B, 9 * B))),
        ("params:>30b", Query(params=Range(30 * B, 0))),
        ("params:500M..", Query(params=Range(500 * 10**6, 0))),
        ("size:<8GiB params:>3B", Query(size=Range(0, 8 * GIB), params=Range(3 * B, 0))),
        ("a:b http://x", Query(words="a:b http://x")),
    ],
)
def test_a_query_is_words_and_what_narrows_them(text: str, query: Query) -> None:
    assert parse_query(text.split()) == query


@pytest.mark.parametrize(("size", "within"), [(8_030_000_000, True), (7_300_000_000, True), (4 * B, False), (0, False)])
def test_one_number_stands_for_those_around_it(size: int, within: bool) -> None:
    assert parse_params("8B").holds(size) is within


@pytest.mark.parametrize(
    "text",
    ["size:", "size:big", "size:..", "size:8..4GiB", "size:4B..8GiB", "size:8XB", "params:8GiB", "size:<\x1b[2J",
     "size:1e9", "size:<8GiB<9GiB", "size:0GiB", "params:..0B", "size:" + "9" * 200],
)  # fmt: skip
def test_what_is_no_size_is_said(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_query([text])
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 200
