"""Why a worker died, from what it left behind: the exit status, the tail of its log, and what it was doing.

The knowledge is in two tables: what llama.cpp, its backends and Python print before they give up, and what a signal
means. The lines are those of llama.cpp's sources: ``ggml-cuda.cu``, ``ggml-vulkan*.cpp``, ``ggml-metal*.m``,
``ggml-rpc.cpp``, ``ggml-alloc.c``, ``llama-*.cpp``.
"""

import re
import signal
from pathlib import Path

import msgspec

from offtui.engine.ending import Ending
from offtui.engine.state import Phase
from offtui.protocol import signs
from offtui.protocol.facts import Failure, FailureKind
from offtui.protocol.spec import LoadSpec
from offtui.text import clean_line

_FEWER_LAYERS = "Offload fewer layers, or take a smaller context."
_LESS_RAM = "Take a smaller context or a smaller quantisation, or close other programs."
_REINSTALL = (
    "Reinstall it with: pip install --force-reinstall --no-cache-dir llama-cpp-python; `offtui doctor` says more."
)


class Sign(msgspec.Struct, frozen=True):
    """Lines in a log that give a cause away."""

    marks: tuple[str, ...]
    """Lower case; the first that occurs in a line of the log makes that line the evidence."""
    kind: FailureKind
    cause: str
    """Ends the sentence ``The worker died while …:``."""
    advice: str


SIGNS = (
    Sign(
        (
            "no module named 'llama_cpp'",
            "failed to load shared library",
            "shared library with base name 'llama' not found",
            "cannot open shared object file",
        ),
        "internal",
        "llama-cpp-python cannot be imported",
        _REINSTALL,
    ),
    Sign(
        ("rpc server version mismatch",),
        "rpc_mismatch",
        "the RPC device runs another version of llama.cpp",
        "Install the same version of llama-cpp-python on both machines.",
    ),
    Sign(
        ("failed to connect to ", "rpc handshake failed for "),
        "rpc_unreachable",
        "the RPC device does not answer",
        "Start `offtui device` there, or leave out --rpc.",
    ),
    Sign(
        ("remote rpc server crashed or returned malformed response",),
        "device_lost",
        "the RPC device is gone",
        "Start `offtui device` there again, then load again.",
    ),
    Sign(
        signs.DEVICE_MEMORY,
        "out_of_memory",
        "a device ran out of memory",
        _FEWER_LAYERS,
    ),
    Sign(
        signs.RAM,
        "out_of_memory",
        "the RAM ran out",
        _LESS_RAM,
    ),
    Sign(
        (
            "devicelosterror",
            "errordevicelost",
            "gpu is lost",
            "gpu has fallen off the bus",
            "uncorrectable ecc error",
            "unspecified launch failure",
            "illegal memory access was encountered",
            "kiogpucommandbuffercallbackerrorhang",
            "kiogpucommandbuffercallbackerrortimeout",
            "callbackerrorsubmissionsignored",
        ),
        "device_lost",
        "the GPU stopped working for it",
        "Load again; if it happens again, look at the system log for the driver's errors.",
    ),
    Sign(
        ("no kernel image is available for execution",),
        "unsupported",
        "llama.cpp was built for another GPU",
        "Build llama-cpp-python on this machine; `offtui doctor` gives the command.",
    ),
    Sign(
        (
            "cuda driver version is insufficient",
            "no cuda-capable device is detected",
            "devices are busy or unavailable",
        ),
        "device_lost",
        "the CUDA device cannot be used",
        "Check it with nvidia-smi; `offtui doctor` says what is missing.",
    ),
)

_HARMLESS = ("pinned memory",)
"""llama.cpp goes on without it."""

_SIGNALS: dict[int, tuple[FailureKind, str, str]] = {
    signal.SIGKILL: (
        "crashed",
        "it was killed (SIGKILL) by somebody or by the kernel, which does so when the RAM runs out",
        "If nobody killed it: " + _LESS_RAM[0].lower() + _LESS_RAM[1:],
    ),
    signal.SIGSEGV: (
        "crashed",
        "invalid memory access (SIGSEGV)",
        "The file may be damaged: compare its checksum, or try another one.",
    ),
    signal.SIGBUS: (
        "crashed",
        "the model file could not be read on (SIGBUS)",
        "The file was cut off or changed while in use, or its disk fails.",
    ),
    signal.SIGABRT: (
        "crashed",
        "llama.cpp gave up (SIGABRT)",
        "Load again; if it happens again, the file may be damaged or not supported.",
    ),
    signal.SIGFPE: (
        "crashed",
        "invalid arithmetic (SIGFPE)",
        "The file may be damaged: compare its checksum, or try another one.",
    ),
    signal.SIGILL: (
        "crashed",
        "llama.cpp was built for another CPU (SIGILL)",
        "Build llama-cpp-python on this machine; `offtui doctor` gives the command.",
    ),
}

_ABORT = re.compile(r"\.(?:c|cc|cpp|cu|cuh|h|hpp|m|mm):\d+: ")
_BUILD_FOLDER = re.compile(r"\S*/(?=[^/\s]+\.(?:c|cc|cpp|cu|cuh|h|hpp|m|mm):\d+)")
_WHAT = "what():"
_TRACEBACK = "Traceback (most recent call last)"


def autopsy(
    returncode: int | None,
    log_tail: str,
    phase: Phase,
    spec: LoadSpec | None,
    *,
    oom_killed: bool | None = None,
) -> Failure:
    """Explain the unwanted end of a worker.

    Args:
        returncode: as ``subprocess`` gives it; ``None``: it could not be reaped.
        log_tail: the end of what it printed, uncleaned.
        phase: what the session was doing.
        spec: what was loaded or being loaded.
        oom_killed: whether the kernel's OOM killer was at work in its lifetime; ``None``: unknown.
    """
    lines = [line for raw in log_tail.splitlines() if (line := clean_line(raw))]
    doing = _doing(phase, spec)
    if returncode == -signal.SIGKILL:
        # A killed process says nothing about it: whatever the log holds is older.
        if oom_killed:
            return _failure("out_of_memory", doing, "the kernel killed it because the RAM ran out", "", _LESS_RAM)
        kind, cause, advice = _SIGNALS[signal.SIGKILL]
        return _failure(kind, doing, cause, "", advice)
    for sign in SIGNS:
        evidence = _find(lines, sign.marks)
        if evidence:
            return _failure(sign.kind, doing, sign.cause, evidence, sign.advice)
    if returncode is not None and returncode < 0:
        return _by_signal(-returncode, lines, doing)
    if any(_TRACEBACK in line for line in lines):
        return _failure("internal", doing, "an error in its Python code", lines[-1], "Load again, and report it.")
    cause = "it does not end" if returncode is None else f"it ended by itself with status {returncode}"
    return _failure("crashed", doing, cause, lines[-1] if lines else "", "Load again.")


def explanation(ending: Ending, phase: Phase, spec: LoadSpec | None) -> Failure | None:
    """Why a worker that is reaped had to end; ``None`` where that was wanted.

    Args:
        ending: over, its child not yet closed.
        phase: what the session was doing.
        spec: what was loaded or being loaded.
    """
    if not ending.explain:
        return ending.failure
    code = None if ending.killed else ending.returncode
    doing = Phase.LOADING if ending.beside else phase
    return autopsy(code, ending.child.log_tail(), doing, spec, oom_killed=ending.child.oom_killed())


def _by_signal(number: int, lines: list[str], doing: str) -> Failure:
    evidence = next((line for line in reversed(lines) if _ABORT.search(line)), "")
    evidence = evidence or next((line for line in reversed(lines) if _WHAT in line), "")
    if number in _SIGNALS:
        kind, cause, advice = _SIGNALS[number]
        return _failure(kind, doing, cause, evidence, advice)
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return _failure("crashed", doing, f"it was ended by {name}", evidence, "Load again.")


def _doing(phase: Phase, spec: LoadSpec | None) -> str:
    match phase:
        case Phase.LOADING:
            return f"while loading {clean_line(Path(spec.model).name, 80)}" if spec else "while loading"
        case Phase.GENERATING | Phase.STOPPING:
            return "while answering"
        case _:
            return "while it had nothing to do"


def _find(lines: list[str], marks: tuple[str, ...]) -> str:
    lowered = [line.lower() for line in lines]
    for mark in marks:
        for line, low in zip(reversed(lines), reversed(lowered), strict=True):
            if mark in low and not any(word in low for word in _HARMLESS):
                return line
    return ""


def _failure(kind: FailureKind, doing: str, cause: str, evidence: str, advice: str) -> Failure:
    return Failure(kind, f"The worker died {doing}: {cause}.", _BUILD_FOLDER.sub("", evidence), advice)
