import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from offtui.hub.readme import MAX_CHARACTERS, readme_text

HOSTILE = (
    ("---", "\n"), ("---", "\n---"), ("---\n", " "), ("---\n", "\n--- "), ("---\n", "\n---x"), ("", "!["), ("", "["),
    ("", "[]("), ("", "[](("), ("", "![]("), ("", "[](()"), ("[](", "(a)"), ("", "]("), ("", "<!--"), ("", "<br"),
    ("", "<br "), ("", "<a"), ("", "</"), ("", "\n "), ("", "\n\t \t"), ("x\n", " "), ("", "&"), ("", "&#"),
    ("&#", "9"), ("&#x", "f"), ("", "&lt;"), ("", "*"), ("", "\x1b["),
    ("", "-"), ("", "- "), ("a\n", "-\n"), ("a\n", "|"), ("a\n", "a|\n"), ("", "~"), ("", "1"),
    ("x\n", "x\n"), ("```\n", "`"),
)  # fmt: skip
"""A beginning, and what repeats."""


@contextmanager
def seconds_of_processor(most: float) -> Iterator[None]:
    """Break off what computes for longer, however long that takes on a busy machine."""

    def over(*_: object) -> None:
        raise AssertionError(f"more than {most} s")

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, most)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize(("begin", "again"), HOSTILE)
def test_no_text_takes_long(begin: str, again: str) -> None:
    """Patterns that are tried anew at each place, or in each of many ways, take minutes for so long a text."""
    raw = (begin + again * (MAX_CHARACTERS // len(again)))[:MAX_CHARACTERS]
    with seconds_of_processor(5.0):
        assert len(readme_text(raw)) <= MAX_CHARACTERS
        readme_text(raw[:-20] + ")]>;---\n")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("---\nlicense: mit\n---\n# Title", "# Title"),
        ("---  \r\na: b\r\n--- \r\nText", "Text"),
        ("---\n---\nText", "---\n---\nText"),
        ("[a](http://e/x_(y)) b", "a b"),
        ("[![badge](http://e/b.png)](http://e) b", "b"),
        ("[x] [a](b)", "[x] a"),
        ("a&#" + "9" * 5000 + ";b &#x" + "f" * 5000 + "; &#65;&amp;", "ab  A&"),
        ("a<br/>b<br>c</p>d", "a\nb\nc\nd"),
        ("a\n \n\t\n\nb", "a\n\nb"),
        ("a paragraph\nof three\n lines\n\nand another", "a paragraph of three lines\n\nand another"),
        ("# Title\nText\nmore\n## Next", "# Title\nText more\n## Next"),
        ("Title\n=====\nText\nmore\n---\nlast", "Title\n=====\nText more\n---\nlast"),
        ("- one\n  goes on\n- two\n  * three\n1. four\n2) five", "- one goes on\n- two\n  * three\n1. four\n2) five"),
        ("a verse  \nanother\\\nlast\nof it", "a verse\nanother\nlast of it"),
        ("say\n```sh\na\nb\n```\nafter\nit", "say\n```sh\na\nb\n```\nafter it"),
        ("~~~~\na\n~~~\nb\n~~~~\nc\nd", "~~~~\na\n~~~\nb\n~~~~\nc d"),
        ("code:\n\n    a\n    b\n\nend", "code:\n\n    a\n    b\n\nend"),
        ("| a | b |\n|---|---|\n| 1 | 2 |\ntext", "| a | b |\n|---|---|\n| 1 | 2 |\ntext"),
        ("a | b | c\n--|---|--\n1 | 2 | 3", "a | b | c\n--|---|--\n1 | 2 | 3"),
        ("a | b\n--|--\n1 | 2", "a | b\n--|--\n1 | 2"),
        ("1. a\n    - b\n      c\n    - d", "1. a\n    - b c\n    - d"),
        ("> said\n> again\n\nx", "> said\n> again\n\nx"),
    ],
)
def test_what_is_read_of_it(raw: str, text: str) -> None:
    assert readme_text(raw) == text
