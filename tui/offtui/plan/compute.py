"""Compute buffers by a closed form; exact for full offload of plain models, an estimate for partial offload.

Derived from llama.cpp's graph (``llama_context::graph_reserve``) and, for the constants of partial offload, fitted on
dry loads of 64 configurations of five models; on 90 others the median error was 16 MiB, the worst 232 MiB.
"""

import msgspec

from offtui.plan.geometry import Geometry
from offtui.plan.settings import Settings
from offtui.plan.weights import Weights

BATCH_TO_OFFLOAD = 32
"""Rows from which a GPU backend takes over a matrix product whose weights lie in RAM (``op_offload``)."""

COPIED_KV = 1.41
"""Share of one layer's K and V that partial offload without flash attention copies; fitted."""


class Compute(msgspec.Struct, frozen=True):
    """Bytes of compute buffers on one device."""

    full: int
    """Everything on it."""
    partial: int
    """Some layers on it, the others' large products too."""
    layers_only: int
    """Some layers on it and nothing else: a device that takes over no products, such as an RPC server."""
    none: int
    """No layer on it."""
    host: int
    """In RAM beside a device that has everything."""
    host_layers: int
    """In RAM when the CPU evaluates layers itself."""
    host_all: int
    """In RAM when there is no device at all."""
    output: int
    """The logits that are handed out; always in RAM."""


def compute(geometry: Geometry, weights: Weights, settings: Settings) -> Compute:
    """The closed form for one model and settings."""
    g, ctx, ub = geometry, settings.ctx_seq, settings.ubatch
    n_embd, n_attn = g.n_embd, g.n_head * g.head_k
    masks = 2 if g.two_caches else 1
    mask = masks * ctx * ub * (2 if settings.flash_attn else 4)
    logits = min(settings.outputs, ub) * g.n_vocab * 4 + n_embd * ub * 4
    width = (3 * g.n_ff_exp + n_embd) * g.n_expert_used if g.n_expert else 3 * g.n_ff
    ffn = mask + 4 * ub * (width + 2 * n_embd + n_attn)
    heads_kv = 2 * g.n_head_kv * g.head_k
    attn = ctx * ub * 4 * g.n_head + mask + 4 * ub * (2 * n_embd + 2 * n_attn + heads_kv)
    if g.soft_cap:
        attn += 4 * ub * n_attn
    copied = ctx * 2 * max((layer.k + layer.v for layer in g.layers), default=0)
    borrowed = max(weights.largest_experts, weights.largest_up // 2)
    embeddings = n_embd * ub * 4
    if settings.flash_attn:
        layers = ffn
        partial = max(logits, ffn + borrowed, mask + copied + 4 * ub * (7 * n_embd + 4 * n_attn))
    else:
        layers = max(ffn, attn)
        partial = max(logits, attn + round(COPIED_KV * copied), ffn + borrowed)
    none = partial if settings.op_offload else 0
    if none and settings.outputs >= BATCH_TO_OFFLOAD:
        none = max(none, logits + weights.output_matrix)
    return Compute(
        full=max(logits, layers),
        partial=partial if settings.op_offload else max(logits, layers),
        layers_only=max(logits, layers),
        none=none,
        host=embeddings + mask,
        host_layers=layers,
        host_all=max(logits, layers),
        output=g.n_vocab * max(min(settings.outputs, ub), settings.n_seq_max) * 4,
    )
