"""A conversation's KV cache on its way from one worker to the next: what it is, and whether it may be taken over.

The bytes themselves travel in shared memory, whose file descriptor goes along with ``SaveState`` and ``RestoreState``.
"""

import sys
from array import array
from collections.abc import Sequence

import msgspec

from offtui.protocol.spec import CacheType


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """What the bytes of a saved cache depend on; the split, the context's length and the batch are not among it."""

    path: str
    """Of the model, resolved; of split files the first part."""
    file_bytes: int
    mtime_ns: int
    """With the size: whether it is still the same file."""
    llama_cpp: str
    """Version of llama-cpp-python."""
    type_k: CacheType
    type_v: CacheType
    flash_attn: bool
    """Without it V lies transposed."""
    swa_full: bool
    """Whether layers with a sliding window keep all tokens."""


class Mark(msgspec.Struct, frozen=True):
    """An anchor among the tokens: the first ``n_tokens`` and ``tail`` are the first ``n_chars`` of the text."""

    n_tokens: int
    n_chars: int
    tail: tuple[int, ...] = ()


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a saved cache holds."""

    layout: Layout
    n_ctx: int
    """Of the worker that saved it; another one needs no more than room for the tokens."""
    size: int
    """Bytes."""
    tokens: bytes
    """In order, four bytes each (``pack_tokens``)."""
    text: str = ""
    """The conversation up to the newest anchor, as it was rendered."""
    marks: tuple[Mark, ...] = ()

    @property
    def n_tokens(self) -> int:
        """Tokens in the cache."""
        return len(self.tokens) // 4


def refusal(manifest: Manifest, ours: Layout, n_ctx: int) -> str:
    """Why a worker of this layout and context may not take the cache over, as a sentence; ``""`` where it may."""
    theirs = manifest.layout
    if theirs.path != ours.path:
        return "It is another model."
    if (theirs.file_bytes, theirs.mtime_ns) != (ours.file_bytes, ours.mtime_ns):
        return "The model's file has changed meanwhile."
    if theirs.llama_cpp != ours.llama_cpp:
        return "Another version of llama.cpp was installed meanwhile."
    if (theirs.type_k, theirs.type_v) != (ours.type_k, ours.type_v):
        return f"The KV cache was {theirs.type_k}/{theirs.type_v} and is {ours.type_k}/{ours.type_v} now."
    if theirs.flash_attn != ours.flash_attn:
        return f"Flash attention is {'on' if ours.flash_attn else 'off'} now, which lays the KV cache out otherwise."
    if theirs.swa_full != ours.swa_full:
        return "The sliding window is kept in another way now."
    if manifest.n_tokens >= n_ctx:
        return f"The conversation has {manifest.n_tokens} tokens, and the context holds {n_ctx} now."
    return ""


def pack_tokens(tokens: Sequence[int]) -> bytes:
    """Tokens as little-endian 32-bit numbers."""
    packed = array("i", tokens)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def unpack_tokens(packed: bytes) -> list[int]:
    """The tokens that ``pack_tokens`` packed."""
    tokens = array("i")
    tokens.frombytes(packed)
    if sys.byteorder == "big":
        tokens.byteswap()
    return tokens.tolist()
