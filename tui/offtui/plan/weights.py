"""Which tensors go where, and what they take in a buffer: llama.cpp's ``load_tensors`` as sums per layer."""

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from offtui.gguf.header import Header, Tensor
from offtui.plan.settings import pad

CPU_ALIGNMENT = 32
"""Bytes between tensors in a CPU buffer."""
CUDA_ALIGNMENT = 128
CUDA_ROW = 512
"""CUDA pads rows of quantised tensors to this many values, so that its kernels may read over the end."""

_BLOCK = re.compile(r"blk\.(\d+)\.")
_INPUT = ("token_embd.", "position_embd.", "token_types.", "per_layer_token_embd.")
"""Tensors of class ``LLM_TENSOR_LAYER_INPUT``: always in RAM."""
_FIRST_LAYER = ("per_layer_model_proj.", "per_layer_proj_norm.", "token_embd_norm.", "hrm.")
"""Without a layer in their name, but placed with layer 0."""
_PER_DEVICE = ("rope_freqs.", "rope_factors_long.", "rope_factors_short.")
"""Wanted by every layer: one copy on each device that has layers."""
_UNUSED = ("masked_embd_", "nextn.")

BLOCKS: dict[str, tuple[int, int]] = {
    "f32": (1, 4),
    "f16": (1, 2),
    "bf16": (1, 2),
    "q4_0": (32, 18),
    "q4_1": (32, 20),
    "q5_0": (32, 22),
    "q5_1": (32, 24),
    "q8_0": (32, 34),
    "iq4_nl": (32, 18),
}
"""Values and bytes of a block of the types a KV cache may have."""


class Span(NamedTuple):
    """Where CPU tensors lie in a file; ``first >= last`` is nothing."""

    first: int
    last: int


class Group(msgspec.Struct, frozen=True):
    """Tensors that are placed together."""

    cpu: int
    """Bytes in a CPU buffer."""
    cuda: int
    """Bytes in a CUDA buffer, with its padding."""
    read: int
    """Bytes read per token: of experts only those that are used."""
    spans: dict[int, Span]
    """Per part of the file."""


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """All tensors of a model by where they may go."""

    input: Group
    """Always in RAM."""
    output: Group
    """With the output layer; for tied embeddings a second copy of the token embedding."""
    tied: bool
    per_device: Group
    """One copy per device that has layers."""
    layers: tuple[Group, ...]
    ffn: tuple[Group, ...]
    """Of each layer the dense feed-forward matrices, which ``ffn`` placements keep in RAM."""
    experts: tuple[Group, ...]
    """Of each layer the expert matrices, which ``experts`` placements keep in RAM."""
    largest_experts: int
    """Bytes of the largest expert tensor."""
    largest_up: int
    """Bytes of the largest dense ``ffn_up``."""
    output_matrix: int
    """Bytes of the matrix that makes logits."""
    n_parts: int


_EXPERTS = re.compile(r"blk\.\d+\.ffn_(up|down|gate_up|gate)_(ch|)exps")
_FFN = re.compile(r"blk\.\d+\.ffn_(up|down|gate)\.weight")


def weights(header: Header) -> Weights:
    """Sort a model's tensors into groups."""
    n_layer = header.n_layer
    trunk = n_layer - header.n_layer_nextn
    layers: list[list[Tensor]] = [[] for _ in range(n_layer)]
    ffn: list[list[Tensor]] = [[] for _ in range(n_layer)]
    experts: list[list[Tensor]] = [[] for _ in range(n_layer)]
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    per_device: list[Tensor] = []
    embedding, matrix = None, None
    lfm2 = header.get_str("general.architecture").startswith("lfm2")
    for tensor in header.tensors:
        name = tensor.name
        block = _BLOCK.match(name)
        if block is not None:
            layer = int(block[1])
            # llama.cpp skips the tensors of blocks that only predict further tokens
            if layer < trunk:
                layers[layer].append(tensor)
                if _EXPERTS.match(name):
                    experts[layer].append(tensor)
                elif _FFN.match(name):
                    ffn[layer].append(tensor)
        elif name.startswith(_INPUT):
            inputs.append(tensor)
            if name == "token_embd.weight":
                embedding = tensor
        elif name.startswith(_PER_DEVICE):
            per_device.append(tensor)
        elif n_layer and name.startswith(_FIRST_LAYER) and not (lfm2 and name.startswith("token_embd_norm.")):
            layers[0].append(tensor)
        elif not name.startswith(_UNUSED):
            outputs.append(tensor)
            if name == "output.weight":
                matrix = tensor
    tied = matrix is None and embedding is not None
    used = _used_share(header)
    output = _group(outputs, used)
    if tied and embedding is not None:
        matrix = embedding
        # a second copy, but of the same bytes in the file
        output = Group(
            output.cpu,
            output.cuda + _cuda(embedding),
            output.read + embedding.nbytes,
            output.spans,
        )
    return Weights(
        input=_group(inputs, lambda _: 0.0),
        output=output,
        tied=tied,
        per_device=_group(per_device, used),
        layers=tuple(_group(group, used) for group in layers),
        ffn=tuple(_group(group, used) for group in ffn),
        experts=tuple(_group(group, used) for group in experts),
        largest_experts=max((t.nbytes for group in experts for t in group), default=0),
        largest_up=max((t.nbytes for group in layers for t in group if ".ffn_up." in t.name), default=0),
        output_matrix=matrix.nbytes if matrix is not None else 0,
        n_parts=len(header.parts),
    )


def cuda_padding(kind: str, row: int) -> int:
    """Bytes CUDA adds behind a quantised tensor whose rows of ``row`` values are no multiple of 512."""
    if row % CUDA_ROW == 0 or kind not in BLOCKS or BLOCKS[kind][0] == 1:
        return 0
    block, size = BLOCKS[kind]
    return (CUDA_ROW - row % CUDA_ROW) // block * size


def _used_share(header: Header) -> Callable[[Tensor], float]:
    """The share of a tensor that one token reads."""
    count = header.arch_int("expert_count", high=1024)
    used = max(header.get_ints(header.arch_key("expert_used_count"), max(header.n_layer, 1)), default=0)
    share = min(used / count, 1.0) if count > 0 and used > 0 else 1.0
    return lambda tensor: share if _EXPERTS.match(tensor.name) else 1.0


def _cuda(tensor: Tensor) -> int:
    row = tensor.shape[0] if tensor.shape else 0
    extra = 0
    if row % CUDA_ROW and tensor.type not in ("f32", "f16", "bf16", "i32"):
        # whatever the type's block is, its bytes per value are the tensor's own
        extra = round((CUDA_ROW - row % CUDA_ROW) * tensor.nbytes / max(tensor.n_elements, 1))
    return pad(tensor.nbytes + extra, CUDA_ALIGNMENT)


def _group(tensors: Iterable[Tensor], used: Callable[[Tensor], float]) -> Group:
    cpu = cuda = 0
    read = 0.0
    spans: dict[int, Span] = {}
    for tensor in tensors:
        cpu += pad(tensor.nbytes, CPU_ALIGNMENT)
        cuda += _cuda(tensor)
        read += tensor.nbytes * used(tensor)
        first, last = tensor.offset, tensor.offset + tensor.nbytes
        old = spans.get(tensor.part)
        spans[tensor.part] = Span(first, last) if old is None else Span(min(old.first, first), max(old.last, last))
    return Group(cpu, cuda, round(read), spans)
