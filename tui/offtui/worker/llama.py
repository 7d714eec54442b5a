"""llama.cpp's C API as llama-cpp-python binds it: the only import of ``llama_cpp``, and the types it lacks.

Every ggml symbol is reached through libllama's handle: the wheel ships ``libggml.so`` beside ``libggml.so.0``, and
loading the other file would give a second registry of devices.
"""

import ctypes
import time
from typing import Any, Final

import llama_cpp
from llama_cpp import llama_cpp as _binding

from offtui.memory import ram
from offtui.protocol.facts import DeviceFacts, DeviceKind
from offtui.protocol.spec import CacheType, FlashAttn
from offtui.text import clean_line

api: Final[Any] = _binding
"""The functions and structs of ``llama.h``. Untyped: they are ctypes."""

lib: Final[Any] = getattr(_binding, "_lib")  # noqa: B009 -- private, and the only way to dlsym of its dependencies

VERSION: Final[str] = llama_cpp.__version__

CACHE_TYPES: Final[dict[CacheType, int]] = {
    "f32": 0,
    "f16": 1,
    "q4_0": 2,
    "q4_1": 3,
    "q5_0": 6,
    "q5_1": 7,
    "q8_0": 8,
    "iq4_nl": 20,
    "bf16": 30,
}
"""ggml's numbers of the types a KV cache may have."""

FLASH_ATTN: Final[dict[FlashAttn, int]] = {"auto": -1, "off": 0, "on": 1}

LOAD_MODE_NONE: Final = 0
LOAD_MODE_MMAP: Final = 1

_TRIPS: Final = 3
"""Times an RPC device is asked, of which the fastest tells how far away it is."""

_KINDS: Final[dict[int, DeviceKind]] = {0: "cpu", 1: "gpu", 2: "igpu", 3: "accel", 4: "gpu"}


def _bind(name: str, restype: Any, *argtypes: Any) -> Any:
    function = getattr(lib, name)
    function.restype = restype
    function.argtypes = argtypes
    return function


_dev_count = _bind("ggml_backend_dev_count", ctypes.c_size_t)
_dev_get = _bind("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
_dev_name = _bind("ggml_backend_dev_name", ctypes.c_char_p, ctypes.c_void_p)
_dev_description = _bind("ggml_backend_dev_description", ctypes.c_char_p, ctypes.c_void_p)
_dev_type = _bind("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)
_dev_memory = _bind(
    "ggml_backend_dev_memory", None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(ctypes.c_size_t)
)


class _Props(ctypes.Structure):
    """``ggml_backend_dev_props``; the capabilities at its end have room to grow."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("description", ctypes.c_char_p),
        ("memory_free", ctypes.c_size_t),
        ("memory_total", ctypes.c_size_t),
        ("type", ctypes.c_int),
        ("device_id", ctypes.c_char_p),
        ("caps", ctypes.c_bool * 64),
    )


_dev_props = _bind("ggml_backend_dev_get_props", None, ctypes.c_void_p, ctypes.POINTER(_Props))
_dev_reg = _bind("ggml_backend_dev_backend_reg", ctypes.c_void_p, ctypes.c_void_p)
_reg_count = _bind("ggml_backend_reg_count", ctypes.c_size_t)
_reg_get = _bind("ggml_backend_reg_get", ctypes.c_void_p, ctypes.c_size_t)
_reg_name = _bind("ggml_backend_reg_name", ctypes.c_char_p, ctypes.c_void_p)
_register = _bind("ggml_backend_register", None, ctypes.c_void_p)


def backends() -> tuple[str, ...]:
    """Names of the backends built into the installed llama.cpp: ``("RPC", "CPU")``."""
    return tuple(_text(_reg_name(_reg_get(index))) for index in range(_reg_count()))


def devices() -> list[ctypes.c_void_p]:
    """Handles of every ggml device, RPC ones that were added among them."""
    return [ctypes.c_void_p(_dev_get(index)) for index in range(_dev_count())]


def device_facts(device: ctypes.c_void_p) -> DeviceFacts:
    """Name, kind and memory of a device, asked of its backend now. 0 bytes in total means unknown."""
    name = _text(_dev_name(device))
    kind = _KINDS.get(_dev_type(device), "gpu")
    if _text(_reg_name(_dev_reg(device))) == "RPC":
        kind = "rpc"
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    times: list[float] = []
    for _ in range(_TRIPS if kind == "rpc" else 1):
        asked = time.perf_counter()
        _dev_memory(device, ctypes.byref(free), ctypes.byref(total))
        times.append(time.perf_counter() - asked)
    round_trip = min(times) if kind == "rpc" else None
    description = _text(_dev_description(device))
    pci = _pci(device) if kind in ("gpu", "igpu") else None
    if total.value <= 0:
        return DeviceFacts(name, kind, description, None, None, round_trip, pci)
    # of the CPU ggml reports all RAM as free, and of a container the whole machine's
    if kind == "cpu":
        most, left = ram()
        most = min(most, total.value)
        return DeviceFacts(name, kind, description, min(left, most), most)
    return DeviceFacts(name, kind, description, min(free.value, total.value), total.value, round_trip, pci)


def _pci(device: ctypes.c_void_p) -> str | None:
    """Where it sits on the bus; ``None`` where its backend does not say."""
    props = _Props()
    _dev_props(device, ctypes.byref(props))
    return _text(props.device_id) or None if props.device_id else None


def all_device_facts() -> tuple[DeviceFacts, ...]:
    """Every device with its memory, asked now."""
    return tuple(device_facts(device) for device in devices())


def has_rpc() -> bool:
    """Whether the installed llama.cpp can use RPC devices."""
    return hasattr(lib, "ggml_backend_rpc_add_server")


def add_rpc_server(endpoint: str) -> bool:
    """Register the devices of an RPC server. Blocks while it is busy; check it first.

    Returns:
        False where the server was refused; llama.cpp's log says why.
    """
    add = _bind("ggml_backend_rpc_add_server", ctypes.c_void_p, ctypes.c_char_p)
    registry = add(endpoint.encode())
    if not registry:
        return False
    _register(registry)
    return True


def serve_rpc(endpoint: str, n_threads: int, served: list[ctypes.c_void_p]) -> None:
    """Serve devices to one RPC client at a time. Returns only when the socket cannot be opened."""
    start = _bind(
        "ggml_backend_rpc_start_server",
        None,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_size_t,
        ctypes.POINTER(ctypes.c_void_p),
    )
    array = (ctypes.c_void_p * len(served))(*served)
    start(endpoint.encode(), None, n_threads, len(served), array)


def strlen_callback(callback_type: Any) -> Any:
    """libc's ``strlen`` as an abort callback: true when the flag byte it points to is not 0, without the GIL."""
    return ctypes.cast(ctypes.CDLL(None).strlen, callback_type)


def _text(raw: bytes | None) -> str:
    return clean_line((raw or b"").decode("utf-8", "replace"), 200)
