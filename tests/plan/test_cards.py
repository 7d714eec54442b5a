"""Cards by name, however people write it."""

import pytest

from offtui.errors import UsageError
from offtui.plan.cards import CARDS, card_of_device, find_card
from offtui.units import GIB


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("RTX 4060", "RTX 4060"),
        ("rtx4060", "RTX 4060"),
        ("NVIDIA GeForce RTX 4060", "RTX 4060"),
        ("RTX 4060 Laptop", "RTX 4060 Laptop"),
        ("NVIDIA GeForce RTX 4060 Laptop GPU", "RTX 4060 Laptop"),
        ("4090", "RTX 4090"),
        ("rtx 3060 12gb", "RTX 3060 12GB"),
        ("RTX 3060 12 GB", "RTX 3060 12GB"),
        ("4060ti 16gb", "RTX 4060 Ti 16GB"),
        ("7900 xtx", "RX 7900 XTX"),
        ("AMD Radeon RX 7900 XTX", "RX 7900 XTX"),
        ("H200", "H200"),
        ("T4", "Tesla T4"),
        ("A6000", "RTX A6000"),
        ("MI300X", "Instinct MI300X"),
    ],
)
def test_a_card_by_name(written: str, name: str) -> None:
    assert find_card(written).name == name


@pytest.mark.parametrize("written", ["RTX 4060 Ti", "RTX 3060", "A100", "3080 Ti 10GB", "MI50", "RTX"])
def test_a_name_that_matches_several_says_which(written: str) -> None:
    with pytest.raises(UsageError, match="is not one card; there is "):
        find_card(written)


@pytest.mark.parametrize("written", ["", "Voodoo 2", "GeForce", "[/]", "x" * 1000])
def test_a_card_nobody_knows(written: str) -> None:
    with pytest.raises(UsageError, match="not"):
        find_card(written)


def test_every_card_is_found_by_its_own_name() -> None:
    for card in CARDS:
        assert find_card(card.name) == card
        assert 2 * GIB <= card.memory <= 200 * GIB
        assert 1e11 < card.bandwidth < 1e13
    assert len({card.name for card in CARDS}) == len(CARDS)


def test_a_device_is_recognised_by_its_description_and_memory() -> None:
    card = card_of_device("NVIDIA GeForce RTX 4060 Ti", 16 * GIB - 200_000_000)
    assert card is not None
    assert card.name == "RTX 4060 Ti 16GB"
    assert card_of_device("NVIDIA GeForce RTX 4060 Ti", None) is None
    assert card_of_device("llvmpipe (LLVM 17)", 8 * GIB) is None
