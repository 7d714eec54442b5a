"""A link that stalls: nobody reads the terminal for ten seconds while an answer is written."""

import re
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.ui.terminal import Terminal

LAUNCH = str(Path(__file__).with_name("launch.py"))
PIECES, PAUSE, STALL = 700, 0.02, 10.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the size of a pty's buffer")


def test_neither_the_generation_nor_a_token_suffers(tmp_path: Path) -> None:
    log = tmp_path / "sent"
    arguments = ["--pieces", str(PIECES), "--pause", str(PAUSE), "--log", str(log)]
    with Terminal([LAUNCH, str(tmp_path / "modules"), "/m/model.gguf", *arguments], 120, 36) as terminal:
        terminal.shows("13/13 layers")
        terminal.type("hello\r")
        terminal.shows("word9 ")
        stalled = time.time()
        while time.time() < stalled + STALL:  # nobody reads: the pty fills, and the writer with it
            time.sleep(0.1)
        sent = [float(line) for line in log.read_text().split()]
        gaps = [after - before for before, after in pairwise(sent) if before > stalled]
        assert sent[-1] > stalled + STALL - 2, "the worker was held up with the terminal"
        assert len(gaps) > STALL / PAUSE / 4
        assert max(gaps) < 2.0
        terminal.shows(f"word{PIECES - 1}", 60)
        terminal.until(lambda: "first token" in terminal.text(), "the end of the answer", 60)
        seen: set[int] = set()
        for _ in range(60):
            seen |= {int(number) for number in re.findall(r"word(\d+)", terminal.text())}
            if 0 in seen:
                break
            terminal.key("\x1b[5~")
            terminal.until(lambda: terminal.read(0.3) == 0, "a page", 10)
        assert seen == set(range(PIECES)), "tokens were lost"
