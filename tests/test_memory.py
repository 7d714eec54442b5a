from pathlib import Path

import psutil
import pytest

from offtui.memory import LimitReader, MemoryLimit, machine_memory, memory_limit, ram
from tests.fakes import sysfs

GIB, MIB = 1024**3, 1024**2
UNLIMITED_V1 = 9223372036854771712


def test_version_two_in_a_container_of_its_own(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/",
        "sys/fs/cgroup/memory.max": 8 * GIB,
        "sys/fs/cgroup/memory.current": 5 * GIB,
        "sys/fs/cgroup/memory.stat": f"anon {2 * GIB}\ninactive_file {GIB}\nactive_file {GIB}\nshmem 0",
        "sys/fs/cgroup/memory.swap.max": GIB,
        "sys/fs/cgroup/memory.swap.current": GIB // 4,
    }
    # 5 GiB are in use, 2 of them as cached files that can be given back.
    assert memory_limit(sysfs.write(tmp_path, files)) == MemoryLimit(8 * GIB, 5 * GIB, GIB, GIB // 4)


def test_version_one_where_the_path_is_the_hosts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "12:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n0::/",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": 4 * GIB,
        "sys/fs/cgroup/memory/memory.usage_in_bytes": 3 * GIB,
        "sys/fs/cgroup/memory/memory.stat": f"inactive_file 1\ntotal_inactive_file {GIB}\ntotal_active_file {GIB // 2}",
        "sys/fs/cgroup/memory/memory.memsw.limit_in_bytes": 6 * GIB,
        "sys/fs/cgroup/memory/memory.memsw.usage_in_bytes": 4 * GIB,
    }
    limit = memory_limit(sysfs.write(tmp_path, files))
    assert limit == MemoryLimit(4 * GIB, 4 * GIB - (3 * GIB - 3 * GIB // 2), 2 * GIB, GIB)


@pytest.mark.parametrize("unlimited", ["max", str(UNLIMITED_V1)])
def test_a_group_without_a_limit_of_its_own_is_under_those_above(tmp_path: Path, unlimited: str) -> None:
    files = {
        "proc/self/cgroup": "0::/user.slice/session.scope",
        "sys/fs/cgroup/user.slice/session.scope/memory.max": unlimited,
        "sys/fs/cgroup/user.slice/session.scope/memory.current": GIB,
        "sys/fs/cgroup/user.slice/memory.max": 2 * GIB,
        "sys/fs/cgroup/user.slice/memory.current": 2 * GIB,
    }
    assert memory_limit(sysfs.write(tmp_path, files)) == MemoryLimit(2 * GIB, 0)


def test_the_group_that_leaves_least_decides(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/outer/inner",
        "sys/fs/cgroup/outer/inner/memory.max": 4 * GIB,
        "sys/fs/cgroup/outer/inner/memory.current": GIB,
        "sys/fs/cgroup/outer/memory.max": 16 * GIB,
        "sys/fs/cgroup/outer/memory.current": 15 * GIB,
    }
    assert memory_limit(sysfs.write(tmp_path, files)) == MemoryLimit(4 * GIB, GIB)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/self/cgroup": "garbage"},
        {"proc/self/cgroup": "0::/"},
        {"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "max", "sys/fs/cgroup/memory.current": 5},
        {"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "lots", "sys/fs/cgroup/memory.current": 5},
        {"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": 5},
        {"proc/self/cgroup": "0::/../../../etc", "sys/fs/cgroup/memory.max": "max"},
    ],
)
def test_no_limit(tmp_path: Path, files: dict[str, object]) -> None:
    assert memory_limit(sysfs.write(tmp_path, files)) is None


def test_a_container_has_no_more_than_its_limit(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/",
        "sys/fs/cgroup/memory.max": 2 * MIB,
        "sys/fs/cgroup/memory.current": MIB,
        "sys/fs/cgroup/memory.stat": "inactive_file 0",
    }
    assert ram(sysfs.write(tmp_path, files)) == (2 * MIB, MIB)


def test_without_a_limit_the_machine_is_the_limit(tmp_path: Path) -> None:
    total, available = ram(tmp_path)
    assert total == psutil.virtual_memory().total
    assert 0 < available <= total


def test_a_limit_is_read_again_each_time_and_one_that_is_new_is_found(tmp_path: Path) -> None:
    now = [0.0]
    files = {
        "proc/self/cgroup": "0::/outer",
        "sys/fs/cgroup/outer/memory.max": 4 * GIB,
        "sys/fs/cgroup/outer/memory.current": GIB,
        "sys/fs/cgroup/memory.max": "max",
        "sys/fs/cgroup/memory.current": GIB,
    }
    reader = LimitReader(sysfs.write(tmp_path, files), lambda: now[0])
    assert reader.read() == MemoryLimit(4 * GIB, 3 * GIB)
    sysfs.write(tmp_path, {"sys/fs/cgroup/outer/memory.current": 2 * GIB, "sys/fs/cgroup/memory.max": 3 * GIB})
    now[0] = 1.0
    assert reader.read() == MemoryLimit(4 * GIB, 2 * GIB), "what is used is that of now"
    now[0] = 60.0
    assert reader.read() == MemoryLimit(3 * GIB, 2 * GIB), "a group that got a limit since"


@pytest.mark.parametrize(
    "meminfo",
    [
        "",
        "MemTotal: 1 kB\n",
        "MemTotal:  1 kB\nMemAvailable:  5 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
        "MemTotal: lots",
    ],
)
def test_where_the_kernel_does_not_say_psutil_does(tmp_path: Path, meminfo: str) -> None:
    assert machine_memory(sysfs.write(tmp_path, {"proc/meminfo": meminfo}))[0] == psutil.virtual_memory().total


def test_the_machines_memory_is_that_of_meminfo(tmp_path: Path) -> None:
    memory = "MemTotal:       100 kB\nMemFree: 1 kB\nMemAvailable:    40 kB\n"
    swap = "SwapCached: 9 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB\n"
    found = machine_memory(sysfs.write(tmp_path, {"proc/meminfo": memory + swap}))
    assert found == (100 * 1024, 40 * 1024, 50 * 1024, 30 * 1024)
