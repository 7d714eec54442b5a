"""llama.cpp's log: every line kept for reading, the newest for explaining, all of it on stderr for the autopsy."""

import ctypes
import sys
from collections import deque
from typing import Any, Final

from offtui.worker import llama

_LEVEL_DEBUG: Final = 1
_LEVEL_ERROR: Final = 4
_LEVEL_CONTINUE: Final = 5


class LogRing:
    """The lines of llama.cpp's log, debug lines among them.

    Installing it replaces llama-cpp-python's own log callback. The object must live as long as the process.
    """

    def __init__(self, size: int = 20_000) -> None:
        self._lines: deque[str] = deque(maxlen=size)
        self._errors: deque[str] = deque(maxlen=50)
        self._partial = ""
        self._level = 0
        self._callback: Any = llama.api.llama_log_callback(self._take)

    def install(self) -> None:
        """Send llama.cpp's and ggml's log here."""
        llama.api.llama_log_set(self._callback, ctypes.c_void_p(0))

    @property
    def lines(self) -> list[str]:
        """All lines kept, oldest first."""
        return list(self._lines)

    @property
    def errors(self) -> list[str]:
        """The error lines kept, oldest first."""
        return list(self._errors)

    def clear(self) -> None:
        """Forget all lines: before a load, whose lines are then only its own."""
        self._lines.clear()
        self._errors.clear()

    def _take(self, level: int, raw: bytes | None, _user_data: object) -> None:
        if level != _LEVEL_CONTINUE:
            self._level = level
        text = self._partial + (raw or b"").decode("utf-8", "replace")
        *whole, self._partial = text.split("\n")
        for line in whole:
            self._lines.append(line)
            if self._level >= _LEVEL_ERROR:
                self._errors.append(line)
            if self._level > _LEVEL_DEBUG:
                print(line, file=sys.stderr, flush=True)
