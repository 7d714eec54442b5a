"""A fake NVML: ``nvml.c`` compiled with the system's compiler, and a process in which the real pynvml loads it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any

SOURCE = Path(__file__).with_name("nvml.c")
LIBRARY = "libnvidia-ml.so.1"


def build(folder: Path, *flags: str) -> Path:
    """Compile the fake into ``folder``, to be put on ``LD_LIBRARY_PATH``."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    assert compiler is not None, "the tests need a C compiler"
    folder.mkdir(parents=True, exist_ok=True)
    command = [*compiler.split(), "-shared", "-fPIC", "-O1", *flags, "-o", str(folder / LIBRARY)]
    subprocess.run([*command, str(SOURCE)], check=True)
    return folder


class Child:
    """A process that reads GPUs through the real pynvml: ``python -m tests.fakes.nvml.child``."""

    def __init__(self, library: Path, orders: Path, mode: str) -> None:
        self._orders = orders
        self.obey()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.nvml.child", mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "LD_LIBRARY_PATH": str(library), "FAKE_NVML": str(orders)},
        )

    def __enter__(self) -> "Child":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.obey()
        self._pipe(self._process.stdin).close()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait()
            self._pipe(self._process.stdout).close()

    def ends(self, seconds: float = 5.0) -> int:
        """Close its input; the exit code. What the fake was told stays as it is."""
        self._pipe(self._process.stdin).close()
        return self._process.wait(seconds)

    def obey(self, *orders: str) -> None:
        """Give the fake other orders, at once and whole."""
        draft = self._orders.with_suffix(".new")
        draft.write_text("".join(f"{order}\n" for order in orders))
        draft.replace(self._orders)

    def ask(self, **question: object) -> Any:
        """Send one line of JSON and read one."""
        stdin = self._pipe(self._process.stdin)
        stdin.write(json.dumps(question) + "\n")
        stdin.flush()
        return self.line()

    def line(self) -> Any:
        """The next line of JSON that the process says."""
        line = self._pipe(self._process.stdout).readline()
        assert line, f"the child ended with {self._process.wait(10)}"
        return json.loads(line)

    def until(self, predicate: Callable[[Any], bool], seconds: float = 15.0) -> Any:
        """The first line to come that ``predicate`` is true of."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            line = self.line()
            if predicate(line):
                return line
        raise AssertionError(f"it did not come within {seconds} s; the last line was {line}")

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe
