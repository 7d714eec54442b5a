"""Text that came from outside: a model, a file name, a template, a log, an exception. Cleaned once, at the boundary.

What is removed can act on a terminal or lie about the order of characters: C0 but newline and tab, DEL, C1,
lone surrogates, bidirectional controls, and the invisible characters used to hide text.
"""

import re

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_INVISIBLE = "\u00ad\u2028\u2029\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
_UNSAFE = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{_BIDI}{_INVISIBLE}]")
_LINE_BREAKS = re.compile(r"[\n\t]+")


def clean(text: str) -> str:
    """``text`` without anything that acts on a terminal. Idempotent, and the same in any chunking."""
    return _UNSAFE.sub("", text)


def clean_line(text: str, limit: int = 2000) -> str:
    """``text`` cleaned, on one line, at most ``limit`` characters: for names, titles and messages."""
    line = _LINE_BREAKS.sub(" ", clean(text)).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"
