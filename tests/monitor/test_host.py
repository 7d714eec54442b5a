import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from offtui.monitor import host as host_module
from offtui.monitor.host import Flow, HostReader, ProcessReader
from offtui.monitor.processes import process_name
from tests.fakes import sysfs

MIB, GIB = 1024**2, 1024**3


def test_ram_is_what_the_kernel_says(tmp_path: Path) -> None:
    host = HostReader(tmp_path).read()
    meminfo = dict(re.findall(r"(\w+):\s+(\d+) kB", Path("/proc/meminfo").read_text()))
    assert host.ram_total == int(meminfo["MemTotal"]) * 1024
    assert host.ram_available == pytest.approx(int(meminfo["MemAvailable"]) * 1024, abs=GIB)
    assert host.ram_used == host.ram_total - (host.ram_available or 0)
    assert host.swap_total == int(meminfo["SwapTotal"]) * 1024
    assert host.ram_limited is False


def test_ram_agrees_with_psutil() -> None:
    host, ram = HostReader().read(), psutil.virtual_memory()
    assert host.ram_total is not None
    assert host.ram_total <= ram.total
    assert host.ram_available == pytest.approx(ram.available, abs=GIB)


@pytest.mark.skipif(shutil.which("free") is None or not Path("/proc/loadavg").exists(), reason="needs free and /proc")
def test_figures_are_those_of_free_and_proc_read_at_the_same_time() -> None:
    reader, near = HostReader(), 16 * MIB
    for _ in range(60):  # others use memory meanwhile: once nothing must have happened between
        before, host, after = _free_and_load(), reader.read(), _free_and_load()
        if host.ram_limited:
            pytest.skip("free knows nothing of the limit of a container")
        assert host.ram_total == before["total"]
        assert host.swap_total == before["swap"]
        low, high = sorted((before["used"], after["used"]))
        assert host.ram_used is not None
        assert host.load1 is not None
        is_as_said = low - near < host.ram_used < high + near and abs(host.load1 - before["load"]) < 0.011
        if high - low < near and is_as_said:
            return
    pytest.fail(f"in no try: {host}, {before}, {after}")


def _free_and_load() -> dict[str, float]:
    """Bytes by ``free``, and the load by ``/proc``."""
    environment = {**os.environ, "LC_ALL": "C"}
    said = subprocess.run(["free", "-b"], capture_output=True, text=True, check=True, env=environment).stdout
    memory, swap = (line.split()[1:] for line in said.splitlines()[1:3])
    used = int(memory[0]) - int(memory[5])
    load = float(Path("/proc/loadavg").read_text().split()[0])
    return {"total": int(memory[0]), "used": used, "swap": int(swap[0]), "load": load}


def test_a_containers_limit_is_the_ram(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/",
        "sys/fs/cgroup/memory.max": GIB // 2,
        "sys/fs/cgroup/memory.current": GIB // 8,
    }
    host = HostReader(sysfs.write(tmp_path, files)).read()
    assert host.ram_limited is True
    assert (host.ram_total, host.ram_used, host.ram_available) == (GIB // 2, GIB // 8, GIB * 3 // 8)


def test_a_limit_above_the_machines_ram_is_none(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/",
        "sys/fs/cgroup/memory.max": 2**59,
        "sys/fs/cgroup/memory.current": GIB,
    }
    host = HostReader(sysfs.write(tmp_path, files)).read()
    assert host.ram_limited is False
    assert host.ram_total == psutil.virtual_memory().total


class Times:
    """Stands for ``psutil.cpu_times``: two cores whose seconds a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cores: list[dict[str, float]] = []
        monkeypatch.setattr(psutil, "cpu_times", lambda percpu: [self._core(core) for core in self.cores])

    @staticmethod
    def _core(seconds: dict[str, float]) -> object:
        class Core:
            def _asdict(self) -> dict[str, float]:
                return seconds

        return Core()


def test_the_cpus_share_is_that_of_the_time_between_two_reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    times, reader = Times(monkeypatch), HostReader(tmp_path)
    times.cores = [{"user": 10, "system": 5, "idle": 85}, {"user": 0, "system": 0, "idle": 100}]
    first = reader.read()
    assert (first.cpu, first.per_core) == (None, ())
    times.cores = [{"user": 10.5, "system": 5.25, "idle": 85.25}, {"user": 0, "system": 0, "idle": 101}]
    second = reader.read()
    assert second.per_core == (0.75, 0.0)
    assert second.cpu == 0.375
    assert reader.read().per_core == (0.75, 0.0), "no time has passed: the share of before stands"


def test_waiting_for_disks_is_idle_and_guests_are_not_counted_twice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    times, reader = Times(monkeypatch), HostReader(tmp_path)
    times.cores = [{"user": 0, "guest": 0, "idle": 0, "iowait": 0}]
    reader.read()
    times.cores = [{"user": 1, "guest": 1, "idle": 1, "iowait": 2}]
    assert reader.read().per_core == (0.25,)


def test_cores_that_come_and_go_begin_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    times, reader = Times(monkeypatch), HostReader(tmp_path)
    times.cores = [{"user": 0, "idle": 0}]
    reader.read()
    times.cores = [{"user": 1, "idle": 1}, {"user": 1, "idle": 1}]
    assert reader.read().cpu is None
    times.cores = [{"user": 2, "idle": 1}, {"user": 1, "idle": 2}]
    assert reader.read().per_core == (1.0, 0.0)


def test_this_process_is_as_large_as_the_kernel_says() -> None:
    sample = ProcessReader().read(os.getpid())
    assert sample is not None
    resident = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert resident is not None
    assert sample.rss == pytest.approx(int(resident[1]) * 1024, abs=16 * 1024**2)
    assert sample.cpu is None, "there is no time before the first look"


def test_a_process_that_works_uses_a_core() -> None:
    now = 100.0
    reader = ProcessReader(clock=lambda: now)
    reader.read(os.getpid())
    before = sum(os.times()[:2])
    deadline = time.monotonic() + 10
    while sum(os.times()[:2]) - before < 0.2 and time.monotonic() < deadline:
        sum(range(10_000))
    now += 0.4
    sample = reader.read(os.getpid())
    assert sample is not None
    assert sample.cpu == pytest.approx(0.5, abs=0.2)


def test_a_process_that_ended_is_none_and_the_next_begins_anew() -> None:
    reader = ProcessReader()
    assert reader.read(None) is None
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        first = reader.read(child.pid)
        assert first is not None
        assert first.pid == child.pid
    finally:
        child.communicate(b"\n")
    assert reader.read(child.pid) is None
    own = reader.read(os.getpid())
    assert own is not None
    assert own.cpu is None


def test_a_process_that_ended_and_is_not_reaped_is_none() -> None:
    reader = ProcessReader()
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert reader.read(child.pid) is None
    finally:
        child.wait()


def test_names_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "readlink", lambda path: "pid:[4026531836]")
    assert process_name(os.getpid()) == psutil.Process().name()
    assert process_name(4194303) == ""
    assert process_name(2**40) == ""


def test_numbers_of_another_namespace_have_no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "readlink", lambda path: "pid:[4026532589]")
    assert process_name(os.getpid()) == ""


def test_flows_are_rates_and_a_counter_that_begins_anew_is_unknown() -> None:
    now, counts = [0.0], [(0, 0)]
    flow = Flow(lambda: counts[0], lambda: now[0])
    assert flow.read() == (None, None)
    now[0], counts[0] = 2.0, (4096, 100)
    assert flow.read() == (2048.0, 50.0)
    now[0], counts[0] = 3.0, (10, 200)
    assert flow.read() == (None, 100.0)
    now[0], counts[0] = 4.0, (20, 200)
    assert flow.read() == (10.0, 0.0)
    now[0] = 4.0
    assert flow.read() == (10.0, 0.0), "no time has passed"


def test_flows_that_the_system_hides_are_unknown() -> None:
    counts: list[tuple[int, int] | None] = [None]
    flow = Flow(lambda: counts[0], lambda: 0.0)
    assert flow.read() == (None, None)


def test_cores_whose_clocks_go_backwards_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = HostReader()
    times = [(1.0, 10.0), (2.0, 12.0), (0.5, 5.0), (1.5, 7.0)]
    monkeypatch.setattr(host_module, "_busy_and_total", lambda _: times[0])
    monkeypatch.setattr(host_module.psutil, "cpu_times", lambda percpu: [None])
    shares = []
    while times:
        shares.append(reader.read().per_core)
        times.pop(0)
    assert shares == [(), (0.5,), (), (0.5,)]


def test_the_worker_tells_its_files_and_what_it_reads(tmp_path: Path) -> None:
    sample = ProcessReader().read(os.getpid())
    assert sample is not None
    assert sample.shared is not None
    assert sample.rss is not None
    assert 0 < sample.shared < sample.rss
