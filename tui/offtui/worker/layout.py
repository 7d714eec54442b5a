"""What the bytes of this worker's KV cache depend on."""

import os

from offtui.protocol.carry import Layout
from offtui.protocol.spec import LoadSpec
from offtui.worker import llama


def layout(spec: LoadSpec, flash_attn: bool) -> Layout | None:
    """The layout of a load; ``None`` where the model's file is gone, so that nobody can say if it is the same.

    Args:
        spec: as loaded.
        flash_attn: as llama.cpp decided it.
    """
    try:
        path = os.path.realpath(spec.model)
        status = os.stat(path)
    except OSError:
        return None
    return Layout(
        path=path,
        file_bytes=status.st_size,
        mtime_ns=status.st_mtime_ns,
        llama_cpp=llama.VERSION,
        type_k=spec.type_k,
        type_v=spec.type_v,
        flash_attn=flash_attn,
        swa_full=False,
    )
