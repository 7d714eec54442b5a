"""Compute buffers by a closed form: exact for full offload of plain models, an estimate for partial offload.

Derived from llama.cpp's graphs (``llama_context::graph_reserve``) and, for the constants of partial offload, fitted on
dry loads of 64 configurations of five models, on a device that takes over large products as CUDA and Vulkan do.
"""

import msgspec

from offtui.plan.cache import cells
from offtui.plan.geometry import Geometry
from offtui.plan.settings import CONTEXT_STEP, Settings, pad
from offtui.plan.weights import Weights

BATCH_TO_OFFLOAD = 32
"""Rows from which a GPU backend takes over a matrix product whose weights lie in RAM (``op_offload``)."""

COPIED_KV = 1.41
"""Share of one layer's K and V that partial offload without flash attention copies; fitted."""


COPIED_OF_MIXED = 0.75
"""Share of the largest layer's K and V that models with and without windows copy while one is on the device; fitted."""


class Compute(msgspec.Struct, frozen=True):
    """Bytes of compute buffers, by what a device has to do."""

    full: int
    """Everything is on it."""
    products: int
    """It takes over the large products of layers that are in RAM."""
    attention: int
    """It takes over their attention, without the K and V it copies for that."""
    copies: float
    """Bytes it needs per byte of K and V of the largest layer in RAM."""
    layers: int
    """Some layers are on it and nothing else: an RPC server, which takes over no products."""
    last: int
    """The last block is on it, with the output layer or not, and it takes over no products."""
    logits: int
    """Only the output layer is on it, and it takes over no products."""
    host: int
    """In RAM beside devices that do everything but look tokens up."""
    host_layers: int
    """In RAM where the CPU evaluates layers itself."""
    host_kept: int
    """In RAM where the CPU evaluates the feed-forward parts or the experts of layers, and devices the rest."""
    output: int
    """The logits that are handed out; always in RAM."""

    def partial(self, copied: int) -> int:
        """Some layers or none are on it, and it takes over the large products of the others.

        Args:
            copied: bytes of K and V of the largest layer in RAM.
        """
        return max(self.products, self.attention + round(self.copies * copied))


def compute(geometry: Geometry, weights: Weights, settings: Settings, *, narrow: bool = False) -> Compute:
    """The closed form for one model and settings.

    Args:
        geometry: of the model.
        weights: of the model.
        settings: how it is loaded.
        narrow: only layers that attend to a window, or not at all, are evaluated.
    """
    g, ub = geometry, settings.ubatch
    ctx = min(settings.ctx_seq, pad(g.n_swa + ub, CONTEXT_STEP)) if narrow else settings.ctx_seq
    n_embd, n_attn = g.n_embd, g.n_head * g.head_k
    mask = _mask(geometry, settings)
    embeddings = n_embd * ub * 4
    logits = min(settings.outputs, ub) * g.n_vocab * 4 + embeddings
    width = (3 * g.n_ff_exp + n_embd) * g.n_expert_used if g.n_expert else 3 * g.n_ff
    ffn = mask + 4 * ub * (width + 2 * n_embd + n_attn)
    borrowed = max(weights.largest_experts, weights.largest_up // 2)
    # the last block evaluates its feed-forward part for the rows of logits only
    last = mask + 4 * ub * (2 * n_embd + 3 * n_attn)
    if settings.flash_attn:
        full, layers = ffn, ffn + (2 if g.n_expert else -1) * embeddings
        attention, copies = mask + 4 * ub * (7 * n_embd + 4 * n_attn), 1.0
    else:
        attn = ctx * ub * 4 * g.n_head + mask
        attn += 4 * ub * (2 * n_embd + (3 if g.soft_cap else 2) * n_attn + 2 * g.n_head_kv * g.head_k)
        full = max(ffn, attn)
        layers = max(ffn - embeddings, attn + (4 * embeddings if g.n_expert else 0))
        last = attn
        attention, copies = attn, COPIED_KV
    products = max(logits, ffn + borrowed)
    if settings.outputs >= BATCH_TO_OFFLOAD:
        products = max(products, logits + weights.output_matrix)
    # embeddings of the tokens, their normed copy on the way to the device, and Gemma's embeddings per layer
    host = 2 * embeddings + mask + g.n_embd_per_layer * g.n_layer * ub * 4
    caches = len({layer.windowed for layer in g.layers if layer.k})
    # without flash attention V is written value by value, through an index of 8 bytes for each
    indices = 0 if settings.flash_attn else caches * ub * g.n_head_kv * g.head_k * 8
    return Compute(
        full=max(logits, full),
        products=products,
        attention=attention,
        copies=copies,
        layers=layers,
        last=last,
        logits=min(settings.outputs, ub) * (g.n_vocab + n_embd) * 4,
        host=host + indices,
        host_layers=max(host, full + embeddings),
        host_kept=host + indices + 4 * ub * width - embeddings,
        output=g.n_vocab * max(min(settings.outputs, ub), settings.n_seq_max) * 4,
    )


def copied_kv(geometry: Geometry, settings: Settings) -> tuple[int, ...]:
    """Bytes of K and V, in f16, that a device copies while the first 0, 1, 2… layers are in RAM."""
    largest = [0]
    for layer in geometry.layers:
        size = 2 * cells(geometry, settings, layer) * (layer.k + layer.v) if layer.k else 0
        largest.append(max(largest[-1], size))
    if any(layer.windowed for layer in geometry.layers):
        largest[1:-1] = [round(size * COPIED_OF_MIXED) for size in largest[1:-1]]
    if len(largest) > 2:
        largest[1] //= 2  # nothing to overlap with: K and V of one layer come one after the other
    return tuple(largest)


def _mask(geometry: Geometry, settings: Settings) -> int:
    """Bytes of the attention masks: one for the whole context, one for the windowed layers' cells."""
    size = 2 if settings.flash_attn else 4
    columns = {cells(geometry, settings, layer) for layer in geometry.layers if not layer.windowed and layer.k}
    windowed = {cells(geometry, settings, layer) for layer in geometry.layers if layer.windowed}
    return (sum(columns) + sum(windowed)) * settings.ubatch * size
