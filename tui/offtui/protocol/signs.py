"""What llama.cpp and its backends write when memory runs out, whether the load returns or the process dies of it.

Lower case, parts of lines; of ``ggml-cuda.cu``, ``ggml-vulkan*.cpp``, ``ggml-metal*.m``, ``ggml-alloc.c``,
``ggml-backend.cpp``, ``llama-*.cpp``.
"""

from typing import Final

DEVICE_MEMORY: Final = (
    "cudamalloc failed: out of memory",
    "cuda error: out of memory",
    "rocm error: out of memory",
    "hipmalloc failed: out of memory",
    "cublas_status_alloc_failed",
    "erroroutofdevicememory",
    "requested buffer size exceeds device buffer size limit",
    "kiogpucommandbuffercallbackerroroutofmemory",
    "failed to allocate metal buffer",
    "error: failed to allocate buffer, size",
    "failed to allocate cuda",
    "failed to allocate rocm",
    "failed to allocate vulkan",
    "failed to allocate rpc",
    "unable to allocate cuda",
    "unable to allocate rocm",
    "unable to allocate vulkan",
    "unable to allocate metal",
    "unable to allocate rpc",
)
"""A device is full."""

RAM: Final = (
    "failed to allocate cpu",
    "unable to allocate cpu",
    "ggml_aligned_malloc",
    "std::bad_alloc",
    "erroroutofhostmemory",
    "cannot allocate memory",
    "memoryerror",
    "failed to allocate buffer of size",
    "failed to allocate buffer for kv cache",
    "failed to allocate compute",
)
"""The RAM is full."""
