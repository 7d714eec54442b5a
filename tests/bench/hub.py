"""Downloads beside curl from the same local server: seconds, and what the asking process takes of a core."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from offtui.hub.client import HubClient
from offtui.hub.wire import Fetch, Fetched, GetInfo, Info
from tests.bench.report import Figure

SIZE = 256 << 20
LIMIT = 64 << 20
"""Bytes per second of the limited runs: a network, and not a memory copy."""

_SERVER = """
import sys, time
from pathlib import Path
from tests.fakes.hub import FakeFile, FakeHub, FakeRepo
with FakeHub() as hub:
    file = FakeFile(path=Path(sys.argv[1]))
    hub.repos["o/r"] = FakeRepo({"m.gguf": file, "slow.gguf": FakeFile(path=Path(sys.argv[1]))})
    file.sha256, hub.repos["o/r"].files["slow.gguf"].sha256
    hub.fail("slow", "slow.gguf", rate=int(sys.argv[2]), times=1 << 30)
    print(hub.url, flush=True)
    sys.stdin.read()
"""


def run(runs: int) -> list[Figure]:
    """Interleaved; the first of each is dropped. Without curl there is nothing to compare with."""
    curl = shutil.which("curl")
    with tempfile.TemporaryDirectory(prefix="offtui-bench-") as folder:
        body = Path(folder) / "body.gguf"
        with body.open("wb") as file:
            for _ in range(SIZE >> 20):
                file.write(os.urandom(1 << 20))
        command = [sys.executable, "-c", _SERVER, str(body), str(LIMIT)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            os.environ["HF_ENDPOINT"] = url
            os.environ["HF_HOME"] = str(Path(folder) / "hf")
            try:
                return _measure(runs, curl, url, Path(folder))
            finally:
                server.kill()


def _measure(runs: int, curl: str | None, url: str, folder: Path) -> list[Figure]:
    figures: list[Figure] = []
    client = HubClient()
    try:
        info = client.call(GetInfo(id=client.next_id(), repo="o/r"))
        assert isinstance(info, Info), info
        for name, label in (("slow.gguf", f"limited to {LIMIT >> 20} MiB/s"), ("m.gguf", "unlimited")):
            ours = Figure(f"offtui, {label}", "s", [])
            theirs = Figure(f"curl, {label}", "s", [])
            over = Figure(f"overhead over curl, {label}", "%", [], "≤ 10 %")
            cpu = Figure(f"CPU of the asking process, {label}", "% of a core", [], "< 15 %")
            files = tuple(file for file in info.files if file.name == name)
            for index in range(runs + 1):
                target = folder / "to"
                shutil.rmtree(target, ignore_errors=True)
                spent = resource.getrusage(resource.RUSAGE_SELF)
                begun = time.monotonic()
                ask = Fetch(id=client.next_id(), repo="o/r", commit=info.commit, files=files, to=str(target))
                answer = client.call(ask)
                seconds = time.monotonic() - begun
                now = resource.getrusage(resource.RUSAGE_SELF)
                assert isinstance(answer, Fetched), answer
                used = now.ru_utime + now.ru_stime - spent.ru_utime - spent.ru_stime
                begun = time.monotonic()
                if curl:
                    path = f"{url}/o/r/resolve/{info.commit}/{name}"
                    subprocess.run([curl, "-sL", "-o", str(folder / "curl.gguf"), path], check=True)
                beside = time.monotonic() - begun
                if index:
                    ours.values.append(seconds)
                    cpu.values.append(100 * used / seconds)
                    if curl:
                        theirs.values.append(beside)
                        over.values.append(100 * (seconds / beside - 1))
            figures += [ours, theirs, over, cpu] if curl else [ours, cpu]
    finally:
        client.close()
    return figures
