"""A README of the hub as plain text: no front matter, no HTML, no images, nothing that acts on a terminal. Pure."""

import html
import re

from offtui.text import clean

MAX_CHARACTERS = 200_000

# Each takes time in proportion to the text, whatever is in it: what repeats cannot match what it begins with.
_FRONT = re.compile(r"\A---[ \t]*\n.*?\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_BREAK = re.compile(r"<(?:br|/p|/div|/li|/tr|/h\d)\b[^<>]{0,400}>", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,2000}>")
_TARGET = r"\((?:[^()\n]++|\([^()\n]*+\))*+\)"
_IMAGE = re.compile(r"!\[[^\[\]\n]{0,500}\]" + _TARGET)
_LINK = re.compile(r"\[([^\[\]\n]{0,500})\]" + _TARGET)
_NO_CHARACTER = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9A-Fa-f]{7,});?")
"""Numbers that no character has; a long one is more than ``html`` can take."""
_FENCE = re.compile(r"[ ]{0,3}(`{3,}|~{3,})")
_SINGLE = re.compile(r"(?:[ ]{4}|\t)(?![ \t]*[-*+0-9])|[ ]{0,3}#|[^|\n]*\||[ ]{0,3}(?:[-=*_][ ]*){3,}$")
"""A line that nothing goes on with: indented code, a heading, a row of a table, a rule."""
_OWN_LINE = re.compile(r"[ \t]*(?:[-*+][ \t]|[0-9]{1,9}[.)][ \t]|#|>|(?:[-=*_][ ]*){3,}$)|[^|\n]*\|")
"""A line that goes on with nothing: besides those an entry of a list and a quotation."""
_HARD_BREAK = re.compile(r"(?:[ ]{2}|\\)$")
_BLANK = re.compile(r"\n[ \t]*(?:\n[ \t]*)+\n")


def readme_text(raw: str) -> str:
    """What a person reads of it."""
    text = clean(raw[:MAX_CHARACTERS].replace("\r\n", "\n"))
    text = _FRONT.sub("", text)
    text = _COMMENT.sub("", text)
    text = _BREAK.sub("  \n", text)
    text = _TAG.sub("", text)
    text = _LINK.sub(r"\1", _IMAGE.sub("", text))
    text = clean(html.unescape(_NO_CHARACTER.sub("", text)))
    return _BLANK.sub("\n\n", _joined(text)).strip()[:MAX_CHARACTERS]


def _joined(text: str) -> str:
    """Lines of one paragraph as one, as Markdown has it, so that they wrap where the screen ends.

    What is code, a table, a heading, a rule or ends with a hard break keeps its lines; what follows the mark of a list
    or of a quotation belongs to it.
    """
    rows: list[list[str]] = []
    fence = ""
    is_open = False  # whether the next line may go on with the last one
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if fence:
            rows.append([line])
            fence = "" if found is not None and _closes(found[1], fence, line) else fence
        elif found is not None:
            fence, is_open = found[1], False
            rows.append([line])
        elif is_open and line.strip() and not _OWN_LINE.match(line):
            rows[-1].append(_unbroken(line).strip())
            is_open = not _HARD_BREAK.search(line)
        else:
            rows.append([_unbroken(line)])
            is_open = bool(line.strip()) and not (_SINGLE.match(line) or _HARD_BREAK.search(line))
    return "\n".join(" ".join(parts) for parts in rows)


def _closes(mark: str, fence: str, line: str) -> bool:
    return mark[0] == fence[0] and len(mark) >= len(fence) and line.strip() == mark


def _unbroken(line: str) -> str:
    return (line.removesuffix("\\")).rstrip()
