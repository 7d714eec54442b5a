"""A small catalogue of graphics cards: memory and its bandwidth, for plans on a card that is not here.

Memory in GiB and bandwidth in GB/s as the makers state them (NVIDIA's and AMD's product pages). Laptop chips of the
same name have less of both and are listed apart.
"""

import re

import msgspec

from offtui.errors import UsageError
from offtui.units import GIB


class Card(msgspec.Struct, frozen=True):
    """A graphics card as its maker describes it."""

    name: str
    memory: int
    """Bytes."""
    bandwidth: float
    """Bytes per second, on the data sheet."""
    backend: str
    """ggml's device prefix for it: ``CUDA`` or ``ROCm``."""


_NVIDIA = """
GTX 1060 6GB | 6 | 192
GTX 1070 | 8 | 256
GTX 1080 | 8 | 320
GTX 1080 Ti | 11 | 484
GTX 1650 | 4 | 128
GTX 1660 Super | 6 | 336
GTX 1660 Ti | 6 | 288
RTX 2060 | 6 | 336
RTX 2060 Super | 8 | 448
RTX 2070 | 8 | 448
RTX 2070 Super | 8 | 448
RTX 2080 | 8 | 448
RTX 2080 Super | 8 | 496
RTX 2080 Ti | 11 | 616
RTX 3050 6GB | 6 | 168
RTX 3050 8GB | 8 | 224
RTX 3050 Laptop | 4 | 192
RTX 3060 8GB | 8 | 240
RTX 3060 12GB | 12 | 360
RTX 3060 Laptop | 6 | 336
RTX 3060 Ti | 8 | 448
RTX 3070 | 8 | 448
RTX 3070 Laptop | 8 | 448
RTX 3070 Ti | 8 | 608
RTX 3080 10GB | 10 | 760
RTX 3080 12GB | 12 | 912
RTX 3080 Laptop | 8 | 448
RTX 3080 Ti | 12 | 912
RTX 3080 Ti Laptop | 16 | 512
RTX 3090 | 24 | 936
RTX 3090 Ti | 24 | 1008
RTX 4050 Laptop | 6 | 192
RTX 4060 | 8 | 272
RTX 4060 Laptop | 8 | 256
RTX 4060 Ti 8GB | 8 | 288
RTX 4060 Ti 16GB | 16 | 288
RTX 4070 | 12 | 504
RTX 4070 Laptop | 8 | 256
RTX 4070 Super | 12 | 504
RTX 4070 Ti | 12 | 504
RTX 4070 Ti Super | 16 | 672
RTX 4080 | 16 | 717
RTX 4080 Laptop | 12 | 432
RTX 4080 Super | 16 | 736
RTX 4090 | 24 | 1008
RTX 4090 Laptop | 16 | 576
RTX 5050 | 8 | 320
RTX 5050 Laptop | 8 | 384
RTX 5060 | 8 | 448
RTX 5060 Laptop | 8 | 384
RTX 5060 Ti 8GB | 8 | 448
RTX 5060 Ti 16GB | 16 | 448
RTX 5070 | 12 | 672
RTX 5070 Laptop | 8 | 384
RTX 5070 Ti | 16 | 896
RTX 5070 Ti Laptop | 12 | 672
RTX 5080 | 16 | 960
RTX 5080 Laptop | 16 | 896
RTX 5090 | 32 | 1792
RTX 5090 Laptop | 24 | 896
RTX A2000 6GB | 6 | 288
RTX A2000 12GB | 12 | 288
RTX A4000 | 16 | 448
RTX A5000 | 24 | 768
RTX A6000 | 48 | 768
RTX 2000 Ada | 16 | 224
RTX 4000 Ada | 20 | 360
RTX 5000 Ada | 32 | 576
RTX 6000 Ada | 48 | 960
RTX PRO 6000 | 96 | 1792
Quadro RTX 6000 | 24 | 672
Tesla P40 | 24 | 347
Tesla P100 16GB | 16 | 732
Tesla T4 | 16 | 320
Tesla V100 16GB | 16 | 900
Tesla V100 32GB | 32 | 900
A10 | 24 | 600
A40 | 48 | 696
A100 40GB | 40 | 1555
A100 80GB | 80 | 2039
L4 | 24 | 300
L40S | 48 | 864
H100 PCIe | 80 | 2039
H100 SXM | 80 | 3350
H200 | 141 | 4800
"""

_AMD = """
RX 580 8GB | 8 | 256
RX 5700 XT | 8 | 448
RX 6600 | 8 | 224
RX 6600 XT | 8 | 256
RX 6650 XT | 8 | 280
RX 6700 XT | 12 | 384
RX 6750 XT | 12 | 432
RX 6800 | 16 | 512
RX 6800 XT | 16 | 512
RX 6900 XT | 16 | 512
RX 6950 XT | 16 | 576
RX 7600 | 8 | 288
RX 7600 XT | 16 | 288
RX 7700 XT | 12 | 432
RX 7800 XT | 16 | 624
RX 7900 GRE | 16 | 576
RX 7900 XT | 20 | 800
RX 7900 XTX | 24 | 960
RX 9060 XT 8GB | 8 | 320
RX 9060 XT 16GB | 16 | 320
RX 9070 | 16 | 640
RX 9070 XT | 16 | 640
Radeon Pro W6800 | 32 | 512
Radeon Pro W7900 | 48 | 864
Radeon VII | 16 | 1024
Instinct MI50 16GB | 16 | 1024
Instinct MI50 32GB | 32 | 1024
Instinct MI100 | 32 | 1229
Instinct MI210 | 64 | 1638
Instinct MI300X | 192 | 5300
"""

_NOISE = {"nvidia", "geforce", "amd", "radeon", "gpu", "graphics", "gb", "gib", "tesla", "quadro", "instinct"}

_SERIES = {"rtx", "gtx", "rx"}


def _parsed(text: str, backend: str) -> list[Card]:
    rows = [line.split(" | ") for line in text.strip().splitlines()]
    return [Card(name, int(size) * GIB, float(speed) * 1e9, backend) for name, size, speed in rows]


CARDS: tuple[Card, ...] = (*_parsed(_NVIDIA, "CUDA"), *_parsed(_AMD, "ROCm"))
"""Every card known."""


def find_card(name: str) -> Card:
    """The card of that name, however it is written: ``RTX 4060``, ``rtx4060``, ``NVIDIA GeForce RTX 4060``.

    Raises:
        UsageError: no card is called so, or several are; the sentence names them.
    """
    wanted = _words(name)
    if not wanted:
        raise UsageError(f"{name!r} is not the name of a card.")
    exact = [card for card in CARDS if _words(card.name) == wanted]
    if len(exact) == 1:
        return exact[0]
    # the same chip with several sizes of memory: "RTX 4060 Ti" is two cards, "RTX 4060" is one
    sizes = [card for card in CARDS if wanted <= _words(card.name) and _chip(card) == wanted - _SERIES]
    if len(sizes) == 1:
        return sizes[0]
    near = sizes or [card for card in CARDS if wanted <= _words(card.name)]
    if not near:
        near = [card for card in CARDS if _number(card.name) and _number(card.name) in wanted]
    if len(near) == 1 and wanted <= _words(near[0].name):
        return near[0]
    if near:
        names = ", ".join(card.name for card in near[:8])
        raise UsageError(f"{name!r} is not one card; there is {names}. Or give its memory, as in --vram 8GiB.")
    raise UsageError(f"{name!r} is not in the list of cards; give its memory instead, as in --vram 8GiB.")


def card_of_device(description: str, total: int | None) -> Card | None:
    """The card that a device describes itself as, for its bandwidth; ``None`` where that is not clear."""
    wanted = _words(description)
    near = [card for card in CARDS if _words(card.name) - _sizes(card) == wanted]
    if total is not None and len(near) > 1:
        near = [card for card in near if abs(card.memory - total) < 1.5 * GIB]
    return near[0] if len(near) == 1 else None


def _words(name: str) -> frozenset[str]:
    """The telling words of a name: ``"GeForce RTX4060Ti 16 GB"`` → rtx, 4060, ti, 16."""
    parts = re.findall(r"[a-z]+\d+[a-z]*(?=\b)|[a-z]+|\d+", re.sub(r"\b(rtx|gtx|rx)(\d)", r"\1 \2", name.lower()))
    words: list[str] = []
    for part in parts:
        split = re.fullmatch(r"(\d+)(gb|gib)", part)
        words.append(split[1] if split else part)
    return frozenset(word for word in words if word not in _NOISE)


def _sizes(card: Card) -> frozenset[str]:
    match = re.search(r"(\d+)GB$", card.name)
    return frozenset([match[1]]) if match else frozenset()


def _chip(card: Card) -> frozenset[str]:
    """The words without which it would be another chip."""
    return _words(card.name) - _sizes(card) - _SERIES


def _number(name: str) -> str | None:
    match = re.search(r"\d{3,4}", name)
    return match[0] if match else None
