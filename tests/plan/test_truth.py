"""What was planned beside what was got."""

from offtui.plan.settings import Device
from offtui.plan.table import Bytes, Row
from offtui.plan.truth import compare
from offtui.protocol.facts import DeviceKind, DeviceLedger
from offtui.units import MIB

CARD = Device("CUDA0", None, None)
ROW = Row(5, (Bytes(100 * MIB, 20 * MIB, 30 * MIB),), Bytes(40 * MIB, 0, 10 * MIB), 45 * MIB, 0, 0)


def entry(name: str, kind: DeviceKind, weights: float, kv: float, compute: float, mapped: float = 0) -> DeviceLedger:
    return DeviceLedger(name, kind, round(weights * MIB), round(kv * MIB), round(compute * MIB), 5, round(mapped * MIB))


def test_a_load_as_planned() -> None:
    ledger = [entry("CUDA0", "gpu", 100.01, 20, 36), entry("CPU", "cpu", 40, 0, 10)]
    found = compare(ROW, [CARD], ledger)
    assert len(found) == 6
    assert not any(difference.is_bug for difference in found)
    assert found[2].bytes == 6 * MIB


def test_bytes_that_were_known_and_are_different_are_a_bug() -> None:
    ledger = [entry("CUDA0", "gpu", 102, 18.5, 30), entry("CPU", "cpu", 40, 0, 10)]
    bugs = [difference for difference in compare(ROW, [CARD], ledger) if difference.is_bug]
    assert [(bug.device, bug.purpose) for bug in bugs] == [("CUDA0", "weights"), ("CUDA0", "kv")]
    assert str(bugs[0]) == "weights on CUDA0: 100.0 MiB planned, 102.0 MiB got (+2.0 MiB)"
    assert str(bugs[1]).endswith("(-1.5 MiB)")


def test_mapped_weights_have_no_one_number() -> None:
    ledger = [entry("CUDA0", "gpu", 100, 20, 30), entry("CPU", "cpu", 90, 0, 10, mapped=90)]
    found = compare(ROW, [CARD], ledger)
    assert ("CPU", "weights") not in [(difference.device, difference.purpose) for difference in found]
    assert not any(difference.is_bug for difference in found)


def test_a_device_that_is_gone_is_not_compared() -> None:
    assert compare(ROW, [CARD], []) == ()
