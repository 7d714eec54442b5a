"""A disk that fills up in mid-write, for processes that are started while it is in the environment."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("disk.c")


class FakeDisk:
    """A folder of which no file gets longer than it is told; real processes get the system's own error."""

    def __init__(self, folder: Path, build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Compile it into ``build`` and have it loaded by every process that starts from now on."""
        compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        assert compiler is not None, "the tests need a C compiler"
        build.mkdir(parents=True, exist_ok=True)
        library, self._orders, self._folder = build / "disk.so", build / "orders", folder
        command = [*compiler.split(), "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True)
        monkeypatch.setenv("LD_PRELOAD", str(library))
        monkeypatch.setenv("FAKE_DISK", str(self._orders))

    def fill(self, limit: int) -> None:
        """There is room for files of ``limit`` bytes."""
        draft = self._orders.with_suffix(".new")
        draft.write_text(f"{self._folder}\n{limit}\n")
        draft.replace(self._orders)

    def make_room(self) -> None:
        """There is room for all."""
        self._orders.unlink(missing_ok=True)
