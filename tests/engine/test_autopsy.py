"""The tables of the autopsy, over lines that llama.cpp and its backends really print."""

import signal

import pytest

from offtui.engine.autopsy import SIGNS, autopsy
from offtui.engine.state import Phase
from offtui.protocol.spec import LoadSpec

SPEC = LoadSpec(model="/models/qwen2-7b-q4_k_m.gguf", n_gpu_layers=20)
ABORT = -signal.SIGABRT

CUDA_WEIGHTS = """\
load_tensors: loading model tensors, this can take a while... (mmap = true)
ggml_backend_cuda_buffer_type_alloc_buffer: allocating 5121.50 MiB on device 0: cudaMalloc failed: out of memory
alloc_tensor_range: failed to allocate CUDA0 buffer of size 5370281984
llama_model_load: error loading model: unable to allocate CUDA0 buffer
llama_model_load_from_file_impl: failed to load model
"""
CUDA_DECODE = """\
CUDA error: out of memory
  current device: 0, in function alloc at /build/ggml/src/ggml-cuda/ggml-cuda.cu:551
  cuMemCreate(&handle, reserve_size, &prop, 0)
/build/ggml/src/ggml-cuda/ggml-cuda.cu:109: CUDA error
"""
CUDA_COMPUTE = """\
ggml_gallocr_reserve_n_impl: failed to allocate CUDA0 buffer of size 1162871808
graph_reserve: failed to allocate compute buffers
llama_init_from_model: failed to initialize the context: failed to allocate compute pp buffers
"""
VULKAN = """\
ggml_vulkan: Device memory allocation of size 369827840 failed.
ggml_vulkan: vk::Device::allocateMemory: ErrorOutOfDeviceMemory
"""
METAL = """\
ggml_metal_synchronize: error: command buffer 1 failed with status 5
error: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)
"""
RAM = """\
ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 171798691840
alloc_tensor_range: failed to allocate CPU buffer of size 171798691840
llama_model_load: error loading model: unable to allocate CPU buffer
"""
RPC_GONE = """\
recv failed (bytes_recv=0, size_to_recv=8)
/build/ggml/src/ggml-rpc/ggml-rpc.cpp:782: Remote RPC server crashed or returned malformed response
"""
VULKAN_LOST = """\
ggml_vulkan: getFenceStatus at /build/ggml/src/ggml-vulkan/ggml-vulkan.cpp:359
terminate called after throwing an instance of 'vk::DeviceLostError'
  what():  vk::Device::getFenceStatus: ErrorDeviceLost
"""
CUDA_ILLEGAL = """\
CUDA error: an illegal memory access was encountered
  current device: 0, in function ggml_backend_cuda_synchronize at /build/ggml/src/ggml-cuda/ggml-cuda.cu:2831
  cudaStreamSynchronize(cuda_ctx->stream())
/build/ggml/src/ggml-cuda/ggml-cuda.cu:90: CUDA error
"""
NO_IMPORT = """\
Traceback (most recent call last):
  File "/venv/lib/python3.11/site-packages/llama_cpp/_ctypes_extensions.py", line 67, in load_shared_library
    return ctypes.CDLL(str(lib_path), **cdll_args)
OSError: libcudart.so.12: cannot open shared object file: No such file or directory

During handling of the above exception, another exception occurred:

RuntimeError: Failed to load shared library '/venv/lib/libllama.so': libcudart.so.12: cannot open shared object file
"""
NO_KERNEL = """\
CUDA error: no kernel image is available for execution on the device
  current device: 0, in function ggml_cuda_compute_forward at /build/ggml/src/ggml-cuda/ggml-cuda.cu:2366
"""

TABLE = [
    # exit status, log, kind, in the message, in the evidence, in the advice
    (1, CUDA_WEIGHTS, "out_of_memory", "a device ran out of memory", "5121.50 MiB on device 0", "fewer layers"),
    (ABORT, CUDA_DECODE, "out_of_memory", "a device ran out of memory", "CUDA error: out of memory", "fewer layers"),
    (1, CUDA_COMPUTE, "out_of_memory", "a device ran out of memory", "CUDA0 buffer of size 1162871808", "context"),
    (ABORT, VULKAN, "out_of_memory", "a device ran out of memory", "ErrorOutOfDeviceMemory", "fewer layers"),
    (ABORT, METAL, "out_of_memory", "a device ran out of memory", "Insufficient Memory", "fewer layers"),
    (1, RAM, "out_of_memory", "the RAM ran out", "CPU buffer of size 171798691840", "smaller quantisation"),
    (ABORT, "terminate called\n  what():  std::bad_alloc\n", "out_of_memory", "the RAM ran out", "bad_alloc", ""),
    (ABORT, RPC_GONE, "device_lost", "the RPC device is gone", "Remote RPC server crashed", "offtui device"),
    (ABORT, "x.cpp:547: Failed to connect to 10.0.0.2:50052\n", "rpc_unreachable", "does not answer", "10.0.0.2", ""),
    (1, "RPC server version mismatch: 3.6.0\n", "rpc_mismatch", "another version", "3.6.0", "same version"),
    (ABORT, VULKAN_LOST, "device_lost", "the GPU stopped working", "DeviceLostError", "system log"),
    (ABORT, CUDA_ILLEGAL, "device_lost", "the GPU stopped working", "illegal memory access", ""),
    (ABORT, NO_KERNEL, "unsupported", "built for another GPU", "no kernel image", "offtui doctor"),
    (1, NO_IMPORT, "internal", "llama-cpp-python cannot be imported", "libcudart.so.12", "pip install"),
    (1, "ModuleNotFoundError: No module named 'llama_cpp'", "internal", "cannot be imported", "llama_cpp", "pip"),
    (
        ABORT,
        "hello\n/build/ggml/src/ggml.c:2953: GGML_ASSERT(a->ne[2] == b->ne[0]) failed\nmore\n",
        "crashed",
        "llama.cpp gave up (SIGABRT)",
        "GGML_ASSERT(a->ne[2] == b->ne[0]) failed",
        "damaged",
    ),
    (
        ABORT,
        "terminate called after throwing an instance of 'std::out_of_range'\n  what():  vector::_M_range_check\n",
        "crashed",
        "SIGABRT",
        "vector::_M_range_check",
        "",
    ),
    (-signal.SIGKILL, "", "crashed", "SIGKILL", "", "nobody killed it"),
    (-signal.SIGSEGV, "", "crashed", "SIGSEGV", "", "checksum"),
    (-signal.SIGBUS, "", "crashed", "SIGBUS", "", "cut off or changed"),
    (-signal.SIGFPE, "", "crashed", "SIGFPE", "", "damaged"),
    (-signal.SIGILL, "", "crashed", "another CPU (SIGILL)", "", "Build llama-cpp-python on this machine"),
    (-signal.SIGTERM, "", "crashed", "SIGTERM", "", "Load again"),
    (-63, "", "crashed", "signal 63", "", "Load again"),
    (
        1,
        "Traceback (most recent call last):\n  File 'x.py', line 3, in f\nZeroDivisionError: division by zero\n",
        "internal",
        "an error in its Python code",
        "ZeroDivisionError: division by zero",
        "report it",
    ),
    (0, "bye\n", "crashed", "it ended by itself with status 0", "bye", ""),
    (None, "", "crashed", "it does not end", "", ""),
]


@pytest.mark.parametrize(("returncode", "log", "kind", "message", "evidence", "advice"), TABLE)
def test_autopsy(returncode, log, kind, message, evidence, advice):
    failure = autopsy(returncode, log, Phase.GENERATING, SPEC)
    assert failure.kind == kind
    assert message in failure.message
    assert failure.message.startswith("The worker died while answering: ")
    assert failure.message.endswith(".")
    assert evidence in failure.evidence
    assert advice in failure.advice


def test_the_kernels_oom_killer_is_named_only_where_it_was_at_work():
    killed = autopsy(-9, CUDA_WEIGHTS, Phase.LOADING, SPEC, oom_killed=True)
    assert killed.kind == "out_of_memory"
    assert "while loading qwen2-7b-q4_k_m.gguf: the kernel killed it" in killed.message
    for unknown in (False, None):
        assert autopsy(-9, CUDA_WEIGHTS, Phase.LOADING, SPEC, oom_killed=unknown).kind == "crashed"


def test_the_folder_that_llama_cpp_was_built_in_is_left_out():
    evidence = autopsy(ABORT, RPC_GONE, Phase.READY, SPEC).evidence
    assert evidence == "ggml-rpc.cpp:782: Remote RPC server crashed or returned malformed response"


def test_the_newest_line_is_the_evidence():
    log = "CUDA error: out of memory (old)\nCUDA error: out of memory (new)\n"
    assert autopsy(ABORT, log, Phase.READY, SPEC).evidence.endswith("(new)")


def test_what_llama_cpp_goes_on_without_is_no_cause():
    log = "ggml_cuda_host_malloc: failed to allocate 512.00 MiB of pinned memory: out of memory\n"
    assert autopsy(-signal.SIGSEGV, log, Phase.READY, SPEC).kind == "crashed"
    log = "WARNING: failed to allocate 12.00 MB of pinned memory\nggml_vulkan: ErrorOutOfDeviceMemory pinned memory\n"
    assert autopsy(-signal.SIGSEGV, log, Phase.READY, SPEC).kind == "crashed"


def test_nothing_of_a_log_or_a_name_acts_on_a_terminal():
    spec = LoadSpec(model="/models/[red]\x1b]0;x\x07\u202e\n.gguf")
    failure = autopsy(ABORT, "\x1b[2Jx.c:1: GGML_ASSERT(\x9b31m)\r\n", Phase.LOADING, spec)
    assert "GGML_ASSERT" in failure.evidence
    for text in (failure.message, failure.evidence, failure.advice):
        assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c == "\u202e" for c in text)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("spec", [SPEC, None])
def test_every_phase_makes_a_sentence(phase, spec):
    assert autopsy(-11, "", phase, spec).message.startswith("The worker died while ")


def test_marks_are_lower_case_since_lines_are_compared_so():
    for sign in SIGNS:
        assert sign.marks == tuple(mark.lower() for mark in sign.marks)
