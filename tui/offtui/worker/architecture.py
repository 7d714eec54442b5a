"""Whether the installed llama.cpp has code for an architecture."""

import ctypes
import functools
import struct
import tempfile
from typing import Any

from offtui.worker.llama import api

_KEY = b"general.architecture"
_STRING = 8
"""gguf's number of the type."""
_REFUSAL = "unknown model architecture"


@functools.cache
def is_known(arch: str) -> bool:
    """Ask llama.cpp with a file that says nothing but its architecture; no device is touched.

    What it says of such a file besides goes nowhere; the log that was installed is installed again.
    """
    name = arch.encode("utf-8", "replace")
    body = struct.pack("<4sIQQ", b"GGUF", 3, 0, 1)
    body += struct.pack("<Q", len(_KEY)) + _KEY + struct.pack("<IQ", _STRING, len(name)) + name
    lines: list[str] = []

    @api.llama_log_callback
    def keep(_level: int, text: bytes | None, _data: object) -> None:
        lines.append((text or b"").decode("utf-8", "replace"))

    before, data = api.llama_log_callback(), ctypes.c_void_p()
    api.llama_log_get(ctypes.byref(before), ctypes.byref(data))
    parameters: Any = api.llama_model_default_params()
    parameters.vocab_only = True
    none = (ctypes.c_void_p * 1)()
    parameters.devices = ctypes.addressof(none)
    with tempfile.NamedTemporaryFile(prefix="offtui-", suffix=".gguf") as file:
        file.write(body)
        file.flush()
        api.llama_log_set(keep, ctypes.c_void_p(0))
        try:
            model = api.llama_model_load_from_file(file.name.encode(), parameters)
        finally:
            api.llama_log_set(before, data)
    if model:
        api.llama_model_free(model)
    return not any(_REFUSAL in line for line in lines)
