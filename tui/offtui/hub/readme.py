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
_BLANK = re.compile(r"\n[ \t]*(?:\n[ \t]*)+\n")


def readme_text(raw: str) -> str:
    """What a person reads of it."""
    text = clean(raw[:MAX_CHARACTERS].replace("\r\n", "\n"))
    text = _FRONT.sub("", text)
    text = _COMMENT.sub("", text)
    text = _BREAK.sub("\n", text)
    text = _TAG.sub("", text)
    text = _LINK.sub(r"\1", _IMAGE.sub("", text))
    text = clean(html.unescape(_NO_CHARACTER.sub("", text)))
    return _BLANK.sub("\n\n", text).strip()[:MAX_CHARACTERS]
