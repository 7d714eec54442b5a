"""What a prober, a disposable process over llama.cpp, is asked and what it answers: headers, and dry loads."""

import msgspec

from offtui.gguf.header import Header, Scalar
from offtui.protocol.facts import DeviceFacts, Failure
from offtui.protocol.spec import LoadSpec


class HeaderReply(msgspec.Struct, frozen=True, kw_only=True):
    """The header at a path; exactly one of header and failure is set."""

    path: str
    header: Header | None
    failure: Failure | None


class ElementsReply(msgspec.Struct, frozen=True, kw_only=True):
    """One array of the metadata, whole; exactly one of elements and failure is set."""

    elements: tuple[Scalar, ...] | None
    failure: Failure | None


class DevicesReply(msgspec.Struct, frozen=True, kw_only=True):
    """Every ggml device, RPC ones that were asked for among them; or why one of those cannot be had."""

    devices: tuple[DeviceFacts, ...]
    failure: Failure | None = None


class DryPoint(msgspec.Struct, frozen=True):
    """One placement to try."""

    n_gpu_layers: int
    on_cpu: tuple[str, ...] = ()
    """Patterns of tensors kept in RAM whatever their layer (``tensor_buft_overrides``)."""


class DryRequest(msgspec.Struct, frozen=True):
    """A model, how it would be loaded, and the placements."""

    spec: LoadSpec
    points: tuple[DryPoint, ...]


class DryResult(msgspec.Struct, frozen=True):
    """What one placement would need; or why llama.cpp would not load it. All sizes are bytes."""

    point: DryPoint
    compute: dict[str, int] = {}
    """Compute buffers by device name."""
    host: int = 0
    """Compute buffers in RAM."""
    output: int = 0
    """The buffer for logits, in RAM."""
    kv: int = 0
    """KV cache and state, all devices together."""
    layers: dict[str, int] = {}
    """Layers by device name; the output layer counts as one."""
    flash_attn: bool = True
    failure: Failure | None = None
