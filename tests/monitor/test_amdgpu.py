from pathlib import Path

import pytest

from offtui.monitor.amdgpu import RETRY_ABSENT, AmdGpu
from offtui.monitor.sample import GpuSample
from tests.fakes import sysfs

CARD = {
    "vendor": "0x1002",
    "device": "0x744c",
    "unique_id": "5a1b2c3d",
    "mem_info_vram_total": 25753026560,
    "mem_info_vram_used": 1753026560,
    "gpu_busy_percent": 97,
    "mem_busy_percent": 55,
    "hwmon/hwmon4/power1_average": 211000000,
    "hwmon/hwmon4/power1_cap": 303000000,
    "hwmon/hwmon4/temp1_input": 64500,
    "hwmon/hwmon4/freq1_input": 2482000000,
    "hwmon/hwmon4/pwm1": 51,
    "hwmon/hwmon4/pwm1_max": 255,
}


def put(root: Path, card: str, files: dict[str, object]) -> Path:
    return sysfs.write(root, {f"class/drm/{card}/device/{name}": value for name, value in files.items()})


def test_every_field_of_a_card(tmp_path: Path) -> None:
    reading = AmdGpu(put(tmp_path, "card0", CARD)).read()
    assert reading.problems == ()
    assert reading.gpus == (
        GpuSample(
            index=0,
            name="AMD GPU 0x744c",
            uuid="5a1b2c3d",
            total=25753026560,
            used=1753026560,
            free=24000000000,
            util=0.97,
            mem_util=0.55,
            power_w=211.0,
            power_limit_w=303.0,
            temp_c=64.5,
            clock_mhz=2482,
            fan=0.2,
        ),
    )


def test_cards_are_in_order_of_their_numbers_and_others_are_left_out(tmp_path: Path) -> None:
    for card, name in (("card10", "ten"), ("card9", "nine")):
        put(tmp_path, card, {**CARD, "product_name": f"Radeon {name}"})
    put(tmp_path, "card1", {"vendor": "0x10de", "device": "0x2882"})
    put(tmp_path, "card2", {"vendor": "0x1002", "device": "0x1234"})
    put(tmp_path, "card9-DP-1", CARD)
    gpus = AmdGpu(tmp_path).read().gpus
    assert [(gpu.index, gpu.name) for gpu in gpus] == [(0, "Radeon nine"), (1, "Radeon ten")]


@pytest.mark.parametrize("broken", ["", "garbage", "N/A"])
def test_a_file_that_is_missing_or_broken_costs_only_its_field(tmp_path: Path, broken: str) -> None:
    files = dict(CARD)
    for name in ("mem_busy_percent", "hwmon/hwmon4/power1_average", "hwmon/hwmon4/pwm1"):
        if broken:
            files[name] = broken
        else:
            del files[name]
    (gpu,) = AmdGpu(put(tmp_path, "card0", files)).read().gpus
    assert (gpu.mem_util, gpu.power_w, gpu.fan) == (None, None, None)
    assert (gpu.util, gpu.used, gpu.temp_c) == (0.97, 1753026560, 64.5)


def test_older_and_newer_names_of_power_and_fan(tmp_path: Path) -> None:
    files = {name: value for name, value in CARD.items() if "pwm" not in name and "power1_average" not in name}
    more = {"hwmon/hwmon4/power1_input": 99000000, "hwmon/hwmon4/fan1_input": 1500, "hwmon/hwmon4/fan1_max": 3000}
    (gpu,) = AmdGpu(put(tmp_path, "card0", {**files, **more})).read().gpus
    assert (gpu.power_w, gpu.fan) == (99.0, 0.5)


def test_a_sleeping_card_is_not_woken(tmp_path: Path) -> None:
    (gpu,) = AmdGpu(put(tmp_path, "card0", {**CARD, "power/runtime_status": "suspended"})).read().gpus
    assert (gpu.total, gpu.used, gpu.util, gpu.temp_c) == (25753026560, None, None, None)


def test_a_name_cannot_act_on_a_terminal(tmp_path: Path) -> None:
    (gpu,) = AmdGpu(put(tmp_path, "card0", {**CARD, "product_name": "Radeon \x1b[31m[b]"})).read().gpus
    assert gpu.name == "Radeon [31m[b]"


def test_a_machine_without_cards(tmp_path: Path) -> None:
    assert AmdGpu(tmp_path).read().gpus == ()


def test_a_card_that_appears_later_is_found_and_one_that_is_there_is_read_each_time(tmp_path: Path) -> None:
    now = [0.0]
    amd = AmdGpu(tmp_path, lambda: now[0])
    assert amd.is_due()
    assert amd.read().gpus == ()
    put(tmp_path, "card0", CARD)
    assert not amd.is_due()
    now[0] = RETRY_ABSENT
    assert amd.is_due()
    assert len(amd.read().gpus) == 1
    assert amd.is_due()
