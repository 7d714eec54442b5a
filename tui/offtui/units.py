"""Numbers as people read them. Bytes and seconds in, short text out; unknown is ``None`` and shown as ``–``."""

import math
import re

from offtui.errors import UsageError

KIB = 1024
MIB = 1024**2
GIB = 1024**3

UNKNOWN = "–"

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def mib(size: int | None) -> str:
    """``size`` bytes as MiB: ``"97.3 MiB"``; one decimal below 1000 MiB, none above."""
    if size is None:
        return UNKNOWN
    value = size / MIB
    return f"{value:.1f} MiB" if value < 1000 else f"{value:.0f} MiB"


def gib(size: int | None, digits: int = 1) -> str:
    """``size`` bytes as a bare number of GiB: ``"6.1"``."""
    return UNKNOWN if size is None else f"{size / GIB:.{digits}f}"


def size_text(size: int | None) -> str:
    """``size`` bytes in the unit that suits it: ``"512 B"``, ``"4.5 MiB"``, ``"13.2 GiB"``."""
    if size is None:
        return UNKNOWN
    if size < KIB:
        return f"{size} B"
    for unit, factor in (("KiB", KIB), ("MiB", MIB)):
        if size < 1000 * factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / GIB:.1f} GiB" if size < 1000 * GIB else f"{size / GIB / 1024:.1f} TiB"


def count_text(count: int | None) -> str:
    """A count of tokens, of downloads: ``"812"``, ``"2.1k"``, ``"131k"``, ``"1.2M"``."""
    if count is None:
        return UNKNOWN
    if count < 1000:
        return str(count)
    if count >= 999_500:
        return f"{count / 1e6:.1f}M"
    return f"{count / 1000:.1f}k" if count < 100_000 else f"{count / 1000:.0f}k"


def params_text(count: int | None) -> str:
    """A count of parameters: ``"596M"``, ``"8.2B"``, ``"235B"``."""
    if not count:
        return UNKNOWN
    for unit, factor in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= factor:
            value = count / factor
            return f"{value:.1f}{unit}" if value < 99.95 and unit == "B" else f"{value:.0f}{unit}"
    return str(count)


def rate_text(rate: float | None) -> str:
    """Tokens per second: ``"3.42"``, ``"31.4"``, ``"214"``."""
    if rate is None:
        return UNKNOWN
    if rate < 10:
        return f"{rate:.2f}"
    return f"{rate:.1f}" if rate < 100 else f"{rate:.0f}"


def joules_text(joules: float | None) -> str:
    """Energy: ``"0.42 J"``, ``"812 J"``, ``"4.1 kJ"``."""
    if joules is None:
        return UNKNOWN
    return f"{joules:.3g} J" if joules < 999.5 else f"{joules / 1000:.1f} kJ"


def seconds_text(seconds: float | None) -> str:
    """A duration: ``"85 ms"``, ``"1.4 s"``, ``"2 min 05 s"``, ``"3 h 07 min"``."""
    if seconds is None:
        return UNKNOWN
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"


def left_text(seconds: float | None) -> str:
    """How long something will still take, which nobody knows to a tenth: ``"11 s"``, ``"2 min 05 s"``."""
    if seconds is None:
        return UNKNOWN
    whole = max(math.ceil(seconds), 1)
    return f"{whole} s" if whole < 60 else seconds_text(whole)


def ago_text(seconds: float) -> str:
    """How long ago: ``"just now"``, ``"5 min ago"``, ``"3 days ago"``."""
    for unit, size in (("year", 365 * 86400), ("month", 30 * 86400), ("day", 86400), ("h", 3600), ("min", 60)):
        count = int(seconds // size)
        if count > 0:
            plural = "s" if count > 1 and unit in ("year", "month", "day") else ""
            return f"{count} {unit}{plural} ago"
    return "just now"


def parse_size(text: str) -> int:
    """Bytes of a size as people write it: ``"8GiB"``, ``"8G"``, ``"512 MiB"``, ``"1e9"`` is refused.

    Without ``i`` the units are binary too, as on graphics cards ("8 GB" has 8 GiB).

    Raises:
        UsageError: the text is not a size.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not a size; write for instance 8GiB or 512MiB.")
    number, unit, _ = match.groups()
    return int(float(number) * 1024 ** _POWER[unit.lower()])
