"""A chat's title: the words its first question begins with."""

import re

from offtui.text import clean_line

LONGEST = 48
"""Characters of a title made here."""
UNTITLED = "Untitled chat"
_MARKS = re.compile(r"^[\s#>*+\-`|=_~]+")
_ENDS = " ,;:.!-–—("


def title_of(question: str) -> str:
    """The first line that says something, without marks of Markdown, cut at a word; ``""`` where there is none."""
    for raw in question.splitlines():
        line = " ".join(_MARKS.sub("", clean_line(raw, 400)).split())
        if any(character.isalnum() for character in line):
            return _cut(line)
    return ""


def _cut(line: str) -> str:
    if len(line) <= LONGEST:
        return line.rstrip(_ENDS)
    head = line[: LONGEST - 1]
    words = head.rpartition(" ")[0]
    return (words if len(words) >= LONGEST // 2 else head).rstrip(_ENDS) + "…"
