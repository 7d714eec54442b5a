import msgspec

from offtui.engine.state import SessionState
from offtui.monitor.sample import HostSample, Sample
from offtui.protocol.facts import DeviceFacts
from offtui.recorder.status import line, status_of, tmux_line
from tests.recorder.scenes import Show, card, process, sample


def as_json(machine: Sample, state: SessionState | None) -> dict:
    return msgspec.json.decode(msgspec.json.encode(status_of(machine, state)))


def test_the_json_of_a_machine_and_a_session() -> None:
    show = Show()
    show.load(0.0)
    show.answer(5.0)
    gpu = card(util=0.5, power_w=120.5, temp_c=61.0, processes=(process(7, "python", 2**30), process(8, "", None)))
    assert as_json(sample(9.0, gpu), show.state) == {
        "gpus": [
            {
                "name": "A Card",
                "total": 8 * 2**30,
                "used": 2 * 2**30,
                "free": 6 * 2**30,
                "util": 0.5,
                "power_w": 120.5,
                "temp_c": 61.0,
                "processes": [
                    {"pid": 7, "name": "python", "used": 2**30},
                    {"pid": 8, "name": None, "used": None},
                ],
            }
        ],
        "host": {"ram_total": 16 * 2**30, "ram_used": 4 * 2**30, "swap_used": 0, "cpu": 0.25},
        "session": {
            "model": "model Q4_K_M",
            "n_gpu_layers": 4,
            "phase": "ready",
            "tps": 40 / 1.5,
            "prompt_tps": 30.0,
            "kv_used": 61,
            "n_ctx": 8192,
        },
    }


def test_what_is_unknown_is_null_and_never_nothing() -> None:
    status = as_json(Sample(time=1.0, gpus=(card(total=None, used=None, free=None),)), SessionState())
    (gpu,) = status["gpus"]
    assert [gpu[name] for name in ("total", "used", "free", "util", "power_w", "temp_c")] == [None] * 6
    assert set(status["host"].values()) == {None}
    assert status["session"] == {
        "model": None, "n_gpu_layers": None, "phase": "empty", "tps": None, "prompt_tps": None, "kv_used": None,
        "n_ctx": None,
    }  # fmt: skip


def test_without_an_offtui_there_is_no_session() -> None:
    assert as_json(sample(1.0), None)["session"] is None


def test_a_device_elsewhere_is_a_gpu_too() -> None:
    show = Show()
    show.load(0.0)
    rpc = DeviceFacts("RPC0", "rpc", "127.0.0.1:50052", 3, 10)
    state = msgspec.structs.replace(show.state, memory=(rpc,))
    (gpu,) = as_json(sample(1.0), state)["gpus"]
    assert (gpu["name"], gpu["total"], gpu["used"], gpu["free"], gpu["util"]) == ("127.0.0.1:50052", 10, 7, 3, None)


def test_a_line_for_people_and_one_for_tmux() -> None:
    show = Show()
    show.load(0.0)
    show.answer(5.0)
    machine = sample(9.0, card(name="A #1 Card", util=0.5, temp_c=61.0))
    assert line(machine, None) == "A #1 Card 2.0/8.0 GiB 50 % 61 °C · RAM 4.0/16.0 GiB · CPU 25 %"
    full = line(sample(9.0, card()), show.state)
    assert full.endswith("· model Q4_K_M · 4/13 layers · 26.7 t/s · ctx 61/8.2k")
    assert tmux_line(sample(9.0, card()), show.state) == "VRAM 2.0/8.0 · RAM 4.0/16.0 · 4/13 layers · 26.7 t/s"
    assert tmux_line(Sample(time=0.0, host=HostSample()), None) == "RAM –/–"
