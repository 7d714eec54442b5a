"""What ``offtui doctor`` looks at: versions, the installed llama.cpp, GPUs, folders, the terminal."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

import msgspec

from offtui import config
from offtui.engine.child import WORKER_COMMAND
from offtui.errors import UsageError
from offtui.gguf.caches import Source, cache_folders, default_folders
from offtui.monitor.amdgpu import AmdGpu
from offtui.monitor.nvml import Nvml
from offtui.monitor.pci import GpuDevice, Maker, gpu_devices
from offtui.monitor.probe import Probe, Reading
from offtui.protocol.facts import DeviceFacts
from offtui.text import clean, clean_line

DESCRIBE = (*WORKER_COMMAND, "--describe")
DEADLINE = 20.0
"""Seconds for a worker to say what llama.cpp has; starting a GPU's driver may take several."""
DRIVER_DEADLINE = 5.0

_SOURCES: dict[Source, str] = {
    "huggingface": "Hugging Face",
    "lmstudio": "LM Studio",
    "llama.cpp": "llama.cpp",
    "ollama": "Ollama",
    "folder": "config.toml",
}


class Llama(msgspec.Struct, frozen=True):
    """What the installed llama.cpp says of itself."""

    llama_cpp: str
    backends: tuple[str, ...]
    devices: tuple[DeviceFacts, ...]


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU of this machine."""

    maker: Maker
    name: str
    total: int | None = None
    """Bytes of its memory."""
    driver: str | None = None
    integrated: bool = False
    answers: bool = True
    """Whether its driver told of it; else it was only seen on the bus."""


class Folder(msgspec.Struct, frozen=True):
    """A folder that is searched for models."""

    path: str
    of: str
    exists: bool


class Terminal(msgspec.Struct, frozen=True, kw_only=True):
    """The terminal this runs in."""

    tty: bool
    term: str
    colours: str
    columns: int | None
    rows: int | None
    ssh: bool
    tmux: bool
    encoding: str


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What building llama.cpp would need, and how packages are installed here."""

    compiler: bool
    nvcc: bool
    hipcc: bool
    glslc: bool
    pip: bool
    uv: str | None
    cudacxx: str = ""
    """Path of an nvcc that is not on PATH, where CMake would not find it."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything ``offtui doctor`` knows."""

    offtui: str
    python: str
    executable: str
    system: str
    llama_cpp_python: str | None
    """Version installed; ``None`` where it is not."""
    llama: Llama | None
    llama_failure: str
    """Why ``llama`` is not known; one sentence."""
    gpus: tuple[Gpu, ...]
    gpu_problems: tuple[str, ...]
    folders: tuple[Folder, ...]
    config_failure: str
    terminal: Terminal
    tools: Tools
    environment: dict[str, str]
    """Variables that hide devices from llama.cpp."""


def gather() -> Facts:
    """Look at this machine and this installation; takes a second or two, and some 25 at the very most."""
    installed = _version("llama-cpp-python")
    llama, failure = describe()
    gpus, problems = find_gpus()
    folders, config_failure = _folders()
    return Facts(
        offtui=_version("offtui") or "unknown",
        python=platform.python_version(),
        executable=sys.executable,
        system=f"{platform.system()} {platform.machine()}",
        llama_cpp_python=installed,
        llama=llama,
        llama_failure=failure,
        gpus=gpus,
        gpu_problems=problems,
        folders=folders,
        config_failure=config_failure,
        terminal=_terminal(os.environ),
        tools=_tools(),
        environment={name: os.environ[name] for name in _HIDING if name in os.environ},
    )


_HIDING = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES")


def describe(command: Sequence[str] = DESCRIBE, deadline: float = DEADLINE) -> tuple[Llama | None, str]:
    """Ask a worker what llama.cpp has. Either what it says, or one sentence why it says nothing."""
    try:
        answer = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=deadline,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return None, f"llama.cpp did not say what it has within {deadline:.0f} s; a driver may hang."
    except OSError as error:
        return None, f"A worker cannot be started: {clean_line(error.strerror or str(error))}."
    if answer.returncode < 0:
        return (
            None,
            f"llama.cpp crashed when it was asked what it has: {_signal(-answer.returncode)}.{_tail(answer.stderr)}",
        )
    if answer.returncode != 0:
        return None, _import_failure(answer.stderr)
    lines = answer.stdout.splitlines()
    try:
        return _cleaned(msgspec.json.decode(lines[-1] if lines else b"", type=Llama)), ""
    except msgspec.MsgspecError as error:
        return None, f"The worker's answer cannot be read: {clean_line(str(error))}."


def _cleaned(llama: Llama) -> Llama:
    devices = (
        msgspec.structs.replace(
            device, name=clean_line(device.name, 100), description=clean_line(device.description, 200)
        )
        for device in llama.devices
    )
    backends = (clean_line(backend, 40) for backend in llama.backends)
    return Llama(clean_line(llama.llama_cpp, 40), tuple(backends), tuple(devices))


def find_gpus(
    devices: Callable[[], tuple[GpuDevice, ...]] = gpu_devices,
    nvidia: Callable[[], Reading] | None = None,
    amd: Callable[[], Reading] | None = None,
    deadline: float = DRIVER_DEADLINE,
) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
    """The GPUs that drivers tell of; those on the bus where the maker's driver tells of none; and drivers' problems."""
    nvml = Nvml()
    probes: tuple[tuple[Maker, Probe], ...] = (
        ("NVIDIA", Probe("NVML", nvidia or nvml.read, close=nvml.close)),
        ("AMD", Probe("amdgpu", amd or AmdGpu().read)),
    )
    for _, probe in probes:
        probe.ask()
    on_bus = devices()
    gpus: list[Gpu] = []
    problems: list[str] = []
    for maker, probe in probes:
        reading = probe.latest() if probe.wait(deadline) else Reading((), (f"{probe.name} did not answer in time.",))
        problems.extend(reading.problems)
        mine = [device for device in on_bus if device.maker == maker]
        if reading.gpus:
            driver = next((device.driver for device in mine if device.driver), None)
            gpus.extend(Gpu(maker=maker, name=gpu.name, total=gpu.total, driver=driver) for gpu in reading.gpus)
        else:
            gpus.extend(Gpu(maker=maker, name=gpu.name, driver=gpu.driver, answers=False) for gpu in mine)
    gpus.extend(
        Gpu(
            maker=gpu.maker, name=gpu.name, driver=gpu.driver, integrated=gpu.integrated, answers=gpu.driver is not None
        )
        for gpu in on_bus
        if gpu.maker in ("Intel", "Apple")
    )
    for _, probe in probes:
        probe.stop(0.2)
    return tuple(gpus), tuple(problems)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _import_failure(stderr: bytes) -> str:
    text = clean(stderr.decode(errors="replace"))
    if "No module named 'llama_cpp'" in text:
        return "llama-cpp-python is not installed for this Python."
    return f"llama-cpp-python is installed but cannot be loaded.{_tail(stderr)}"


def _tail(stderr: bytes) -> str:
    """The last line of what a process wrote to its log, to be put behind a sentence."""
    lines = [line for line in clean(stderr.decode(errors="replace")).splitlines() if line.strip()]
    return f" It said: {clean_line(lines[-1], 300)}" if lines else ""


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _folders() -> tuple[tuple[Folder, ...], str]:
    failure = ""
    try:
        settings = config.load()
    except UsageError as error:
        settings, failure = config.Config(), clean_line(str(error))
    sources = dict(cache_folders())
    folders = (
        Folder(clean_line(os.fspath(path)), _SOURCES[sources.get(path, "folder")], os.path.isdir(path))
        for path in default_folders(settings)
        if "\0" not in os.fspath(path)
    )
    return tuple(folders), failure


def _terminal(environ: Mapping[str, str]) -> Terminal:
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        size = None
    term = clean_line(environ.get("TERM", ""), 40)
    if environ.get("NO_COLOR"):
        colours = "off (NO_COLOR)"
    elif environ.get("COLORTERM", "") in ("truecolor", "24bit"):
        colours = "16 million"
    else:
        colours = "256" if "256color" in term else "16" if term not in ("", "dumb") else "none"
    return Terminal(
        tty=sys.stdout.isatty(),
        term=term,
        colours=colours,
        columns=(size.columns or None) if size else None,
        rows=(size.lines or None) if size else None,
        ssh=any(name in environ for name in ("SSH_CONNECTION", "SSH_TTY")),
        tmux="TMUX" in environ,
        encoding=(sys.stdout.encoding or "unknown").lower(),
    )


def _tools() -> Tools:
    def there(*names: str) -> bool:
        return any(shutil.which(name) for name in names)

    aside = next(filter(shutil.which, ("/usr/local/cuda/bin/nvcc", "/opt/cuda/bin/nvcc")), "")
    nvcc = there("nvcc") or "CUDACXX" in os.environ
    return Tools(
        compiler=there(*filter(None, (os.environ.get("CXX"), "c++", "g++", "clang++"))),
        nvcc=nvcc or bool(aside),
        hipcc=there("hipcc", "/opt/rocm/bin/hipcc"),
        glslc=there("glslc"),
        pip=importlib.util.find_spec("pip") is not None,
        uv=shutil.which("uv"),
        cudacxx="" if nvcc else aside,
    )
