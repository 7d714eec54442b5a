"""What the name of a GGUF file tells: its quantisation, its place among split parts, its use. Hints, not facts."""

import re
from typing import Literal

import msgspec

Kind = Literal["model", "mmproj", "lora", "embedding"]

SUFFIX = ".gguf"

_SPLIT = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<count>\d{5})", re.DOTALL)
_EDGE = r"(?<![A-Za-z0-9])(?:{})(?![A-Za-z0-9])"
_QUANT = re.compile(
    _EDGE.format(
        r"(?:UD[-_])?"
        r"(?:I?Q[1-8]_(?:K_(?:XXS|XS|XXL|XL|S|M|L)|K|XXS|XS|NL(?:_XL)?|S|M|[01](?:_[48](?:_[48])?)?)"
        r"|TQ[12]_0|(?:MX|NV)FP4(?:_MOE)?)"
    ),
    re.IGNORECASE,
)
_FLOAT = re.compile(_EDGE.format(r"BF16|FP?(?:16|32|64)"), re.IGNORECASE)
_MMPROJ = re.compile(r"mm-?proj", re.IGNORECASE)
_LORA = re.compile(_EDGE.format(r"[QD]?LORA|ADAPTER"), re.IGNORECASE)
_EMBEDDING = re.compile(
    r"(?<![a-z])embed(?:ding|dings)?(?![a-z])|re-?rank(?:er)?|(?<![a-z0-9])(?:bge|gte|e5|minilm|snowflake-arctic-embed)(?=[-_.])"
    r"|colbert",
    re.IGNORECASE,
)


class SplitName(msgspec.Struct, frozen=True):
    """One part of a model split over files: ``stem-00001-of-00003.gguf``."""

    stem: str
    part: int
    count: int


def is_gguf(name: str) -> bool:
    """Whether a file of this name is taken for a GGUF: partial downloads have longer names and are not."""
    return name.lower().endswith(SUFFIX) and len(name) > len(SUFFIX)


def stem(name: str) -> str:
    """The name without ``.gguf``."""
    return name[: -len(SUFFIX)] if is_gguf(name) else name


def parse_split(name: str) -> SplitName | None:
    """The place of a file among parts as llama.cpp names them; ``None`` for a file that is no part."""
    match = _SPLIT.fullmatch(stem(name))
    if match is None:
        return None
    part, count = int(match["part"]), int(match["count"])
    return SplitName(match["stem"], part, count) if 1 <= part <= count else None


def parse_quant(name: str) -> str:
    """The quantisation in a file's name, in capitals: ``"Q4_K_M"``, ``"UD-Q4_K_XL"``, ``"BF16"``; else empty.

    The last one counts, and a quantised type before one in full precision.
    """
    quants = [match[0] for match in _QUANT.finditer(name)]
    if quants:
        quant = quants[-1].upper()
        return "UD-" + quant[3:] if quant.startswith("UD") else quant
    floats = [match[0].upper() for match in _FLOAT.finditer(name)]
    return floats[-1].replace("FP", "F") if floats else ""


def parse_kind(name: str) -> Kind:
    """What a file seems to be for. Whether it really is a model only its header tells."""
    bare = stem(name)
    if _MMPROJ.search(bare):
        return "mmproj"
    if _LORA.search(bare):
        return "lora"
    return "embedding" if _EMBEDDING.search(bare) else "model"
