"""The KV cache's way out of one worker and into another: through memory that both have mapped."""

import errno
import time

from offtui.protocol.carry import Manifest, Mark, pack_tokens, refusal, unpack_tokens
from offtui.protocol.events import StateRestored, StateSaved
from offtui.text import clean_line
from offtui.units import size_text
from offtui.worker.llama import api
from offtui.worker.prefix import Anchor, CachedSequence
from offtui.worker.sequence import Sequence
from offtui.worker.shared import Shared


def size_of(sequence: Sequence) -> int:
    """Bytes that the KV cache takes when it is saved."""
    size: int = api.llama_state_seq_get_size(sequence.model.context, 0)
    return size


def save(sequence: Sequence, memory: Shared, share_more: float = 0.0) -> StateSaved:
    """Write the KV cache to ``memory``, which becomes at least as long as it is.

    Args:
        sequence: whose cache.
        memory: where to.
        share_more: by how much of the cache's size it becomes longer, where it has to, so that it need not soon again.
    """
    began = time.monotonic()
    model = sequence.model

    def refuse(why: str) -> StateSaved:
        return StateSaved(None, time.monotonic() - began, why)

    if sequence.n_past == 0:
        return refuse("The KV cache is empty.")
    if model.loaded.layout is None:
        return refuse("The model's file has changed meanwhile.")
    api.llama_synchronize(model.context)
    size: int = api.llama_state_seq_get_size(model.context, 0)
    if size == 0:
        return refuse("llama.cpp cannot save the state of this model.")
    try:
        data = memory.room(size, int(size * share_more))
        written: int = api.llama_state_seq_get_data(model.context, data, size, 0)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.ENOMEM, errno.EFBIG):
            return refuse(f"There is no room for the {size_text(size)} of the KV cache.")
        return refuse(f"The KV cache cannot be saved: {clean_line(error.strerror or str(error))}.")
    if written != size:
        return refuse("llama.cpp failed to save the KV cache.")
    text, marks = _marks(sequence.cache)
    manifest = Manifest(
        layout=model.loaded.layout,
        n_ctx=model.loaded.n_ctx,
        size=size,
        tokens=pack_tokens(sequence.cache.tokens),
        text=text,
        marks=marks,
    )
    return StateSaved(manifest, time.monotonic() - began)


def restore(sequence: Sequence, manifest: Manifest, memory: Shared) -> StateRestored:
    """Take over the KV cache in ``memory``; where that fails the cache is empty, and usable."""
    began = time.monotonic()
    why = _restore(sequence, manifest, memory)
    if why:
        sequence.keep(0)
        api.llama_memory_clear(sequence.model.memory, True)
        return StateRestored(0, manifest.size, time.monotonic() - began, why)
    sequence.cache.tokens[:] = unpack_tokens(manifest.tokens)
    sequence.cache.anchors[:] = [Anchor(m.n_tokens, manifest.text[: m.n_chars], m.tail) for m in manifest.marks]
    return StateRestored(sequence.n_past, manifest.size, time.monotonic() - began)


def _restore(sequence: Sequence, manifest: Manifest, memory: Shared) -> str:
    """Why it could not be taken over, or nothing."""
    model = sequence.model
    if model.loaded.layout is None:
        return "The model's file has changed meanwhile."
    why = refusal(manifest, model.loaded.layout, model.loaded.n_ctx)
    if why:
        return why
    if manifest.size <= 0:
        return "The saved KV cache is not whole."
    try:
        data = memory.contents(manifest.size)
        read: int = api.llama_state_seq_set_data(model.context, data, manifest.size, 0)
    except OSError as error:
        return f"The saved KV cache cannot be read: {clean_line(error.strerror or str(error))}."
    if read != manifest.size or api.llama_memory_seq_pos_max(model.memory, 0) != manifest.n_tokens - 1:
        return "llama.cpp refused the saved KV cache."
    return ""


def _marks(cache: CachedSequence) -> tuple[str, tuple[Mark, ...]]:
    """The newest anchor's text, and each anchor whose text is a beginning of it."""
    text = cache.anchors[-1].text if cache.anchors else ""
    return text, tuple(Mark(a.n_tokens, len(a.text), a.tail) for a in cache.anchors if text.startswith(a.text))
