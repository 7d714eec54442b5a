"""Pasted text is text, whatever is in it.

Textual's parser takes an escape sequence within a paste for keys that were pressed. Most terminals send none there; a
multiplexer may, and then a text that was copied from somewhere could open the editor or send a question.
"""

import re
from collections.abc import Iterable
from typing import Final

from textual._xterm_parser import XTermParser  # pyright: ignore[reportPrivateUsage] -- the driver takes no other
from textual.drivers import linux_driver
from textual.message import Message

BEGIN: Final = "\x1b[200~"
END: Final = "\x1b[201~"
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""But line breaks and tabs."""


class PasteCleaner:
    """Takes control characters out of what stands between the marks of a paste, in whatever pieces it comes."""

    def __init__(self) -> None:
        self._is_inside = False
        self._held = ""
        """Of a paste: what may be the beginning of its end. Outside: what may be that of the next one, passed on."""

    def clean(self, data: str) -> str:
        """What has come, as it is to be read; what may be half of an end mark is kept until the next piece."""
        parts: list[str] = []
        while data:
            data = self._inside(data, parts) if self._is_inside else self._outside(data, parts)
        return "".join(parts)

    def _outside(self, data: str, parts: list[str]) -> str:
        known = len(self._held)
        seen = self._held + data
        place = seen.find(BEGIN)
        if place < 0:
            parts.append(data)
            self._held = _half(seen, BEGIN)
            return ""
        past = place + len(BEGIN)
        parts.append(seen[known:past])
        self._is_inside, self._held = True, ""
        return seen[past:]

    def _inside(self, data: str, parts: list[str]) -> str:
        seen = self._held + data
        place = seen.find(END)
        if place < 0:
            self._held = _half(seen, END)
            parts.append(_CONTROLS.sub("", seen[: len(seen) - len(self._held)]))
            return ""
        parts += [_CONTROLS.sub("", seen[:place]), END]
        self._is_inside, self._held = False, ""
        return seen[place + len(END) :]


class PasteParser(XTermParser):
    """Textual's, with clean pastes."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._cleaner = PasteCleaner()

    def feed(self, data: str) -> Iterable[Message]:
        """Messages of what the terminal sent; ``""``: it is gone."""
        clean = self._cleaner.clean(data)
        return super().feed(clean) if clean or not data else ()


def install() -> None:
    """Have Textual's driver read the terminal with it."""
    linux_driver.XTermParser = PasteParser  # pyright: ignore[reportPrivateImportUsage] -- it has no parameter for it


def _half(text: str, mark: str) -> str:
    """The end of ``text`` that may be the beginning of ``mark``."""
    most = min(len(text), len(mark) - 1)
    return next((text[-size:] for size in range(most, 0, -1) if mark.startswith(text[-size:])), "")
