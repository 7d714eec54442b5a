import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from offtui.hub.names import Offer
from offtui.hub.wire import SPARE, Failed, Fetch, HubFailure, Progress, RemoteFile
from offtui.models import downloads
from offtui.models.downloads import Downloads, Job, job_of
from offtui.models.meter import Meter
from offtui.store.catalogue import Catalogue
from offtui.units import size_text
from tests.fakes.disk import FakeDisk
from tests.fakes.hub import COMMIT, FakeFile, FakeHub, FakeRepo

MIB = 1 << 20
BODY = b"GGUF" + random.Random(1).randbytes(2 * MIB)


class Watcher:
    """Downloads, and what they tell."""

    def __init__(self) -> None:
        self.jobs: tuple[Job, ...] = ()
        self.news = threading.Condition()
        self.downloads = Downloads(self.hear)

    def hear(self, jobs: tuple[Job, ...]) -> None:
        with self.news:
            self.jobs = jobs
            self.news.notify_all()

    def until(self, predicate: Callable[[tuple[Job, ...]], bool], seconds: float = 60.0) -> tuple[Job, ...]:
        deadline = time.monotonic() + seconds
        with self.news:
            while not predicate(self.jobs):
                if not self.news.wait(max(deadline - time.monotonic(), 0)):
                    raise AssertionError(f"never: {self.jobs}")
            return self.jobs


@pytest.fixture
def hub(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    with FakeHub() as fake:
        monkeypatch.setenv("HF_ENDPOINT", fake.url)
        fake.repos["o/r"] = FakeRepo({f"m{n}.gguf": FakeFile(BODY + bytes([n])) for n in range(3)})
        yield fake


@pytest.fixture
def watcher(hub: FakeHub) -> Iterator[Watcher]:
    made = Watcher()
    yield made
    made.downloads.close()


def job(hub: FakeHub, name: str) -> Job:
    file = hub.repos["o/r"].files[name]
    remote = RemoteFile(name=name, bytes=file.size, sha256=file.sha256)
    return job_of("o/r", COMMIT, Offer(name, "", "model", (remote,)))


def states(jobs: tuple[Job, ...]) -> list[str]:
    return [job.state for job in jobs]


def test_several_come_one_after_another_and_their_hashes_are_recorded(hub: FakeHub, watcher: Watcher) -> None:
    for n in range(3):
        watcher.downloads.add(job(hub, f"m{n}.gguf"))
        watcher.downloads.add(job(hub, f"m{n}.gguf"))
    done = watcher.until(lambda jobs: states(jobs) == ["done"] * 3)
    catalogue = Catalogue()
    for one in done:
        assert Path(one.paths[0]).stat().st_size == one.total
        recorded = catalogue.hash(one.paths[0])
        assert recorded is not None
        assert recorded.sha256 == one.files[0].sha256
    assert catalogue.downloads() == {}
    catalogue.close()


def test_holding_keeps_what_came_and_giving_up_deletes_it(hub: FakeHub, watcher: Watcher, home: Path) -> None:
    hub.fail("slow", "m0", rate=MIB // 2, times=1)
    one = job(hub, "m0.gguf")
    watcher.downloads.add(one)
    watcher.until(lambda jobs: bool(jobs) and jobs[0].done > 100_000)
    watcher.downloads.pause(one.id)
    watcher.until(lambda jobs: states(jobs) == ["paused"])
    parts = list((home / "hf").rglob("*.incomplete"))
    assert parts
    watcher.downloads.cancel(one.id)
    watcher.until(lambda jobs: jobs == ())
    deadline = time.monotonic() + 30
    while list((home / "hf").rglob("*.incomplete")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_process_that_is_killed_is_started_anew_and_goes_on(hub: FakeHub, watcher: Watcher) -> None:
    hub.fail("slow", "m0", rate=MIB, times=1)
    watcher.downloads.add(job(hub, "m0.gguf"))
    watcher.until(lambda jobs: bool(jobs) and jobs[0].done > 100_000)
    pid = watcher.downloads._client.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    watcher.until(lambda jobs: states(jobs) == ["done"])
    assert hub.sent["m0.gguf"] < len(BODY) + 2 * MIB


def test_what_cannot_be_had_fails_and_the_next_comes(hub: FakeHub, watcher: Watcher) -> None:
    hub.fail("status", "m0", status=404, times=5)
    for n in range(2):
        watcher.downloads.add(job(hub, f"m{n}.gguf"))
    first, _ = watcher.until(lambda jobs: states(jobs) == ["failed", "done"])
    assert "is not there" in first.why
    hub.faults.clear()
    watcher.downloads.resume(first.id)
    watcher.until(lambda jobs: states(jobs) == ["done", "done"])


def test_what_was_not_done_is_there_after_a_restart(hub: FakeHub, watcher: Watcher) -> None:
    hub.fail("slow", "m0", rate=MIB // 4, times=1)
    watcher.downloads.add(job(hub, "m0.gguf"))
    watcher.until(lambda jobs: bool(jobs) and jobs[0].done > 100_000)
    watcher.downloads.close()
    again = Watcher()
    (one,) = again.until(lambda jobs: states(jobs) == ["paused"])
    again.downloads.resume(one.id)
    again.until(lambda jobs: states(jobs) == ["done"])
    again.downloads.close()
    assert hub.sent["m0.gguf"] < len(BODY) + 2 * MIB


def test_without_a_network_the_tries_become_rare_until_a_byte_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a hub's process that answers as it is told, and a clock that only moves when told."""
    now = [0.0]
    monkeypatch.setattr(downloads, "time", SimpleNamespace(monotonic=lambda: now[0], time=lambda: 1000.0 + now[0]))
    asked: list[int] = []

    class Hub:
        def next_id(self) -> int:
            return len(asked) + 1

        def ask(self, request: Fetch, _: object) -> None:
            asked.append(request.id)

        def stop(self, id: int, *, keep: bool) -> None: ...

    pauses: list[float] = []
    work = downloads._Work(Hub(), lambda _: None, lambda _: None)  # type: ignore[arg-type]
    remote = RemoteFile(name="m.gguf", bytes=1000, sha256="0" * 64)
    one = job_of("o/r", COMMIT, Offer("m.gguf", "", "model", (remote,)))

    def try_in_vain(*progress: Progress) -> None:
        for news in progress:
            work.hear(one.id, news)
        work.hear(one.id, Failed(id=asked[-1], failure=HubFailure("no_network", "Gone.")))
        assert work.pause_seconds is not None
        pauses.append(work.pause_seconds)
        now[0] += work.pause_seconds
        work.wake()

    work.add(one)
    for _ in range(6):
        try_in_vain(Progress(id=asked[-1], done=500, total=1000, resumed=500))
    assert pauses == [30, 60, 120, 240, 480, 480]
    try_in_vain(Progress(id=asked[-1], done=501, total=1000, resumed=500))
    try_in_vain()
    assert pauses[6:] == [30, 60]
    work.cancel(one.id)
    work.add(one)  # again: from the beginning
    try_in_vain()
    assert pauses[8:] == [30]
    work.hear(one.id, Failed(id=asked[-1], failure=HubFailure("rate_limited", "Slow.", retry_after=5000)))
    assert work.pause_seconds == 5000, "what the hub asks for counts"
    assert work._jobs[one.id].again == 1000 + now[0] + 5000
    work.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the disk is faked below the C library of Linux")
def test_a_disk_that_is_full_in_mid_download_holds_it_until_there_is_room(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, limit = tmp_path / "small", MIB + 12_345
    disk = FakeDisk(folder, tmp_path / "build", monkeypatch)
    disk.fill(limit)
    watcher = Watcher()
    wanted = msgspec.structs.replace(job(hub, "m0.gguf"), to=str(folder))
    watcher.downloads.add(wanted)
    (held,) = watcher.until(lambda jobs: states(jobs) == ["paused"])
    missing = size_text(wanted.total - limit + SPARE)
    assert held.why == f"The disk is full: {missing} more are needed for this download."
    (part,) = folder.glob(".m0.gguf.*.incomplete")
    assert part.stat().st_size == limit, "to the last byte that there was room for"
    assert not (folder / "m0.gguf").exists()

    assert held.done == limit
    watcher.downloads.resume(wanted.id)  # nothing has changed
    watcher.until(lambda jobs: states(jobs) == ["paused"] and f"lacks {missing}" in jobs[0].why)
    disk.make_room()
    watcher.downloads.resume(wanted.id)
    watcher.until(lambda jobs: states(jobs) == ["done"])
    watcher.downloads.close()
    assert (folder / "m0.gguf").read_bytes() == BODY + b"\0"
    asked = [headers["Range"] for _, path, headers in hub.seen if "/cdn/" in path]
    assert asked[-1].startswith(f"bytes={limit}-"), "it went on where it ended"


def test_the_meter_forgets_pauses() -> None:
    now = [0.0]
    meter = Meter(lambda: now[0])
    assert meter.speed is None
    for second in range(20):
        now[0] = float(second)
        meter.note(second * 100)
    assert meter.speed == 100
    assert meter.left(500) == 5
    meter.restart()
    assert meter.left(500) is None
