from offtui.protocol.facts import DeviceFacts
from offtui.worker.ledger import buffers, device_of, flash_attn, ledger

CPU = DeviceFacts("CPU", "cpu", "AMD", 10, 20)
GPU = DeviceFacts("CUDA0", "gpu", "RTX", 10, 20)
GPU1 = DeviceFacts("CUDA1", "gpu", "RTX", 10, 20)
RPC = DeviceFacts("RPC0", "rpc", "127.0.0.1:50052", 10, 20)
MIB = 1024 * 1024

LINES = [
    "load_tensors: layer   0 assigned to device CPU, is_swa = 0",
    "load_tensors: layer   1 assigned to device CUDA0, is_swa = 0",
    "load_tensors: layer   2 assigned to device CUDA0, is_swa = 0",
    "load_tensors: offloaded 3/3 layers to GPU",
    "load_tensors:   CPU_Mapped model buffer size =    10.50 MiB",
    "load_tensors:        CUDA0 model buffer size =    20.25 MiB",
    "llama_kv_cache:      CUDA0 KV buffer size =     2.00 MiB",
    "llama_kv_cache:        CPU KV buffer size =     1.00 MiB",
    "llama_memory_recurrent:      CUDA0 RS buffer size =     0.50 MiB",
    "llama_context:        CPU  output buffer size =     0.25 MiB",
    "sched_reserve:      CUDA0 compute buffer size =    99.00 MiB",
    "sched_reserve:      CUDA0 compute buffer size =    30.00 MiB",
    "sched_reserve:  CUDA_Host compute buffer size =     4.00 MiB",
]


def test_every_buffer_is_counted_by_device_and_purpose() -> None:
    got = ledger(LINES, [CPU, GPU], 2, 3)
    gpu, ram = got.devices
    assert (gpu.name, gpu.weights, gpu.kv, gpu.compute, gpu.layers) == ("CUDA0", 20.25 * MIB, 2.5 * MIB, 30 * MIB, 2)
    assert (ram.kind, ram.weights, ram.mapped, ram.kv, ram.compute) == (
        "cpu",
        10.5 * MIB,
        10.5 * MIB,
        MIB,
        4.25 * MIB,
    )
    assert (got.layers.asked, got.layers.got, got.layers.max) == (2, 2, 3)


def test_the_offloaded_line_is_not_believed() -> None:
    lines = [line.replace("CUDA0", "CPU") for line in LINES]
    assert ledger(lines, [CPU], 3, 3).layers.got == 0


def test_layers_without_weights_on_the_device_are_not_got() -> None:
    lines = [line for line in LINES if "CUDA0 model buffer" not in line]
    assert ledger(lines, [CPU, GPU], 2, 3).layers.got == 0


def test_buffer_names_belong_to_their_device() -> None:
    devices = [CPU, GPU, GPU1, RPC]
    assert device_of("CUDA1", devices) == GPU1
    assert device_of("RPC0[127.0.0.1:50052]", devices) == RPC
    assert device_of("CUDA_Host", devices) is None
    assert device_of("CPU_REPACK", devices) is None


def test_caches_of_one_name_add_up_and_reservations_do_not() -> None:
    lines = ["x: CUDA0 KV buffer size = 1.00 MiB"] * 2 + ["x: CUDA0 compute buffer size = 1.00 MiB"] * 2
    assert buffers(lines)["CUDA0"] == {"KV": 2 * MIB, "compute": MIB}


def test_flash_attention_is_what_llama_cpp_decided() -> None:
    assert flash_attn(["sched_reserve: Flash Attention was auto, set to enabled"], "auto")
    assert not flash_attn(["sched_reserve: Flash Attention was auto, set to disabled"], "auto")
    assert not flash_attn([], "off")
