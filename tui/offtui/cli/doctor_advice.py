"""What ``offtui doctor`` concludes from what it saw. Pure."""

import re
import shlex

import msgspec

from offtui.cli.doctor_facts import Facts, Gpu

REQUIREMENT = "llama-cpp-python>=0.3.36,<0.4"

BUILDS = {
    "CUDA": "-DGGML_CUDA=on",
    "ROCm": "-DGGML_HIP=on",
    "Vulkan": "-DGGML_VULKAN=on",
    "MTL": "-DGGML_METAL=on",
    "SYCL": "-DGGML_SYCL=on",
    "RPC": "-DGGML_RPC=on",
    "BLAS": "-DGGML_BLAS=on",
}
"""ggml's name of a backend, and what builds it."""

ALIASES = {"hip": "rocm", "metal": "mtl", "cublas": "cuda"}
"""Other names people have for them, in small letters."""

SERVES = {
    "NVIDIA": ("CUDA", "Vulkan"),
    "AMD": ("ROCm", "Vulkan"),
    "Intel": ("Vulkan", "SYCL"),
    "Apple": ("MTL",),
}
"""Backends that can use a maker's GPUs, the best first."""


class Advice(msgspec.Struct, frozen=True):
    """One thing to do, or worth knowing."""

    must: bool
    """It should be done: without it a GPU, or offtui, does not work. Else it is only worth knowing."""
    text: str
    command: str = ""


def has_backend(backends: tuple[str, ...], name: str) -> bool:
    """Whether ``name``, in any spelling people have for it, is among ggml's backends."""
    wanted = name.strip().lower()
    return ALIASES.get(wanted, wanted) in {backend.lower() for backend in backends}


def advise(facts: Facts) -> tuple[Advice, ...]:
    """What to do, the most important first."""
    found: list[Advice] = []
    lacking = _lacking(facts)
    if facts.llama is None:
        found.append(Advice(True, f"{facts.llama_failure} Build it again:", _build(facts, lacking)))
    elif not _fits(facts.llama.llama_cpp):
        text = f"llama-cpp-python {facts.llama.llama_cpp} is installed, and offtui needs {REQUIREMENT}. Build it again:"
        found.append(Advice(True, text, _build(facts, lacking)))
    elif lacking:
        makers = " and ".join(dict.fromkeys(gpu.maker for gpu in _usable(facts) if _wanted(facts, gpu) in lacking))
        names = ", ".join(_name(backend) for backend in lacking)
        text = (
            f"This machine has a GPU by {makers}, but the installed llama.cpp was built without {names}: "
            "no layer can be offloaded to it. Build it again:"
        )
        found.append(Advice(True, text, _build(facts, lacking)))
    if lacking:
        found.extend(_tools(facts, lacking))
    found.extend(_silent_devices(facts))
    found.extend(_without_driver(facts))
    if facts.config_failure:
        found.append(Advice(True, facts.config_failure))
    if facts.terminal.tty and facts.terminal.term in ("", "dumb"):
        found.append(Advice(True, "TERM says that this terminal cannot draw a screen; offtui needs one that can."))
    found.extend(_notes(facts))
    return tuple(sorted(found, key=lambda advice: not advice.must))


def build_command(facts: Facts, backends: tuple[str, ...]) -> str:
    """The command that installs llama.cpp built with these backends, for the Python that runs this."""
    flags = " ".join(BUILDS[backend] for backend in backends)
    python, requirement = shlex.quote(facts.executable), f'"{REQUIREMENT}"'
    if not facts.tools.pip and facts.tools.uv:
        install = f"uv pip install --python {python} --reinstall --no-cache --no-binary llama-cpp-python {requirement}"
    else:
        install = f"{python} -m pip install --force-reinstall --no-cache-dir --no-binary llama-cpp-python {requirement}"
    compiler = f"CUDACXX={shlex.quote(facts.tools.cudacxx)} " if facts.tools.cudacxx and "CUDA" in backends else ""
    return f'{compiler}CMAKE_ARGS="{flags}" {install}'


def _build(facts: Facts, lacking: tuple[str, ...]) -> str:
    """As ``build_command``: what is lacking, RPC, and what is built in already."""
    there = facts.llama.backends if facts.llama else ()
    kept = (backend for backend in BUILDS if backend in there and backend not in ("RPC", "MTL"))
    return build_command(facts, tuple(dict.fromkeys((*lacking, *kept, "RPC"))))


def _fits(version: str) -> bool:
    """Whether a version of llama-cpp-python is in ``REQUIREMENT``; one that is no number is let pass."""
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return match is None or (0, 3, 36) <= tuple(map(int, match.groups())) < (0, 4)


def _usable(facts: Facts) -> list[Gpu]:
    return [gpu for gpu in facts.gpus if gpu.answers and (not gpu.integrated or gpu.maker == "Apple")]


def _lacking(facts: Facts) -> tuple[str, ...]:
    """Backends to be built in, so that each GPU has one."""
    there = facts.llama.backends if facts.llama else ()
    wanted = (_wanted(facts, gpu) for gpu in _usable(facts) if not set(SERVES[gpu.maker]) & set(there))
    return tuple(dict.fromkeys(wanted))


def _wanted(facts: Facts, gpu: Gpu) -> str:
    """The backend to build for a GPU: the best; for AMD only where its compiler is there, else Vulkan."""
    best, *others = SERVES[gpu.maker]
    return others[0] if best == "ROCm" and not facts.tools.hipcc else best


def _tools(facts: Facts, backends: tuple[str, ...]) -> list[Advice]:
    """What the build needs and the machine lacks."""
    found: list[Advice] = []
    if not facts.tools.compiler:
        found.append(Advice(True, "The build needs a C++ compiler, and none was found: install g++ or clang first."))
    if "CUDA" in backends and not facts.tools.nvcc:
        found.append(Advice(True, "The build needs NVIDIA's CUDA toolkit, and nvcc was not found: install it first."))
    if "Vulkan" in backends and not facts.tools.glslc:
        found.append(
            Advice(True, "The build needs Vulkan's headers and glslc, which was not found: install them first.")
        )
    if not facts.tools.pip and not facts.tools.uv:
        found.append(Advice(True, "This Python has no pip:", f"{shlex.quote(facts.executable)} -m ensurepip --upgrade"))
    return found


def _silent_devices(facts: Facts) -> list[Advice]:
    """GPUs that have a backend, which sees none of them."""
    if facts.llama is None:
        return []
    found: list[Advice] = []
    for maker in dict.fromkeys(gpu.maker for gpu in _usable(facts)):
        backends = [backend for backend in SERVES[maker] if backend in facts.llama.backends]
        seen = any(device.name.startswith(tuple(backends)) for device in facts.llama.devices) if backends else True
        if seen:
            continue
        names = " and ".join(_name(backend) for backend in backends)
        hidden = [f"{name}={value!r}" for name, value in facts.environment.items()]
        reason = (
            f"{', '.join(hidden)} may hide it."
            if hidden
            else "Its driver may be older than the toolkit llama.cpp was built with, or this user may not open it."
        )
        found.append(Advice(True, f"llama.cpp has {names} but sees no GPU by {maker}. {reason}"))
    return found


def _without_driver(facts: Facts) -> list[Advice]:
    nvidia = any(gpu.maker == "NVIDIA" for gpu in facts.gpus)
    found = [Advice(nvidia or not problem.startswith("NVML"), problem) for problem in facts.gpu_problems]
    for gpu in facts.gpus:
        if gpu.answers or gpu.integrated or (gpu.maker == "NVIDIA" and found):
            continue
        held = (
            f"The kernel driver {gpu.driver} holds it, but tells nothing" if gpu.driver else "No kernel driver holds it"
        )
        if gpu.maker == "NVIDIA":
            what = "install NVIDIA's driver; in a container, start it with --gpus all"
        elif gpu.maker == "AMD":
            what = "load the amdgpu driver; in a container, pass /dev/kfd and /dev/dri into it"
        else:
            what = "install its driver"
        found.append(Advice(True, f"{gpu.name} is in this machine and cannot be used. {held}: {what}."))
    return found


def _notes(facts: Facts) -> list[Advice]:
    found: list[Advice] = []
    if facts.llama is not None and "RPC" not in facts.llama.backends:
        text = (
            "llama.cpp was built without RPC, so GPUs of other machines (--rpc, offtui device) cannot be used. With it:"
        )
        found.append(Advice(False, text, _build(facts, _lacking(facts))))
    if not facts.gpus:
        found.append(
            Advice(False, "No GPU was found. Models run on the processor; --rpc HOST:PORT adds another machine's GPU.")
        )
    terminal = facts.terminal
    if terminal.columns and terminal.rows and (terminal.columns < 60 or terminal.rows < 15):
        found.append(Advice(False, "The terminal is small; from 60 columns and 15 rows on there is room for panes."))
    if terminal.tty and not terminal.encoding.startswith("utf"):
        found.append(Advice(False, 'The terminal is not UTF-8: set graph = "ascii" in config.toml.'))
    return found


def _name(backend: str) -> str:
    return {"MTL": "Metal", "ROCm": "ROCm (HIP)"}.get(backend, backend)
