"""Markdown as models and attackers write it, for hypothesis."""
# ruff: noqa: E501

from itertools import pairwise

from hypothesis import strategies as st

PIECES = [
    "# Heading", "## *Em* heading `code`", "Title\n===", "Title\n---", "plain words and more words to fill a row of text",
    "- item", "  - nested", "    - deeper", "* star", "1. one", "10) ten", "   continued", "- [ ] todo", "- [x] done",
    "> quote", ">> deeper", "> - list in quote", "```python\ndef f(x):\n\treturn 'y'\n```", "```", "~~~\nopen", "    indented code",
    "| a | b |\n|---|:-:|\n| 1 | two words |", "| a | b |", "|---|", "|x|", "---", "***", "<b>html</b> <br> &amp; &#x1b; &#12;",
    "[link](http://example.org/a_b) and <http://auto.link>", "![alt](x.png)", "**bold *both* bold**", "~~gone~~", "`a``b`",
    "$$\nx_1 = y\n- z\n$$", "\\[ a_b \\]", "\\(x_i\\) costs $5 and $10", "$x_i*y*$", "宽字符测试，不会破坏网格。", "👩‍🚀👍🏽❤️🇪🇸", "e\u0301\u0302\u0303\u0304\u0305\u0306",
    "שלום عربى", "\u202eevil\u202c", "\x1b[31mred\x1b]52;c;eA==\x07", "a" * 130, "宽" * 70, "\u200b\u200b", "\t\ttabs", "back\\\nslash  \nhard",
    "|" * 30, "*" * 30, "[" * 30, "> " * 30 + "x", "- " * 30 + "x", "",
]  # fmt: skip

lines = st.one_of(st.sampled_from(PIECES), st.text(max_size=40))
documents = st.lists(st.tuples(lines, st.sampled_from(["\n", "\n\n", "\n", " "])), max_size=14).map(
    lambda parts: "".join(line + end for line, end in parts)
)


def chunked(text: str, cuts: list[int]) -> list[str]:
    """``text`` in pieces, cut at some places."""
    places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(places)]
