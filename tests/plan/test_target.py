"""What a plan is made for: the machine's own devices as llama.cpp takes them, and cards by name or size."""

import pytest

from offtui.errors import UsageError
from offtui.plan.settings import Device, Settings
from offtui.plan.table import Model, table
from offtui.plan.target import of_card, of_machine, of_size, offload_devices
from offtui.protocol.facts import DeviceFacts, DeviceKind
from offtui.units import GIB, MIB
from tests.fakes import gguf_shapes as shapes


def fact(name: str, kind: DeviceKind, description: str = "", size: int | None = 8 * GIB) -> DeviceFacts:
    return DeviceFacts(name, kind, description or name, size, size)


CPU = fact("CPU", "cpu")
BLAS = fact("BLAS", "accel")
CUDA0 = fact("CUDA0", "gpu", "NVIDIA GeForce RTX 4060")
CUDA1 = fact("CUDA1", "gpu", "NVIDIA GeForce RTX 4060")
SAME = fact("Vulkan0", "gpu", "NVIDIA GeForce RTX 4060")
OTHER = fact("Vulkan1", "gpu", "AMD Radeon RX 7600")
INSIDE = fact("Vulkan2", "igpu", "Intel UHD")
REMOTE = fact("RPC0", "rpc", "127.0.0.1:50052")


@pytest.mark.parametrize(
    ("facts", "names"),
    [
        ([CPU], []),
        ([CPU, BLAS], []),
        ([CUDA0, CUDA1, CPU], ["CUDA0", "CUDA1"]),
        ([CUDA0, CPU, REMOTE], ["RPC0", "CUDA0"]),
        ([CUDA0, SAME, OTHER, CPU], ["CUDA0", "Vulkan1"]),
        ([INSIDE, CPU], ["Vulkan2"]),
        ([INSIDE, CUDA0, CPU], ["CUDA0"]),
        ([INSIDE, CPU, REMOTE], ["RPC0", "Vulkan2"]),
    ],
)
def test_devices_are_taken_and_ordered_as_llama_cpp_does(facts: list[DeviceFacts], names: list[str]) -> None:
    assert [device.name for device in offload_devices(facts)] == names
    target = of_machine(facts)
    assert [device.name for device in target.devices] == names
    assert target.name == (" + ".join(names) or "CPU")
    assert target.here


def test_a_machine_with_a_known_card_has_its_bandwidth() -> None:
    known, unknown = of_machine([CUDA0, CPU]), of_machine([fact("CUDA0", "gpu", "NVIDIA X"), CPU])
    assert known.machine.gpu == pytest.approx(0.8 * 272e9)
    assert known.machine.gpu_error < unknown.machine.gpu_error


def test_sizes_and_cards() -> None:
    assert of_size("8GiB").devices == (Device("CUDA0", 8 * GIB, 8 * GIB),)
    assert [device.total for device in of_size("24GiB+512MiB").devices] == [24 * GIB, 512 * MIB]
    pair = of_card("RTX 3090 + RX 7900 XTX")
    assert [device.name for device in pair.devices] == ["CUDA0", "ROCm1"]
    assert pair.name == "RTX 3090 + RX 7900 XTX"
    for wrong in ("", "8GiB+", "+"):
        with pytest.raises(UsageError):
            of_size(wrong)
    with pytest.raises(UsageError, match="too many"):
        of_card("+".join(["H200"] * 17))


def test_only_the_first_device_that_can_takes_over_large_products() -> None:
    model = Model.of(shapes.header_of(shapes.llama_3_1_8b()))
    devices = [Device("RPC0", 8 * GIB, 8 * GIB), Device("CUDA0", 8 * GIB, 8 * GIB), Device("CUDA1", 8 * GIB, 8 * GIB)]
    rows = table(model, Settings(n_ctx=16384), devices).rows
    assert [have.compute > 0 for have in rows[0].devices] == [False, True, False]
    remote, first, second = rows[20].devices
    assert first.compute > second.compute
    assert first.compute > remote.compute
