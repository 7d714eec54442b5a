"""Generated answers through the real widget in a real pty: ``fuzzing.py REPORT COUNT SEED``.

Each document is streamed in random pieces, with a look at the screen in between, and then shown at once; the two final
screens must be the same, cell for cell and colour for colour. What arrived at the terminal is looked through by
``stray``: nothing but what Textual itself writes to move, colour and switch modes.
"""

import json
import os
import pty
import random
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from textual.app import App, ComposeResult
from textual.strip import Strip

from offtui.ui.transcript import Entry, Transcript
from tests.ui.transcript.documents import PIECES

COLUMNS, ROWS = 100, 40
_TEXT = "the layers of a model on the card, **and** `n_ctx` [tokens](u) *go* x_1 | a | - > # 1. $y$ \\(z\\) ``` ~~s~~"
_WORDS = _TEXT.split()
_ODD = [
    "\x00", "\x1b[2J", "\x1b]52;c;eA==\x07", "\x1b]0;t\x1b\\", "\x1bP+q\x1b\\", "\x9b31m", "\x9d52;c;eA==\x9c", "\x85",
    "\x07", "\x08\x08", "\r", "\x7f", "\u202e", "\u2066", "\u200b" * 50, "\u200d", "\ufeff", "\u2028", "\udc9b",
    "\ud83d", "\U000e0041", "e" + "\u0301" * 40, "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇪🇸", "宽", "한글", "ﷺ",
    "שלום", "مرحبا", "\u0e33", "\u1160", "｡", "\t", "&#x1b;", "&#27;[2J",
]  # fmt: skip
_ENDS = ["\n", "\n", "\n\n", " ", ""]

_TEXTUALS = re.compile(
    rb"\x1b\[[0-9;:?<>=$ ]*[A-Za-z@`{|}~]"  # CSI: colours, places, modes
    rb"|\x1b\]22;[a-z-]*\x07"  # the mouse pointer's shape
    rb"|[\r\n]"
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def document(dice: random.Random) -> str:
    """Markdown as models and attackers write it."""
    parts: list[str] = []
    for _ in range(dice.randrange(1, 14)):
        kind = dice.random()
        if kind < 0.55:
            parts.append(dice.choice(PIECES))
        elif kind < 0.85:
            parts.append(" ".join(dice.choices(_WORDS, k=dice.randrange(1, 30))))
        else:
            parts.append(dice.choice(_ODD) + dice.choice(_WORDS))
        if dice.random() < 0.2:
            parts.append(dice.choice(_ODD))
        parts.append(dice.choice(_ENDS))
    text = "".join(parts)
    if dice.random() < 0.3:  # cut off, as by the limit of tokens
        text = text[: dice.randrange(len(text) + 1)]
    return text


def pieces(text: str, dice: random.Random) -> list[str]:
    """``text`` cut at random places."""
    found: list[str] = []
    while text:
        size = dice.choice((1, 2, 4, 8, 40, 200))
        found.append(text[:size])
        text = text[size:]
    return found


class Fuzz(App[None]):
    """Shows documents, compares, writes a report, ends."""

    ENABLE_COMMAND_PALETTE = False

    def __init__(self, report: Path, count: int, seed: int) -> None:
        super().__init__()
        self._report, self._count, self._seed = report, count, seed
        self.differing: list[str] = []

    def compose(self) -> ComposeResult:
        yield Transcript()

    def on_mount(self) -> None:
        self.run_worker(self._go(), exit_on_error=True)

    async def _go(self) -> None:
        import asyncio

        await asyncio.sleep(0.1)
        for number in range(self._count):
            dice = random.Random(self._seed * 1_000_000 + number)
            text, thought = document(dice), document(dice) if dice.random() < 0.2 else ""
            await self._streamed(text, thought, dice)
            streamed = self._screen()
            transcript = self.query_one(Transcript)
            transcript.clear()
            transcript.append(Entry(1, "assistant", text, thought, "stamp", name="model"))
            if self._screen() != streamed:
                self.differing.append(text)
            transcript.clear()
            await asyncio.sleep(0.02 if number % 10 == 0 else 0)
        self._report.write_text(json.dumps({"documents": self._count, "differing": self.differing}))
        self.exit()

    async def _streamed(self, text: str, thought: str, dice: random.Random) -> None:
        import asyncio

        transcript = self.query_one(Transcript)
        transcript.begin(1, name="model")
        for piece in pieces(thought, dice):
            transcript.feed(reasoning=piece)
        for piece in pieces(text, dice):
            transcript.feed(piece)
            if dice.random() < 0.3:
                transcript.flush()
                self._screen()
                await asyncio.sleep(0)
        transcript.end("done", "stamp")

    def _screen(self) -> list[Strip]:
        transcript = self.query_one(Transcript)
        strips = [transcript.render_line(y) for y in range(transcript.size.height)]
        for strip in strips:
            assert not _CONTROL.search(strip.text), repr(strip.text)
            assert strip.cell_length == transcript.scrollable_content_region.width
        return strips


@dataclass(frozen=True)
class Result:
    """Of one run."""

    documents: int
    differing: list[str]
    """Documents whose final screen depended on the pieces they came in."""
    stray: list[bytes]
    """Control bytes that are none of Textual's."""
    written: int
    """Bytes that arrived at the terminal."""


def stray(data: bytes) -> list[bytes]:
    """Control characters in ``data`` that belong to nothing Textual writes."""
    rest = _TEXTUALS.sub(b"", data).decode("utf-8", "replace")
    return [match.group().encode() for match in _CONTROL.finditer(rest)]


def run(count: int, seed: int) -> Result:
    """Show ``count`` documents in a pty."""
    import fcntl
    import struct
    import termios

    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        pid, master = pty.fork()
        if pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.execv(sys.executable, [sys.executable, "-m", __name__, str(report), str(count), str(seed)])
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        data = bytearray()
        while True:
            try:
                chunk = os.read(master, 1 << 16)
            except OSError:
                break
            if not chunk:
                break
            data += chunk
        os.waitpid(pid, 0)
        os.close(master)
        if not report.exists():
            raise AssertionError(f"the run ended early:\n{bytes(data[-3000:]).decode(errors='replace')}")
        found = json.loads(report.read_text())
    return Result(found["documents"], found["differing"], stray(bytes(data)), len(data))


if __name__ == "__main__":
    Fuzz(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])).run()
