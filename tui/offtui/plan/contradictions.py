"""What a header says of itself against the tensors it lists: where they disagree llama.cpp will not load the file."""

import re

from offtui.gguf.header import Header

_BLOCK = re.compile(r"blk\.(\d{1,9})\.")


def contradiction(header: Header) -> str | None:
    """The first disagreement, as part of a sentence; ``None`` where none was found.

    Only what holds for every architecture is looked at, so that no model that loads is refused.
    """
    found = {int(match[1]) for tensor in header.tensors if (match := _BLOCK.match(tensor.name))}
    n_layer = header.n_layer
    if found and max(found) >= n_layer:
        return f"it says {n_layer} blocks and has tensors of block {max(found)}"
    # blocks that only predict further tokens may have been left out
    missing = next((block for block in range(n_layer - header.n_layer_nextn) if block not in found), None)
    if found and missing is not None:
        return f"it says {n_layer} blocks and has no tensors of block {missing}"
    n_embd = header.arch_int("embedding_length")
    embedding = next((tensor for tensor in header.tensors if tensor.name == "token_embd.weight"), None)
    if embedding is not None and embedding.shape and embedding.shape[0] != n_embd:
        return f"it says an embedding length of {n_embd}, and its token embeddings have {embedding.shape[0]}"
    if header.arch_int("attention.head_count") == 0 and not _has_list(header, "attention.head_count"):
        names = {tensor.name for tensor in header.tensors}
        if "blk.0.attn_q.weight" in names or "blk.0.attn_qkv.weight" in names:
            return "it says no attention heads, and has tensors of attention"
    return None


def _has_list(header: Header, key: str) -> bool:
    return isinstance(header.metadata.get(header.arch_key(key)), tuple)
