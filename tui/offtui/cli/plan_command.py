"""The commands of other programs that load a model as a plan says."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, assert_never, get_args

from offtui.errors import UsageError
from offtui.gguf.header import Header
from offtui.plan.report import Plan
from offtui.plan.settings import Settings
from offtui.plan.table import kept_patterns
from offtui.text import clean_line

Program = Literal["llama-server", "ollama", "lms"]
PROGRAMS: Final[tuple[str, ...]] = get_args(Program)


def command_line(program: Program, header: Header, settings: Settings, plan: Plan, rpc: Sequence[str] = ()) -> str:
    """What to type into a shell; a remark where the program cannot do all of it.

    Raises:
        UsageError: the program cannot keep single tensors in RAM, and the plan is to do so.
    """
    row = plan.choice.row
    kept = kept_patterns(plan.table.placement, row.n_kept)
    if kept and program != "llama-server":
        raise UsageError(f"{program} cannot keep single tensors in RAM; plan for it with --placement layers.")
    match program:
        case "llama-server":
            words = ["llama-server", "-m", header.path, "-ngl", str(row.n_gpu_layers), "-c", str(settings.ctx_seq)]
            words += ["-ub", str(settings.n_ubatch), "-ctk", settings.type_k, "-ctv", settings.type_v]
            words += ["-fa", "on" if settings.flash_attn else "off"]
            # left to itself it makes several slots, whose windows take more memory
            words += ["-np", "1"]
            if rpc:
                words += ["--rpc", ",".join(rpc)]
            if kept and plan.table.placement == "experts":
                words += ["--n-cpu-moe", str(row.n_kept)]
            elif kept:
                words += [word for pattern in kept for word in ("-ot", f"{pattern}=CPU")]
            return " ".join(map(quoted, words))
        case "ollama":
            name = "offtui-plan"
            lines = [f"FROM {Path(header.path).resolve()}", f"PARAMETER num_gpu {row.n_gpu_layers}"]
            lines += [f"PARAMETER num_ctx {settings.ctx_seq}", f"PARAMETER num_batch {settings.ubatch}"]
            modelfile = " ".join(quoted(line) for line in lines)
            command = f"printf '%s\\n' {modelfile} > Modelfile && ollama create {name} -f Modelfile"
            return f"{command} && ollama run {name}" + _remark(settings, "OLLAMA_KV_CACHE_TYPE")
        case "lms":
            share = row.n_gpu_layers / max(plan.table.rows[-1].n_gpu_layers, 1)
            gpu = "max" if share == 1 else "off" if share == 0 else f"{share:.4f}"
            key = quoted(clean_line(Path(header.path).stem))
            command = f"lms load {key} --gpu {gpu} --context-length {settings.ctx_seq}"
            return command + _remark(settings, "the app's settings")
        case _:
            assert_never(program)


def quoted(word: str) -> str:
    """``word`` for a POSIX shell; bytes that act on a terminal are written as escapes."""
    if clean_line(word, len(word) + 1) == word:
        return shlex.quote(word)
    raw = word.encode("utf-8", "surrogateescape")
    return (
        "$'" + "".join(chr(byte) if 32 <= byte < 127 and byte not in b"\\'" else f"\\x{byte:02x}" for byte in raw) + "'"
    )


def _remark(settings: Settings, where: str) -> str:
    """As a comment of the shell: what of the plan the command leaves out."""
    if settings.type_k == settings.type_v == "f16":
        return ""
    return f"  # the KV cache's type is set by {where}"
