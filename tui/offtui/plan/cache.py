"""Bytes of KV cache and recurrent state per layer, as llama.cpp's caches allocate them."""

from offtui.plan.geometry import Geometry, Layer
from offtui.plan.settings import CONTEXT_STEP, Settings, pad
from offtui.plan.weights import BLOCKS, CPU_ALIGNMENT, CUDA_ALIGNMENT, cuda_padding


def cells(geometry: Geometry, settings: Settings, layer: Layer) -> int:
    """Tokens that a layer's cache holds per stream."""
    size = settings.ctx_seq
    if not layer.windowed or settings.swa_full:
        return size
    sequences = settings.n_seq_max if settings.kv_unified else 1
    return pad(min(size, geometry.n_swa * sequences + settings.ubatch), CONTEXT_STEP)


def layer_bytes(geometry: Geometry, settings: Settings, *, cuda: bool) -> tuple[int, ...]:
    """Bytes of cache and state of each layer, in a CUDA buffer or in another one."""
    transposed = not settings.flash_attn
    sizes: list[int] = []
    memo: dict[Layer, int] = {}
    for layer in geometry.layers:
        size = memo.get(layer)
        if size is None:
            # a transposed V cache has the widest layer's width everywhere
            v = geometry.v_max if transposed and layer.v else layer.v
            n_cells = cells(geometry, settings, layer) * settings.n_stream
            size = _tensor(settings.type_k, layer.k, n_cells, cuda) + _tensor(settings.type_v, v, n_cells, cuda)
            size += pad(layer.state * max(settings.n_seq_max, 1), CPU_ALIGNMENT)
            memo[layer] = size
        sizes.append(size)
    return tuple(sizes)


def _tensor(kind: str, width: int, n_cells: int, cuda: bool) -> int:
    block, size = BLOCKS[kind]
    plain = -(-width // block) * size * n_cells
    if not plain or not cuda:
        return plain
    return pad(plain + cuda_padding(kind, width), CUDA_ALIGNMENT)
