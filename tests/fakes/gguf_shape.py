"""What the shape of a model is: its metadata and its tensor table, without weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gguf.constants import GGML_QUANT_SIZES

from gguf import GGMLQuantizationType as Q
from offtui.gguf.header import Header, Tensor

Meta = dict[str, tuple[str, Any]]
"""Key (without the architecture, unless it has a dot before it) → the writer's type and the value."""
Row = tuple[str, list[int], Q]
"""Name, shape in ggml's order, type."""


@dataclass(frozen=True)
class Shape:
    """A model to write: architecture, metadata, tensor table."""

    arch: str
    meta: Mapping[str, tuple[str, Any]]
    rows: tuple[Row, ...]
    general: Mapping[str, tuple[str, Any]] = field(default_factory=dict)

    def with_meta(self, **meta: tuple[str, Any]) -> "Shape":
        """The same model with other values; ``__`` in a name stands for a dot."""
        changed = {key.replace("__", "."): value for key, value in meta.items()}
        return Shape(self.arch, {**self.meta, **changed}, self.rows, self.general)

    @property
    def n_vocab(self) -> int:
        return self.meta["vocab_size"][1]


def nbytes(ne: list[int], kind: Q) -> int:
    """Bytes of a tensor."""
    block, size = GGML_QUANT_SIZES[kind]
    return int(np.prod(ne, dtype=np.int64)) // block * size


def header_of(shape: Shape, path: str = "model.gguf") -> Header:
    """The header that reading the sparse file of a shape would give, without a file."""
    tensors: list[Tensor] = []
    offset = 0
    for name, ne, kind in shape.rows:
        size = nbytes(ne, kind)
        tensors.append(Tensor(name, _ggml_name(kind), tuple(ne), size, offset))
        offset += -(-size // 32) * 32
    metadata: dict[str, Any] = {"general.architecture": shape.arch}
    metadata |= {key: value for key, (_, value) in shape.general.items()}
    metadata |= {
        f"{shape.arch}.{key}": tuple(value) if isinstance(value, list) else value
        for key, (_, value) in shape.meta.items()
    }
    lengths = {key: len(value) for key, value in metadata.items() if isinstance(value, tuple)}
    return Header(
        path=path,
        parts=(path,),
        version=3,
        file_bytes=offset,
        data_offset=0,
        metadata=metadata,
        lengths=lengths,
        tensors=tuple(tensors),
    )


def _ggml_name(kind: Q) -> str:
    name = kind.name
    return f"{name[:-2].lower()}_K" if name.endswith("_K") else name.lower()
