import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from offtui.cli import doctor
from offtui.cli.doctor_advice import advise, has_backend
from offtui.cli.doctor_facts import Facts, Folder, Gpu, Llama, Terminal, Tools, describe, find_gpus
from offtui.monitor.pci import GpuDevice
from offtui.monitor.probe import Reading
from offtui.monitor.sample import GpuSample
from offtui.protocol.facts import DeviceFacts
from tests.fakes import nvml

GIB = 1024**3
REST = '--force-reinstall --no-cache-dir --no-binary llama-cpp-python "llama-cpp-python>=0.3.36,<0.4"'
CPU = DeviceFacts(name="CPU", kind="cpu", description="A processor", free=8 * GIB, total=16 * GIB)
CUDA0 = DeviceFacts(name="CUDA0", kind="gpu", description="NVIDIA Fake", free=7 * GIB, total=8 * GIB)
NVIDIA = Gpu(maker="NVIDIA", name="NVIDIA Fake", total=8 * GIB, driver="nvidia")
AMD = Gpu(maker="AMD", name="Radeon Fake", total=16 * GIB, driver="amdgpu")


def facts(*gpus: Gpu, backends: tuple[str, ...] = ("CPU", "RPC"), devices: tuple[DeviceFacts, ...] = (CPU,)) -> Facts:
    """A machine with everything in order, but for what a test changes."""
    return Facts(
        offtui="0.1.0",
        python="3.12.1",
        executable="/venv/bin/python",
        system="Linux x86_64",
        llama_cpp_python="0.3.36",
        llama=Llama("0.3.36", backends, devices),
        llama_failure="",
        gpus=gpus,
        gpu_problems=(),
        folders=(Folder("/models", "config.toml", True), Folder("/none", "LM Studio", False)),
        config_failure="",
        terminal=Terminal(
            tty=True, term="xterm", colours="256", columns=120, rows=36, ssh=False, tmux=False, encoding="utf-8"
        ),
        tools=Tools(compiler=True, nvcc=True, hipcc=True, glslc=True, pip=True, uv=None),
        environment={},
    )


def change(of: Facts, **fields: Any) -> Facts:
    return msgspec.structs.replace(of, **fields)


def musts(of: Facts) -> list[str]:
    return [advice.text for advice in advise(of) if advice.must]


def commands(of: Facts) -> list[str]:
    return [advice.command for advice in advise(of) if advice.command]


def test_a_match_needs_nothing() -> None:
    assert advise(facts(NVIDIA, backends=("CUDA", "CPU", "RPC"), devices=(CUDA0, CPU))) == ()


@pytest.mark.parametrize(
    ("gpus", "hipcc", "flags"),
    [
        ((NVIDIA,), True, "-DGGML_CUDA=on -DGGML_RPC=on"),
        ((AMD,), True, "-DGGML_HIP=on -DGGML_RPC=on"),
        ((AMD,), False, "-DGGML_VULKAN=on -DGGML_RPC=on"),
        ((NVIDIA, NVIDIA, AMD), True, "-DGGML_CUDA=on -DGGML_HIP=on -DGGML_RPC=on"),
        ((Gpu(maker="Intel", name="Arc"),), True, "-DGGML_VULKAN=on -DGGML_RPC=on"),
        ((Gpu(maker="Apple", name="M4", integrated=True),), True, "-DGGML_METAL=on -DGGML_RPC=on"),
    ],
)
def test_a_gpu_without_its_backend_gets_the_exact_command(gpus: tuple[Gpu, ...], hipcc: bool, flags: str) -> None:
    machine = facts(*gpus)
    machine = change(machine, tools=msgspec.structs.replace(machine.tools, hipcc=hipcc))
    assert commands(machine) == [f'CMAKE_ARGS="{flags}" /venv/bin/python -m pip install {REST}']
    assert "no layer can be offloaded" in musts(machine)[0]


def test_vulkan_serves_any_maker() -> None:
    vulkan = msgspec.structs.replace(CUDA0, name="Vulkan0")
    assert musts(facts(NVIDIA, AMD, backends=("Vulkan", "CPU", "RPC"), devices=(vulkan, CPU))) == []


def test_what_is_built_in_already_is_kept() -> None:
    vulkan = msgspec.structs.replace(CUDA0, name="Vulkan0")
    machine = facts(backends=("Vulkan", "BLAS", "CPU"), devices=(vulkan, CPU))
    (command,) = commands(machine)
    assert command.startswith('CMAKE_ARGS="-DGGML_VULKAN=on -DGGML_BLAS=on -DGGML_RPC=on" ')
    assert musts(machine) == [], "to lack RPC is worth knowing, not a fault"


def test_an_integrated_gpu_is_no_reason_to_build() -> None:
    assert musts(facts(Gpu(maker="Intel", name="UHD", driver="i915", integrated=True))) == []


def test_the_command_is_one_a_shell_understands() -> None:
    machine = change(facts(NVIDIA), executable="/home/a b/$x/python")
    (command,) = commands(machine)
    words = shlex.split(command)
    assert words[0] == "CMAKE_ARGS=-DGGML_CUDA=on -DGGML_RPC=on"
    assert words[1:4] == ["/home/a b/$x/python", "-m", "pip"]
    assert words[-1] == "llama-cpp-python>=0.3.36,<0.4"


def test_an_environment_made_by_uv_gets_uvs_command() -> None:
    machine = facts(NVIDIA)
    machine = change(machine, tools=msgspec.structs.replace(machine.tools, pip=False, uv="/bin/uv"))
    (command,) = commands(machine)
    assert "uv pip install --python /venv/bin/python --reinstall --no-cache --no-binary llama-cpp-python" in command


@pytest.mark.parametrize(
    ("lacks", "gpu", "word"),
    [
        ("compiler", NVIDIA, "C++ compiler"),
        ("nvcc", NVIDIA, "CUDA toolkit"),
        ("glslc", AMD, "glslc"),
        ("pip", AMD, "pip"),
    ],
)
def test_what_the_build_lacks_is_said(lacks: str, gpu: Gpu, word: str) -> None:
    machine = facts(gpu)
    tools = msgspec.structs.replace(machine.tools, **{"hipcc": False, lacks: False})
    assert any(word in text for text in musts(change(machine, tools=tools)))


def test_an_nvcc_that_is_not_on_the_path_is_named_in_the_command() -> None:
    machine = facts(NVIDIA)
    tools = msgspec.structs.replace(machine.tools, cudacxx="/usr/local/cuda/bin/nvcc")
    (command,) = commands(change(machine, tools=tools))
    assert command.startswith('CUDACXX=/usr/local/cuda/bin/nvcc CMAKE_ARGS="-DGGML_CUDA=on ')
    (command,) = commands(change(facts(AMD), tools=tools))
    assert command.startswith('CMAKE_ARGS="-DGGML_HIP=on ')


@pytest.mark.parametrize(
    ("version", "fits"), [("0.3.36", True), ("0.3.40", True), ("0.3.16", False), ("0.4.0", False), ("dev", True)]
)
def test_another_version_of_llama_cpp_is_said(version: str, fits: bool) -> None:
    machine = change(facts(), llama=Llama(version, ("CPU", "RPC"), (CPU,)))
    assert (musts(machine) == []) is fits
    assert fits or version in musts(machine)[0]


def test_a_backend_that_sees_no_device_is_said() -> None:
    machine = facts(NVIDIA, backends=("CUDA", "CPU", "RPC"))
    (text,) = musts(machine)
    assert text.startswith("llama.cpp has CUDA but sees no GPU by NVIDIA.")
    (text,) = musts(change(machine, environment={"CUDA_VISIBLE_DEVICES": "-1"}))
    assert "CUDA_VISIBLE_DEVICES='-1' may hide it" in text


def test_a_gpu_whose_driver_is_missing_is_said() -> None:
    gpu = Gpu(maker="NVIDIA", name="NVIDIA GPU 10de:2882", driver="nouveau", answers=False)
    (text,) = musts(facts(gpu))
    assert "nouveau" in text
    assert "install NVIDIA's driver" in text
    mismatch = "NVML: the NVIDIA driver and its library have different versions; a reboot puts that right."
    assert musts(change(facts(gpu), gpu_problems=(mismatch,))) == [mismatch], "what NVML says is more exact"


def test_a_driver_library_without_a_gpu_is_only_worth_knowing() -> None:
    machine = change(facts(), gpu_problems=("NVML: the NVIDIA driver is not loaded.",))
    assert musts(machine) == []
    assert "not loaded" in advise(machine)[0].text


def test_a_llama_that_does_not_run_is_to_be_built_again_for_this_machine() -> None:
    machine = change(facts(NVIDIA), llama=None, llama_failure="llama-cpp-python is not installed for this Python.")
    assert musts(machine)[0] == "llama-cpp-python is not installed for this Python. Build it again:"
    assert commands(machine)[0].startswith('CMAKE_ARGS="-DGGML_CUDA=on -DGGML_RPC=on" ')


def test_a_broken_config_and_a_dumb_terminal_are_said() -> None:
    machine = change(facts(), config_failure="The config file x has a mistake: y.")
    assert musts(machine) == ["The config file x has a mistake: y."]
    machine = change(facts(), terminal=msgspec.structs.replace(facts().terminal, term="dumb"))
    assert "cannot draw a screen" in musts(machine)[0]


@pytest.mark.parametrize(
    ("name", "there"),
    [("RPC", True), ("rpc", True), ("cuda", False), ("ROCm", True), ("HIP", True), ("metal", True), ("", False)],
)
def test_backends_have_several_names(name: str, there: bool) -> None:
    assert has_backend(("CPU", "RPC", "ROCm", "MTL"), name) is there


def test_the_report_is_readable_at_eighty_columns() -> None:
    machine = facts(NVIDIA, Gpu(maker="Intel", name="UHD", integrated=True), AMD)
    machine = change(machine, gpu_problems=("NVML: a GPU is lost: it fell off the bus or its driver reset it. " * 2,))
    text = doctor.report(machine, advise(machine))
    lines = text.splitlines()
    assert [line for line in lines if len(line) > 80 and not line.startswith("CMAKE_ARGS")] == []
    assert "\x1b" not in text
    assert "  NVIDIA             NVIDIA Fake, 8.0 GiB, driver nvidia" in lines
    assert "  CPU                A processor, 8.0 of 16.0 GiB free (cpu)" in lines
    assert "  found  config.toml    /models" in lines
    assert "  –      LM Studio      /none" in lines
    assert any(line.startswith('CMAKE_ARGS="-DGGML_CUDA=on -DGGML_HIP=on -DGGML_RPC=on" ') for line in lines)


def test_the_report_of_a_match_says_so() -> None:
    machine = facts(NVIDIA, backends=("CUDA", "CPU", "RPC"), devices=(CUDA0, CPU))
    assert "nothing: all matches" in doctor.report(machine, advise(machine))


def test_a_terminal_without_utf8_gets_a_report_it_can_show() -> None:
    machine = change(facts(), terminal=msgspec.structs.replace(facts().terminal, encoding="ascii"))
    assert doctor.report(machine, advise(machine)).isascii()


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_worker_says_what_llama_cpp_has() -> None:
    answer = {"llama_cpp": "0.3.36", "backends": ["CPU", "R\x1bPC"], "devices": [msgspec.to_builtins(CPU)]}
    llama, failure = describe(python(f"print('a warning'); print({json.dumps(json.dumps(answer))})"))
    assert failure == ""
    assert llama == Llama("0.3.36", ("CPU", "RPC"), (CPU,))


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import llama_cpp_that_is_not_there as llama_cpp", "cannot be loaded. It said: ModuleNotFoundError"),
        ("raise ModuleNotFoundError(\"No module named 'llama_cpp'\")", "llama-cpp-python is not installed"),
        (
            "raise OSError('libcudart.so.12: \\x1b[31mcannot open')",
            "It said: OSError: libcudart.so.12: [31mcannot open",
        ),
        ("import os; os.abort()", "llama.cpp crashed when it was asked what it has: SIGABRT."),
        ("print('nonsense')", "The worker's answer cannot be read"),
        ("pass", "The worker's answer cannot be read"),
        ("print('{}')", "The worker's answer cannot be read"),
    ],
)
def test_a_worker_that_fails_is_one_clear_sentence(code: str, sentence: str) -> None:
    llama, failure = describe(python(code))
    assert llama is None
    assert sentence in failure
    assert "\x1b" not in failure
    assert "\n" not in failure


def test_a_worker_that_hangs_is_given_up() -> None:
    llama, failure = describe(["sleep", "60"], 0.3)
    assert llama is None
    assert failure == "llama.cpp did not say what it has within 0 s; a driver may hang."


def test_a_worker_that_cannot_be_started_is_said() -> None:
    assert describe(["/nowhere/python"])[1] == "A worker cannot be started: No such file or directory."


def test_gpus_are_those_drivers_tell_of_and_those_only_seen_on_the_bus() -> None:
    on_bus = (
        GpuDevice(maker="NVIDIA", name="NVIDIA GPU 10de:1", driver="nvidia"),
        GpuDevice(maker="AMD", name="AMD GPU 1002:2"),
        GpuDevice(maker="Intel", name="Intel GPU 8086:3", driver="i915", integrated=True),
    )
    gpus, problems = find_gpus(
        lambda: on_bus,
        nvidia=lambda: Reading((GpuSample(index=0, name="NVIDIA Fake", total=5),), ("NVML says so.",)),
        amd=Reading,
    )
    assert gpus == (
        Gpu(maker="NVIDIA", name="NVIDIA Fake", total=5, driver="nvidia"),
        Gpu(maker="AMD", name="AMD GPU 1002:2", answers=False),
        Gpu(maker="Intel", name="Intel GPU 8086:3", driver="i915", integrated=True),
    )
    assert problems == ("NVML says so.",)


def test_a_driver_that_hangs_is_given_up() -> None:
    gate = threading.Event()

    def hang() -> Reading:
        gate.wait(20)
        return Reading()

    try:
        gpus, problems = find_gpus(tuple, nvidia=hang, amd=Reading, deadline=0.1)
    finally:
        gate.set()
    assert gpus == ()
    assert problems == ("NVML did not answer in time.",)


class Ran:
    """Runs ``offtui doctor`` as a person would, with a home of its own."""

    def __init__(self, home: Path, *arguments: str, **environment: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_", "LLAMA_"))}
        done = subprocess.run(
            [sys.executable, "-m", "offtui", "doctor", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env={**kept, "HOME": str(home), **environment},
            check=False,
        )
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr


def test_this_machine_as_json(tmp_path: Path) -> None:
    (tmp_path / ".cache/huggingface/hub").mkdir(parents=True)
    ran = Ran(tmp_path, "--json")
    answer = json.loads(ran.out)
    assert ran.err == ""
    assert answer["ok"] is (ran.code == 0)
    assert answer["ok"] is not any(advice["must"] for advice in answer["advice"])
    assert {"CPU", "RPC"} <= set(answer["llama"]["backends"])
    cpu = next(device for device in answer["llama"]["devices"] if device["kind"] == "cpu")
    assert cpu["total"] > 0
    folders = {folder["path"]: folder["exists"] for folder in answer["folders"]}
    assert folders[f"{tmp_path}/.cache/huggingface/hub"] is True
    assert folders[f"{tmp_path}/.lmstudio/models"] is False
    assert folders[f"{tmp_path}/.ollama/models"] is False


def test_this_machine_as_text(tmp_path: Path) -> None:
    ran = Ran(tmp_path, TERM="xterm-256color", COLORTERM="truecolor", SSH_CONNECTION="1 2 3 4", TMUX="x")
    assert "\x1b" not in ran.out, "no colours into a pipe"
    for line in (
        f"  system             {platform.system()} {platform.machine()}",
        "  through            SSH, tmux",
        "  colours            16 million",
        "  –      LM Studio      ~/.lmstudio/models",
    ):
        assert line in ran.out.splitlines()
    assert sys.executable in ran.out


def test_a_machine_with_a_gpu_and_a_build_without_its_backend(tmp_path: Path) -> None:
    """A real run against a driver library that tells of two GPUs."""
    orders = tmp_path / "orders"
    orders.touch()
    ran = Ran(tmp_path, LD_LIBRARY_PATH=str(nvml.build(tmp_path / "lib")), FAKE_NVML=str(orders))
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert "  NVIDIA             NVIDIA Fake 0, 8.0 GiB" in [line.split(", driver")[0] for line in lines]
    assert "\x1b" not in ran.out, "the name of the other one has an escape in it"
    (command,) = (line for line in lines if "CMAKE_ARGS=" in line)
    assert command.endswith(
        f'CMAKE_ARGS="-DGGML_CUDA=on -DGGML_RPC=on" {shlex.quote(sys.executable)} -m pip install {REST}'
    )


@pytest.mark.parametrize(("backend", "code"), [("RPC", 0), ("rpc", 0), ("no-such", 1)])
def test_the_test_script_asks_for_a_backend_in_silence(tmp_path: Path, backend: str, code: int) -> None:
    ran = Ran(tmp_path, "--has-backend", backend)
    assert (ran.code, ran.out, ran.err) == (code, "", "")


def test_a_broken_config_does_not_keep_the_doctor_away(tmp_path: Path) -> None:
    (tmp_path / "offtui").mkdir()
    (tmp_path / "offtui/config.toml").write_text("models = 3")
    ran = Ran(tmp_path, "--json", XDG_CONFIG_HOME=str(tmp_path))
    assert ran.code == 1
    assert any("config.toml has a mistake" in advice["text"] for advice in json.loads(ran.out)["advice"])


def test_the_doctor_itself_does_not_load_llama_cpp() -> None:
    code = "import sys, offtui.cli.doctor; sys.exit(bool({'llama_cpp', 'numpy', 'textual'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_exit_code_is_one_where_something_should_be_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "gather", lambda: facts(NVIDIA))
    assert doctor.run(argparse.Namespace(json=False, has_backend=None)) == 1
    assert "-DGGML_CUDA=on" in capsys.readouterr().out
    monkeypatch.setattr(doctor, "gather", facts)
    assert doctor.run(argparse.Namespace(json=False, has_backend=None)) == 0
