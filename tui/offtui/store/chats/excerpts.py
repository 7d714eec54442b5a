"""Words searched for: as FTS5 and LIKE want them, and where they stand in a text."""

import re

LENGTH = 160
"""Characters of an excerpt."""
_NO_SPACES = re.compile("[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
"""Scripts that write words without spaces between them; FTS5 takes a whole run of them for one word."""
_WORD = re.compile(r"\w")
_SIGN = re.compile(r"[^\w\0]")


def fts_query(query: str) -> str:
    """The words of ``query`` for FTS5: all of them, each perhaps only begun; ``""`` where it has none."""
    words = [word.replace('"', '""') for word in query.split() if _WORD.search(word) and not _NO_SPACES.search(word)]
    return " ".join(f'"{word}" *' for word in words)


def like_patterns(query: str) -> list[str]:
    """Patterns for what in ``query`` FTS5 has no words for: signs, and scripts without spaces. Escaped with ``\\``."""
    return ["%" + re.sub(r"([\\%_])", r"\\\1", word) + "%" for word in query.split() if _needs_like(word)]


def excerpt(content: str, query: str) -> str:
    """One line of ``content`` around the first of the words."""
    words = [word.casefold() for word in query.split()]
    folded = content.casefold()
    places = [place for word in words if (place := folded.find(word)) >= 0]
    place = min(min(places, default=0), len(content))
    start = max(0, place - LENGTH // 4)
    if start:
        start = content.find(" ", start, place) + 1 or start
    text = " ".join(content[start : start + LENGTH].split())
    return f"…{text}" if start else text


def _needs_like(word: str) -> bool:
    return _SIGN.search(word) is not None or _NO_SPACES.search(word) is not None
