"""``offtui device`` as a user runs it: a process of its own, real servers, real clients."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from offtui.cli.device import QUICK_DEATH_SECONDS
from offtui.worker import rpc
from tests.fakes.device import RunningDevice, free_ports, wait_until_gone


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "offtui", "device", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_each_slot_serves_one_client_at_its_own_port() -> None:
    with RunningDevice(slots=2) as device:
        assert rpc.check(device.endpoint) is None
        assert rpc.check(device.second_endpoint) is None
        assert sum("Serving CPU" in line for line in device.lines) == 2
        assert any(f"--rpc {device.endpoint}" in line for line in device.lines)


def test_loopback_needs_no_warning() -> None:
    with RunningDevice() as device:
        assert not any("authentication" in line for line in device.lines)


def test_an_address_others_can_reach_is_warned_of() -> None:
    with RunningDevice(1, "--host", "0.0.0.0") as device:
        assert any("no authentication" in line for line in device.lines)


def test_its_servers_end_with_it() -> None:
    with RunningDevice(slots=2) as device:
        servers = device.server_pids()
        assert len(servers) == 2
    assert all(wait_until_gone(pid) for pid in servers)
    assert device.process.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_its_servers_end_even_when_it_is_killed() -> None:
    with RunningDevice(slots=2) as device:
        servers = device.server_pids()
        device.process.kill()
        assert all(wait_until_gone(pid) for pid in servers)


def test_a_server_that_dies_is_started_again() -> None:
    with RunningDevice() as device:
        (server,) = device.server_pids()
        # One that dies at once is given up: let this one be older than that.
        time.sleep(QUICK_DEATH_SECONDS + 0.1)
        os.kill(server, signal.SIGKILL)
        assert device.process.stdout is not None
        line = device.process.stdout.readline()
        assert "started again" in line
        assert "signal 9" in line


def test_a_slot_that_dies_again_and_again_leaves_the_others_serving() -> None:
    with RunningDevice(slots=2) as device:
        assert device.process.stdout is not None
        first = min(device.server_pids())
        time.sleep(QUICK_DEATH_SECONDS + 0.1)
        before = set(device.server_pids())
        os.kill(first, signal.SIGKILL)
        assert "started again" in device.process.stdout.readline()
        (second,) = wait_for_new(device, before)
        os.kill(second, signal.SIGKILL)
        assert "given up" in device.process.stdout.readline()
        (other,) = set(device.server_pids())
        assert other in before
        assert device.process.poll() is None


def wait_for_new(device: RunningDevice, before: set[int]) -> set[int]:
    deadline = time.monotonic() + 10
    while not (new := set(device.server_pids()) - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    return new


def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", free_ports(1))) as taken:
        port = taken.getsockname()[1]
        ended = run("--port", str(port))
    assert ended.returncode == 2
    assert str(port) in ended.stderr
    assert "in use" in ended.stderr


@pytest.mark.parametrize(
    "options",
    [("--port", "0"), ("--port", "70000"), ("--slots", "0"), ("--port", "65535", "--slots", "2"), ("--threads", "0")],
)
def test_options_out_of_range_are_said_in_one_line(options: tuple[str, ...]) -> None:
    ended = run(*options)
    assert ended.returncode == 2
    assert ended.stderr.startswith("offtui: --")
    assert ended.stderr.count("\n") == 1
