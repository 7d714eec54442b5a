"""The KV cache's way out of one worker and into another: through memory that both have mapped."""

import ctypes
import errno
import mmap
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from offtui.protocol.carry import Manifest, Mark, pack_tokens, refusal, unpack_tokens
from offtui.protocol.events import StateRestored, StateSaved
from offtui.text import clean_line
from offtui.units import size_text
from offtui.worker.llama import api
from offtui.worker.prefix import Anchor, CachedSequence
from offtui.worker.sequence import Sequence


def size_of(sequence: Sequence) -> int:
    """Bytes that the KV cache takes when it is saved."""
    size: int = api.llama_state_seq_get_size(sequence.model.context, 0)
    return size


def save(sequence: Sequence, descriptor: int) -> StateSaved:
    """Write the KV cache to the file ``descriptor``, which becomes as long as it is."""
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
        _reserve(descriptor, size)
        with _mapped(descriptor, size) as data:
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


def restore(sequence: Sequence, manifest: Manifest, descriptor: int) -> StateRestored:
    """Take over the KV cache in the file ``descriptor``; where that fails the cache is empty, and usable."""
    began = time.monotonic()
    why = _restore(sequence, manifest, descriptor)
    if why:
        sequence.keep(0)
        api.llama_memory_clear(sequence.model.memory, True)
        return StateRestored(0, manifest.size, time.monotonic() - began, why)
    sequence.cache.tokens[:] = unpack_tokens(manifest.tokens)
    sequence.cache.anchors[:] = [Anchor(m.n_tokens, manifest.text[: m.n_chars], m.tail) for m in manifest.marks]
    return StateRestored(sequence.n_past, manifest.size, time.monotonic() - began)


def _restore(sequence: Sequence, manifest: Manifest, descriptor: int) -> str:
    """Why it could not be taken over, or nothing."""
    model = sequence.model
    if model.loaded.layout is None:
        return "The model's file has changed meanwhile."
    why = refusal(manifest, model.loaded.layout, model.loaded.n_ctx)
    if why:
        return why
    try:
        if os.fstat(descriptor).st_size != manifest.size or manifest.size <= 0:
            return "The saved KV cache is not whole."
        with _mapped(descriptor, manifest.size) as data:
            read: int = api.llama_state_seq_set_data(model.context, data, manifest.size, 0)
    except OSError as error:
        return f"The saved KV cache cannot be read: {clean_line(error.strerror or str(error))}."
    if read != manifest.size or api.llama_memory_seq_pos_max(model.memory, 0) != manifest.n_tokens - 1:
        return "llama.cpp refused the saved KV cache."
    return ""


def _reserve(descriptor: int, size: int) -> None:
    """Make the file so long, with room behind every page: writing to a mapping without room would be SIGBUS."""
    if hasattr(os, "posix_fallocate"):
        os.ftruncate(descriptor, min(size, os.fstat(descriptor).st_size))
        os.posix_fallocate(descriptor, 0, size)
        return
    os.ftruncate(descriptor, 0)
    block = bytes(1024 * 1024)
    os.lseek(descriptor, 0, os.SEEK_SET)
    while (left := size - os.lseek(descriptor, 0, os.SEEK_CUR)) > 0:
        os.write(descriptor, block[:left])


@contextmanager
def _mapped(descriptor: int, size: int) -> Generator[Any]:
    """The file as an array of bytes for C."""
    with mmap.mmap(descriptor, size) as memory:
        # An address, not the array: the mapping can only be closed when no object refers to it.
        address = ctypes.addressof(ctypes.c_uint8.from_buffer(memory))
        yield ctypes.cast(address, ctypes.POINTER(ctypes.c_uint8))


def _marks(cache: CachedSequence) -> tuple[str, tuple[Mark, ...]]:
    """The newest anchor's text, and each anchor whose text is a beginning of it."""
    text = cache.anchors[-1].text if cache.anchors else ""
    return text, tuple(Mark(a.n_tokens, len(a.text), a.tail) for a in cache.anchors if text.startswith(a.text))
