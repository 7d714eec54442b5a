"""What the arithmetic is asked about: how a model would be loaded, and on which devices."""

from typing import Self

import msgspec

from offtui.gguf.header import Header
from offtui.protocol.spec import LoadSpec

DEFAULT_CONTEXT = 8192
"""Tokens of context where none is asked for; the model's own where that is less."""

CONTEXT_STEP = 256
"""llama.cpp pads contexts and windows to multiples of this."""


class Device(msgspec.Struct, frozen=True):
    """A device that layers can be offloaded to."""

    name: str
    """ggml's: ``CUDA0``, ``Vulkan0``, ``RPC0``; anything for a card that is not here."""
    free: int | None
    total: int | None
    """Bytes; ``None`` unknown."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a load that changes bytes, with llama.cpp's names and the values offtui loads with."""

    n_ctx: int = DEFAULT_CONTEXT
    n_batch: int = 2048
    n_ubatch: int = 512
    n_seq_max: int = 1
    kv_unified: bool = False
    n_outputs_max: int = 1
    """Rows of logits reserved; 0 is a whole batch, as llama.cpp's own default."""
    type_k: str = "f16"
    type_v: str = "f16"
    flash_attn: bool = True
    offload_kqv: bool = True
    op_offload: bool = True
    swa_full: bool = False
    use_mmap: bool = True
    tensor_split: tuple[float, ...] = ()
    """Shares per device; empty: by free memory."""

    @classmethod
    def of(cls, spec: LoadSpec, header: Header) -> Self:
        """The settings of a load as the worker does it; ``auto`` flash attention counts as on."""
        return cls(
            n_ctx=spec.n_ctx or min(header.n_ctx_train or DEFAULT_CONTEXT, DEFAULT_CONTEXT),
            n_batch=spec.n_batch,
            n_ubatch=spec.n_ubatch,
            type_k=spec.type_k,
            type_v=spec.type_v,
            flash_attn=spec.flash_attn != "off",
            offload_kqv=spec.offload_kqv,
            use_mmap=spec.use_mmap,
            tensor_split=spec.tensor_split,
        )

    @property
    def ctx_seq(self) -> int:
        """Tokens of context per sequence, padded as llama.cpp pads it."""
        padded = pad(max(self.n_ctx, 1), CONTEXT_STEP)
        return padded if self.kv_unified else pad(max(padded // max(self.n_seq_max, 1), 1), CONTEXT_STEP)

    @property
    def n_stream(self) -> int:
        """Separate caches per layer."""
        return 1 if self.kv_unified else max(self.n_seq_max, 1)

    @property
    def ubatch(self) -> int:
        """Tokens evaluated at once: ``n_ubatch`` within the batch within the context."""
        batch = min(max(self.n_ctx, 1), max(self.n_batch, 1))
        return min(batch, self.n_ubatch) if self.n_ubatch > 0 else batch

    @property
    def outputs(self) -> int:
        """Rows of logits reserved."""
        return self.n_outputs_max or min(max(self.n_ctx, 1), max(self.n_batch, 1))


def pad(value: int, step: int) -> int:
    """``value`` rounded up to a multiple of ``step``."""
    return -(-value // step) * step
