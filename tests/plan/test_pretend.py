from offtui.plan.choose import budgets
from offtui.plan.pretend import within
from offtui.plan.target import of_size, offload_devices
from offtui.protocol.facts import DeviceFacts
from offtui.units import GIB

CPU = DeviceFacts("CPU", "cpu", "a processor", 20 * GIB, 32 * GIB)
CARD = DeviceFacts("CUDA0", "gpu", "A Card", 22 * GIB, 24 * GIB)
FAR = DeviceFacts("RPC0", "rpc", "h:1", None, None)


def test_without_a_budget_nothing_changes() -> None:
    assert within([CPU, CARD, FAR], None) == (CPU, CARD, FAR)


def test_each_device_has_so_much_and_the_ram_all_of_it() -> None:
    cpu, card, far = within([CPU, CARD, FAR], 8 * GIB)
    assert cpu == CPU
    assert (card.free, card.total) == (far.free, far.total) == (8 * GIB, 8 * GIB)


def test_what_is_not_there_is_not_made_up() -> None:
    (card,) = within([CARD], 48 * GIB)
    assert card == CARD
    (busy,) = within([DeviceFacts("CUDA0", "gpu", "A Card", 2 * GIB, 24 * GIB)], 8 * GIB)
    assert busy.free == 2 * GIB


def test_what_is_in_use_of_it_counts() -> None:
    (card,) = within([CARD], 8 * GIB, {"CUDA0": 5 * GIB})
    assert card.free == 3 * GIB
    (full,) = within([CARD], 8 * GIB, {"CUDA0": 9 * GIB})
    assert full.free == 0


def test_it_is_the_card_that_offtui_plan_speaks_of() -> None:
    devices = offload_devices(within([CPU, CARD], 8 * GIB))
    assert budgets(devices) == of_size("8GiB").budgets
