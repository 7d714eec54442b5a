"""llama.cpp's parameters for a spec: one translation, so that a dry load tries what the real one does."""

import ctypes
import os
from collections.abc import Callable, Collection, Sequence
from typing import Any

from offtui.protocol.spec import FlashAttn, LoadSpec
from offtui.worker import llama, rpc
from offtui.worker.failures import WorkerError, fail
from offtui.worker.llama import api
from offtui.worker.logring import LogRing
from offtui.worker.overrides import on_cpu

LEFT_SECONDS = 20.0
"""For a slot that an earlier worker of ours has left, and that may be in the middle of a step for it."""


def add_rpc_devices(
    endpoints: Sequence[str],
    log: LogRing,
    left: Collection[str] = (),
    waiting: Callable[[], None] = lambda: None,
) -> None:
    """Have llama.cpp use these RPC servers' devices as well.

    Args:
        endpoints: ``host:port`` each.
        log: of llama.cpp.
        left: of them those that an earlier worker used: they are waited for longer.
        waiting: called meanwhile; what it raises ends that.

    Raises:
        WorkerError: llama.cpp has no RPC, or a server is away, busy or another version's.
    """
    if endpoints and not llama.has_rpc():
        raise fail(
            "rpc_unreachable",
            "The installed llama.cpp was built without RPC, so --rpc cannot be used.",
            advice='Install it again with CMAKE_ARGS="-DGGML_RPC=on"; `offtui doctor` shows the command.',
        )
    for endpoint in endpoints:
        failure = rpc.check(endpoint, hello_timeout=LEFT_SECONDS if endpoint in left else 3.0, waiting=waiting)
        if failure is not None:
            raise WorkerError(failure)
        if not llama.add_rpc_server(endpoint):
            raise fail(
                "rpc_mismatch",
                f"The RPC device {endpoint} was refused.",
                evidence=next(iter(reversed(log.errors)), ""),
                advice="Use the same version of llama-cpp-python on both machines.",
            )


def model_path(spec: LoadSpec) -> bytes:
    """The path as the system has it, whatever bytes it is made of."""
    return os.fsencode(spec.model)


def model_parameters(spec: LoadSpec, n_gpu_layers: int | None, kept: tuple[str, ...]) -> Any:
    """``llama_model_params`` of a load; ``kept`` are patterns of tensors that stay in RAM."""
    parameters = api.llama_model_default_params()
    parameters.n_gpu_layers = n_gpu_layers
    parameters.main_gpu = spec.main_gpu
    parameters.load_mode = llama.LOAD_MODE_MMAP if spec.use_mmap else llama.LOAD_MODE_NONE
    if spec.tensor_split:
        shares = (ctypes.c_float * api.llama_max_devices())(*spec.tensor_split)
        parameters.tensor_split = ctypes.cast(shares, ctypes.POINTER(ctypes.c_float))
    overrides = on_cpu(kept)
    if overrides is not None:
        parameters.tensor_buft_overrides = ctypes.cast(overrides, ctypes.c_void_p)
        parameters.kept_alive = overrides  # the field above is an address, which keeps nothing
    return parameters


def context_parameters(spec: LoadSpec, flash_attn: FlashAttn) -> Any:
    """``llama_context_params`` of a load: all that decides how much memory the context takes."""
    parameters = api.llama_context_default_params()
    parameters.n_ctx = spec.n_ctx or 0
    parameters.n_batch = spec.n_batch
    parameters.n_ubatch = spec.n_ubatch
    parameters.n_seq_max = 1
    parameters.n_outputs_max = 1
    parameters.type_k = llama.CACHE_TYPES[spec.type_k]
    parameters.type_v = llama.CACHE_TYPES[spec.type_v]
    parameters.flash_attn_type = llama.FLASH_ATTN[flash_attn]
    parameters.offload_kqv = spec.offload_kqv
    parameters.swa_full = False
    return parameters
