"""Keeping single tensors in RAM: llama.cpp's ``tensor_buft_overrides``, which llama-cpp-python leaves untyped."""

import ctypes
from typing import Any

from offtui.worker import llama


class _Override(ctypes.Structure):
    _fields_ = [("pattern", ctypes.c_char_p), ("buft", ctypes.c_void_p)]


def on_cpu(patterns: tuple[str, ...]) -> Any:
    """``tensor_buft_overrides`` for tensors that stay in RAM whatever their layer.

    Args:
        patterns: regular expressions, searched in tensor names by llama.cpp.

    Returns:
        An array for ``llama_model_params``, to be kept alive until the model is loaded; ``None`` without patterns.
    """
    if not patterns:
        return None
    buft = llama.lib.ggml_backend_cpu_buffer_type
    buft.restype = ctypes.c_void_p
    target = buft()
    rows = [_Override(pattern.encode(), target) for pattern in patterns]
    return (_Override * (len(rows) + 1))(*rows, _Override(None, None))
