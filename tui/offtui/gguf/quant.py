"""Names of quantisations as people know them from file names: ``Q4_K_M``, not llama.cpp's ``Q4_K - Medium``."""

from collections.abc import Iterable

_GUESSED = 1024
"""llama.cpp's flag for a file type it guessed itself."""

_FILE_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4",
    39: "NVFP4",
    40: "Q1_0",
    41: "Q2_0",
}
"""``general.file_type`` (``enum llama_ftype`` of llama.h) to its name."""


_MIXES = {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M"}
"""llama.cpp's guess of the mix by the type that most weights have."""


def quant_name(file_type: int | None, sizes: Iterable[tuple[str, int]]) -> str:
    """The name of a file's quantisation.

    Args:
        file_type: ``general.file_type``; ``None`` or unknown: the type most of the weights have.
        sizes: type and bytes of each tensor.

    Returns:
        ``"Q4_K_M"``, or ``""`` where nothing is known.
    """
    if file_type is not None:
        name = _FILE_TYPES.get(file_type & ~_GUESSED) if file_type >= 0 else None
        if name is not None:
            return name
    by_type: dict[str, int] = {}
    for name, size in sizes:
        by_type[name] = by_type.get(name, 0) + size
    if not by_type:
        return ""
    most = max(by_type, key=lambda name: by_type[name]).upper()
    return _MIXES.get(most, most)
