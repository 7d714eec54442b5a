"""``gguf_*`` of ggml through ctypes: opens a file without allocating its tensors, and hands out plain values."""

import ctypes
import math
import os
from types import TracebackType
from typing import Any, Self

from llama_cpp import llama_cpp

from offtui.gguf.header import Scalar, Tensor

MAX_STRING = 1 << 20
"""Characters kept of a text; chat templates have some ten thousand."""
MAX_ARRAY = 4096
"""Elements up to which an array of numbers is kept: per-layer values; vocabularies are longer."""
MAX_STRINGS = 64
"""Elements up to which an array of texts is kept: tags, languages, labels."""
MAX_ELEMENTS = 1 << 20
"""Elements read of an array that is asked for by itself; the largest vocabularies have some 300 000."""
MAX_DIMS = 4

_STRING, _ARRAY, _BOOL = 8, 9, 7
_NUMBERS: dict[int, tuple[str, Any]] = {
    0: ("u8", ctypes.c_uint8),
    1: ("i8", ctypes.c_int8),
    2: ("u16", ctypes.c_uint16),
    3: ("i16", ctypes.c_int16),
    4: ("u32", ctypes.c_uint32),
    5: ("i32", ctypes.c_int32),
    6: ("f32", ctypes.c_float),
    7: ("bool", ctypes.c_bool),
    10: ("u64", ctypes.c_uint64),
    11: ("i64", ctypes.c_int64),
    12: ("f64", ctypes.c_double),
}
"""gguf value type → suffix of its getter and its C type."""


class _InitParams(ctypes.Structure):
    _fields_ = [("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p)]


_LogCallback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class NativeReader:
    """ggml's reader in the library that llama_cpp has loaded; a second copy of ggml would have its own globals."""

    def __init__(self) -> None:
        # dlsym through libllama's handle also searches the libraries it depends on
        self._lib: Any = llama_cpp._lib  # pyright: ignore[reportPrivateUsage] -- the one handle there is
        index, handle = ctypes.c_int64, ctypes.c_void_p
        self.init = self.function("gguf_init_from_file", handle, ctypes.c_char_p, _InitParams)
        self.free = self.function("gguf_free", None, handle)
        self.version = self.function("gguf_get_version", ctypes.c_uint32, handle)
        self.data_offset = self.function("gguf_get_data_offset", ctypes.c_size_t, handle)
        self.n_kv = self.function("gguf_get_n_kv", index, handle)
        self.find_key = self.function("gguf_find_key", index, handle, ctypes.c_char_p)
        self.key = self.function("gguf_get_key", ctypes.c_char_p, handle, index)
        self.kv_type = self.function("gguf_get_kv_type", ctypes.c_int, handle, index)
        self.arr_type = self.function("gguf_get_arr_type", ctypes.c_int, handle, index)
        self.arr_n = self.function("gguf_get_arr_n", ctypes.c_size_t, handle, index)
        self.arr_data = self.function("gguf_get_arr_data", handle, handle, index)
        self.arr_str = self.function("gguf_get_arr_str", ctypes.c_char_p, handle, index, ctypes.c_size_t)
        self.text = self.function("gguf_get_val_str", ctypes.c_char_p, handle, index)
        self.number = {
            kind: self.function(f"gguf_get_val_{suffix}", c_type, handle, index)
            for kind, (suffix, c_type) in _NUMBERS.items()
        }
        self.n_tensors = self.function("gguf_get_n_tensors", index, handle)
        self.tensor_name = self.function("gguf_get_tensor_name", ctypes.c_char_p, handle, index)
        self.tensor_type = self.function("gguf_get_tensor_type", ctypes.c_int, handle, index)
        self.tensor_size = self.function("gguf_get_tensor_size", ctypes.c_size_t, handle, index)
        self.tensor_offset = self.function("gguf_get_tensor_offset", ctypes.c_size_t, handle, index)
        self.tensor_ne = self.function("gguf_get_tensor_ne", ctypes.POINTER(ctypes.c_int64), handle, index)
        self._type_name = self.function("ggml_type_name", ctypes.c_char_p, ctypes.c_int)
        self._type_names: dict[int, str] = {}

    def function(self, name: str, result: Any, *arguments: Any) -> Any:
        """The function of that name, with its types set on a handle of our own."""
        address = ctypes.cast(getattr(self._lib, name), ctypes.c_void_p).value
        assert address is not None, name
        return ctypes.CFUNCTYPE(result, *arguments)(address)

    def type_name(self, kind: int) -> str:
        """ggml's name of a tensor type."""
        if kind not in self._type_names:
            self._type_names[kind] = (self._type_name(kind) or b"?").decode("ascii", "replace")
        return self._type_names[kind]

    def open(self, path: str) -> "tuple[NativeFile | None, list[str]]":
        """The file, or ``None`` where ggml refuses it; and the lines ggml logged meanwhile."""
        log: list[str] = []

        @_LogCallback
        def keep(_level: int, text: bytes | None, _data: object) -> None:
            line = (text or b"").decode("utf-8", "replace").strip()
            if line:
                log.append(line)

        before, data = ctypes.c_void_p(), ctypes.c_void_p()
        get = self.function("ggml_log_get", None, ctypes.c_void_p, ctypes.c_void_p)
        put = self.function("ggml_log_set", None, ctypes.c_void_p, ctypes.c_void_p)
        get(ctypes.addressof(before), ctypes.addressof(data))
        put(ctypes.cast(keep, ctypes.c_void_p), None)
        try:
            handle = self.init(os.fsencode(path), _InitParams(no_alloc=True, ctx=None))
        finally:
            put(before, data)
        return (NativeFile(self, handle) if handle else None), log


class NativeFile:
    """One open header; a context manager that frees it."""

    def __init__(self, reader: NativeReader, handle: int) -> None:
        self._gguf = reader
        self._handle = handle

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gguf.free(self._handle)

    @property
    def version(self) -> int:
        """Of the format."""
        return self._gguf.version(self._handle)

    @property
    def data_offset(self) -> int:
        """Where the tensor data begins."""
        return self._gguf.data_offset(self._handle)

    def integer(self, key: str) -> int | None:
        """The integer at ``key``, of whatever width; ``None`` if there is none."""
        index = self._gguf.find_key(self._handle, key.encode())
        value = self._value(index) if index >= 0 else None
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def metadata(self) -> tuple[dict[str, Scalar | tuple[Scalar, ...]], dict[str, int]]:
        """All scalars, texts and short arrays by key, and the length of each array."""
        values: dict[str, Scalar | tuple[Scalar, ...]] = {}
        lengths: dict[str, int] = {}
        for index in range(self._gguf.n_kv(self._handle)):
            key = _text(self._gguf.key(self._handle, index))
            if self._gguf.kv_type(self._handle, index) == _ARRAY:
                lengths[key] = self._gguf.arr_n(self._handle, index)
            value = self._value(index)
            # a number that is none means nothing, and cannot be written as JSON
            if value is not None and _is_finite(value):
                values[key] = value
        return values, lengths

    def elements(self, key: str) -> tuple[Scalar, ...] | None:
        """All elements of the array at ``key``; ``None`` where there is none."""
        index = self._gguf.find_key(self._handle, key.encode("utf-8", "replace"))
        if index < 0 or self._gguf.kv_type(self._handle, index) != _ARRAY:
            return None
        return self._array(index, MAX_ELEMENTS, MAX_ELEMENTS)

    def tensors(self, part: int) -> list[Tensor]:
        """The tensor table; ``offset`` counts from the beginning of the file."""
        gguf, handle, base = self._gguf, self._handle, self.data_offset
        return [
            Tensor(
                _text(gguf.tensor_name(handle, index)),
                gguf.type_name(gguf.tensor_type(handle, index)),
                _shape(gguf.tensor_ne(handle, index)),
                gguf.tensor_size(handle, index),
                base + gguf.tensor_offset(handle, index),
                part,
            )
            for index in range(gguf.n_tensors(handle))
        ]

    def _value(self, index: int) -> Scalar | tuple[Scalar, ...] | None:
        kind: int = self._gguf.kv_type(self._handle, index)
        if kind == _STRING:
            return _text(self._gguf.text(self._handle, index))
        if kind == _ARRAY:
            return self._array(index)
        getter = self._gguf.number.get(kind)
        return None if getter is None else getter(self._handle, index)

    def _array(self, index: int, most: int = MAX_ARRAY, texts: int = MAX_STRINGS) -> tuple[Scalar, ...] | None:
        kind: int = self._gguf.arr_type(self._handle, index)
        count: int = self._gguf.arr_n(self._handle, index)
        if kind == _STRING:
            if count > texts:
                return None
            return tuple(_text(self._gguf.arr_str(self._handle, index, i)) for i in range(count))
        if kind not in _NUMBERS or count > most:
            return None
        if count == 0:
            return ()
        # bools are stored as bytes that may be neither 0 nor 1
        c_type = ctypes.c_uint8 if kind == _BOOL else _NUMBERS[kind][1]
        data: Any = (c_type * count).from_address(self._gguf.arr_data(self._handle, index))
        return tuple(bool(item) for item in data) if kind == _BOOL else tuple(data)


def _text(raw: bytes | None) -> str:
    return (raw or b"")[: 4 * MAX_STRING].decode("utf-8", "replace")[:MAX_STRING]


def _shape(ne: Any) -> tuple[int, ...]:
    shape = [int(ne[i]) for i in range(MAX_DIMS)]
    while len(shape) > 1 and shape[-1] == 1:
        shape.pop()
    return tuple(shape)


def _is_finite(value: Scalar | tuple[Scalar, ...]) -> bool:
    parts = value if isinstance(value, tuple) else (value,)
    return all(math.isfinite(part) for part in parts if isinstance(part, float))
