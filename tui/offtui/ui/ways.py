"""What tells whether a load that failed would fail again. Pure, but for looking at files."""

import os

from offtui.engine.state import SessionState
from offtui.protocol.facts import Failure
from offtui.protocol.spec import LoadSpec

OF_DEVICES = ("device_lost", "rpc_unreachable", "rpc_mismatch")
"""Failures for which a device of another machine is the reason."""
OF_FILES = ("not_found", "permission", "not_gguf", "truncated", "unsupported", "no_tokenizer")
"""Failures of the kind that the same load has again."""

_DECIDING = (
    "model",
    "rpc",
    "rpc_as_found",
    "placement",
    "vram_budget",
    "type_k",
    "type_v",
    "flash_attn",
    "n_ubatch",
    "on_cpu",
    "tensor_split",
)
"""Fields that make a load another one, and that the worker does not fill in."""

Stamp = tuple[int, int] | None
"""Of a file."""


def stamp(path: str) -> Stamp:
    """What tells whether a file is still the same; ``None``: there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def is_of_file(failure: Failure | None) -> bool:
    """Whether it was the file that could not be loaded."""
    return failure is not None and failure.kind in OF_FILES


def is_cancelled(state: SessionState) -> bool:
    """Whether the person gave the load up."""
    return state.failure is not None and state.failure.kind == "cancelled"


def is_same(failed: LoadSpec, good: LoadSpec) -> bool:
    """Whether loading ``good``, whose open choices are filled in, would do what has failed."""
    return (
        all(getattr(failed, name) == getattr(good, name) for name in _DECIDING)
        and failed.n_gpu_layers in (None, good.n_gpu_layers)
        and failed.n_ctx in (None, good.n_ctx)
    )
