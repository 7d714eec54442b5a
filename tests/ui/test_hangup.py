"""A terminal that goes away without a signal: it controlled somebody else, or nobody."""

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ui.killing import LAUNCH
from tests.ui.terminal import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems tell of it in other ways")


@pytest.mark.parametrize(
    ("command", "status"),
    [(["-m", "offtui", "top"], -1), ([LAUNCH, "modules", "/m/model.gguf"], 129)],
    ids=["top", "the app"],
)
def test_it_ends_when_the_terminal_is_gone(tmp_path: Path, command: list[str], status: int) -> None:
    folders = {name: str(tmp_path / name) for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")}
    env = {**os.environ, **folders, "TERM": "xterm-256color", "PYTHONPATH": f"{ROOT / 'tui'}{os.pathsep}{ROOT}"}
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *command],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=env,
        cwd=tmp_path,
        start_new_session=True,
    )
    os.close(slave)
    try:
        drawn = b""
        while b"\x1b[?1049h" not in drawn or len(drawn) < 4000:
            assert select.select([master], [], [], 60)[0], drawn
            drawn += os.read(master, 65536)
        os.close(master)
        assert process.wait(30) == status
    finally:
        process.kill()
        process.wait()
