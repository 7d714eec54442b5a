"""The deadline of a prober that prints line by line."""

import sys
from pathlib import Path

import pytest

from offtui.engine import prober

SLOW = "import sys, time\nfor i in range(6):\n    time.sleep(0.4)\n    print(i, flush=True)\n"


@pytest.fixture
def slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A prober that takes longer for all its lines together than for any."""
    (tmp_path / "slow.py").write_text(SLOW)
    monkeypatch.setattr(prober, "_PYTHON", (sys.executable,))
    return [str(tmp_path / "slow.py")]


def test_each_line_has_its_own_time(slow: list[str]) -> None:
    assert prober._run(slow, b"", 2.0, each=True) == ([b"0", b"1", b"2", b"3", b"4", b"5"], 0)


def test_without_that_all_lines_share_one(slow: list[str]) -> None:
    lines, end = prober._run(slow, b"", 2.0)
    assert end is None
    assert lines == [b"0", b"1", b"2", b"3", b"4", b"5"][: len(lines)]
    assert len(lines) < 6
