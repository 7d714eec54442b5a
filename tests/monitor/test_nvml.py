"""The real pynvml against a fake driver library, in a process of its own."""

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.fakes import nvml
from tests.fakes.nvml import Child

GIB = 1024**3


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvml.build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def child(library: Path, tmp_path: Path) -> Iterator[Child]:
    with Child(library, tmp_path / "orders", "reader") as child:
        yield child


def test_every_field_of_two_gpus(child: Child) -> None:
    reading = child.ask(clock=1)
    assert reading["problems"] == []
    first, second = reading["gpus"]
    assert {name: value for name, value in first.items() if name != "processes"} == {
        "index": 0,
        "name": "NVIDIA Fake 0",
        "uuid": "GPU-0-0",
        "pci": "0000:1a:00.0",
        "total": 8 * GIB,
        "used": 2 * GIB,
        "free": 5 * GIB,
        "unified": False,
        "util": 0.75,
        "mem_util": 0.4,
        "power_w": 123.456,
        "power_limit_w": 200.0,
        "energy_j": 987654321.0,
        "temp_c": 61.0,
        "clock_mhz": 1980,
        "mem_clock_mhz": 9501,
        "throttle": [],
        "pcie_in": None,
        "pcie_out": None,
        "fan": 0.3,
    }
    assert (second["index"], second["uuid"], second["temp_c"]) == (1, "GPU-1-0", 62.0)


def test_the_bus_is_measured_one_gpu_after_the_other_as_it_takes_the_driver_long(child: Child) -> None:
    readings = [child.ask(clock=clock)["gpus"] for clock in (1, 2, 3)]
    assert [[gpu["pcie_in"] for gpu in gpus] for gpus in readings] == [
        [None, 1_500_000],
        [1_500_000, 1_500_000],
        [1_500_000, 1_500_000],
    ]
    assert readings[1][0]["pcie_out"] == 250_000


@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        (0x1, []),
        (0x4, ["the power cap"]),
        (0x20, ["heat"]),
        (0x48, ["heat"]),
        (0x8, ["hardware"]),
        (0x84, ["the power cap", "the power supply"]),
    ],
)
def test_what_holds_the_clocks_down_is_named(child: Child, reasons: int, words: list[str]) -> None:
    child.obey(f"reasons 0 {reasons}")
    assert child.ask(clock=1)["gpus"][0]["throttle"] == words


def test_a_gpu_without_memory_and_one_with_a_crowd(child: Child) -> None:
    child.obey("nothing 0 1", "many 1 300")
    first, second = child.ask(clock=1)["gpus"]
    assert (first["total"], first["used"], first["free"]) == (0, 0, 0)
    assert len(second["processes"]) == 300
    assert second["processes"][0]["used"] > second["processes"][-1]["used"]


def test_a_name_cannot_act_on_a_terminal(child: Child) -> None:
    assert child.ask(clock=1)["gpus"][1]["name"] == "NVIDIA [31mFake [bold]1"


def test_processes_of_both_lists_with_the_greatest_first(child: Child) -> None:
    first, second = child.ask(clock=1)["gpus"]
    assert [(process["pid"], process["used"]) for process in first["processes"]] == [
        (os.getpid(), GIB),
        (child.pid, GIB // 2),
        (4194303, None),
    ]
    assert first["processes"][1]["name"] == f"process {child.pid}"
    assert second["processes"] == []


def test_processes_are_listed_less_often_than_the_rest(child: Child) -> None:
    before = child.ask(clock=1)["gpus"][0]["processes"]
    child.obey("fail nvmlDeviceGetComputeRunningProcesses_v3 3")
    assert child.ask(clock=2)["gpus"][0]["processes"] == before
    assert len(child.ask(clock=4)["gpus"][0]["processes"]) == 1


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ("nvmlDeviceGetUtilizationRates", "util"),
        ("nvmlDeviceGetUtilizationRates", "mem_util"),
        ("nvmlDeviceGetPowerUsage", "power_w"),
        ("nvmlDeviceGetEnforcedPowerLimit", "power_limit_w"),
        ("nvmlDeviceGetTotalEnergyConsumption", "energy_j"),
        ("nvmlDeviceGetClockInfo", "clock_mhz"),
        ("nvmlDeviceGetFanSpeed", "fan"),
        ("nvmlDeviceGetPciInfo_v3", "pci"),
        ("nvmlDeviceGetPcieThroughput", "pcie_in"),
        ("nvmlDeviceGetUUID", "uuid"),
    ],
)
@pytest.mark.parametrize("code", [2, 3, 4, 13, 999])
def test_a_field_the_driver_lacks_is_unknown_and_costs_only_itself(
    child: Child, call: str, field: str, code: int
) -> None:
    child.obey(f"fail {call} {code} 0")
    reading = child.ask(clock=1)
    assert reading["problems"] == []
    first, second = reading["gpus"]
    assert first[field] is None
    assert second[field] is not None
    assert first["used"] == 2 * GIB


def test_an_older_driver_has_older_calls(tmp_path: Path) -> None:
    library = nvml.build(tmp_path / "old", "-DOLD_DRIVER")
    with Child(library, tmp_path / "orders", "reader") as child:
        gpu = child.ask(clock=1)["gpus"][0]
    assert (gpu["total"], gpu["used"], gpu["free"]) == (8 * GIB, 3 * GIB, 5 * GIB)
    assert gpu["temp_c"] == 51.0


def test_memory_that_is_the_machines_is_said_to_be(child: Child) -> None:
    child.obey("fail nvmlDeviceGetMemoryInfo 3 0", "fail nvmlDeviceGetMemoryInfo_v2 3 0")
    first, second = child.ask(clock=1)["gpus"]
    assert (first["unified"], first["total"], first["used"], first["free"]) == (True, 1000, 600, 400)
    assert second["unified"] is False


def test_memory_that_may_not_be_read_is_unknown(child: Child) -> None:
    child.obey("fail nvmlDeviceGetMemoryInfo 4 0", "fail nvmlDeviceGetMemoryInfo_v2 4 0")
    first = child.ask(clock=1)["gpus"][0]
    assert (first["unified"], first["total"], first["used"], first["free"]) == (False, None, None, None)
    assert first["util"] == 0.75


@pytest.mark.parametrize(("code", "word"), [(15, "lost"), (16, "reset"), (999, "unknown error"), (9, "not loaded")])
def test_a_gpu_that_is_lost_is_said_and_comes_back(child: Child, code: int, word: str) -> None:
    child.ask(clock=1)
    child.obey(f"fail * {code} 1")
    for clock in (2, 3):
        reading = child.ask(clock=clock)
        first, second = reading["gpus"]
        assert first["used"] == 2 * GIB, "the other one is read on"
        assert second["used"] is None
        assert second["name"] == "NVIDIA [31mFake [bold]1"
        (problem,) = reading["problems"]
        assert problem.startswith("NVML: NVIDIA [31mFake [bold]1: ")
        assert word in problem
    child.obey()
    assert child.ask(clock=4)["problems"], "it is not tried again at once"
    reading = child.ask(clock=8)
    assert reading["problems"] == []
    assert [gpu["used"] for gpu in reading["gpus"]] == [2 * GIB, 2 * GIB]


def test_a_gpu_that_stays_lost_keeps_its_place_and_name(child: Child) -> None:
    child.ask(clock=1)
    child.obey("fail * 15 0")
    child.ask(clock=2)
    for clock in (10, 20, 30):
        reading = child.ask(clock=clock)
        assert [gpu["name"] for gpu in reading["gpus"]] == ["NVIDIA Fake 0", "NVIDIA [31mFake [bold]1"]
        assert [gpu["used"] for gpu in reading["gpus"]] == [None, 2 * GIB]
        assert "NVIDIA Fake 0: the GPU is lost" in reading["problems"][0]


@pytest.mark.parametrize(
    ("code", "word"), [(9, "driver is not loaded"), (18, "reboot"), (13, "too old"), (999, "unknown"), (27, "fake")]
)
def test_a_driver_that_does_not_start_is_said_and_tried_again(child: Child, code: int, word: str) -> None:
    child.obey(f"fail nvmlInitWithFlags {code}")
    for clock in (1, 2):
        reading = child.ask(clock=clock)
        assert reading["gpus"] == []
        assert word in reading["problems"][0]
    child.obey()
    assert child.ask(clock=3)["gpus"] == [], "not at once"
    reading = child.ask(clock=7)
    assert reading["problems"] == []
    assert len(reading["gpus"]) == 2


def test_a_driver_that_cannot_count_is_said_and_tried_again(child: Child) -> None:
    child.obey("fail nvmlDeviceGetCount_v2 999")
    assert "unknown error" in child.ask(clock=1)["problems"][0]
    child.obey("gpus 1")
    assert len(child.ask(clock=7)["gpus"]) == 1


def test_a_gpu_that_appears_later_is_found(child: Child) -> None:
    child.obey("gpus 0")
    assert child.ask(clock=1) == {"gpus": [], "problems": [], "cached": None}
    child.obey("gpus 1")
    assert child.ask(clock=3)["gpus"] == [], "not at once"
    assert [gpu["name"] for gpu in child.ask(clock=7)["gpus"]] == ["NVIDIA Fake 0"]


def test_a_machine_without_the_library_has_no_gpus_and_no_problem(tmp_path: Path) -> None:
    (tmp_path / nvml.LIBRARY).write_text("not a library")  # found before the machine's own, if it has one
    with Child(tmp_path, tmp_path / "orders", "reader") as child:
        assert child.ask(clock=1) == {"gpus": [], "problems": [], "cached": None}
        nvml.build(tmp_path)
        assert child.ask(clock=30)["gpus"] == []
        assert len(child.ask(clock=62)["gpus"]) == 2, "a driver installed meanwhile is found"


def test_instances_of_a_gpu_that_is_cut_up_stand_for_it(child: Child) -> None:
    child.obey("mig 1 2", "fail nvmlDeviceGetUtilizationRates 3 1")
    gpus = child.ask(clock=1)["gpus"]
    assert [(gpu["index"], gpu["name"], gpu["uuid"], gpu["total"]) for gpu in gpus] == [
        (0, "NVIDIA Fake 0", "GPU-0-0", 8 * GIB),
        (1, "NVIDIA Fake 1 MIG 1g.10gb", "MIG-1-1", GIB),
        (2, "NVIDIA Fake 1 MIG 1g.10gb", "MIG-1-2", GIB),
    ]
    assert [gpu["util"] for gpu in gpus] == [0.75, None, None]


def test_a_call_that_hangs_is_said_and_holds_nothing_up(library: Path, tmp_path: Path) -> None:
    with Child(library, tmp_path / "orders", "sampler") as child:
        before = child.until(lambda sample: len(sample["gpus"]) == 2)
        child.obey("hang nvmlDeviceGetUtilizationRates")
        silent = child.until(lambda sample: sample["problems"] != [])
        assert silent["problems"] == ["NVML has not answered for 2 s."]
        assert [(gpu["name"], gpu["total"], gpu["used"]) for gpu in silent["gpus"]] == [
            ("NVIDIA Fake 0", 8 * GIB, None),
            ("NVIDIA [31mFake [bold]1", 8 * GIB, None),
        ]
        later = child.until(lambda sample: sample["problems"] == ["NVML has not answered for 4 s."])
        assert later["host"]["ram_used"] is not None
        times = [later["time"]]
        while len(times) < 5:
            times.append(child.line()["time"])
        assert max(after - at for at, after in pairwise(times)) < 1.5, "samples come all the time"
        child.obey()
        after = child.until(lambda sample: sample["problems"] == [])
        assert [gpu["used"] for gpu in after["gpus"]] == [gpu["used"] for gpu in before["gpus"]]


def test_the_end_does_not_wait_for_a_call_that_hangs(library: Path, tmp_path: Path) -> None:
    with Child(library, tmp_path / "orders", "sampler") as child:
        child.until(lambda sample: len(sample["gpus"]) == 2)
        child.obey("hang nvmlDeviceGetUtilizationRates")
        child.until(lambda sample: sample["problems"] != [])
        assert child.ends() == 0
