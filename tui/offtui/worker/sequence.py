"""The one sequence in a model's KV cache: what it holds, and decoding more of it."""

import ctypes
import time
from collections.abc import Callable
from typing import Any, Final

from offtui.protocol.spec import Message
from offtui.worker.failures import fail
from offtui.worker.llama import api
from offtui.worker.loader import Flags, LoadedModel
from offtui.worker.prefix import CachedSequence

DECODED: Final = 0
FULL: Final = 1
ABORTED: Final = 2

_SLOW: Final = 0.1
_FAST: Final = 0.04
_LEAST: Final = 16


class Sequence:
    """Tokens decoded so far, kept in step with llama.cpp's memory."""

    def __init__(self, model: LoadedModel, flags: Flags) -> None:
        self.cache = CachedSequence()
        self.model = model
        self.flags = flags
        self._most: int = min(api.llama_n_batch(model.context), api.llama_n_ubatch(model.context))
        self._abortable = not any(row.kind == "rpc" and row.layers for row in model.loaded.devices)
        self._chunk = self._most if self._abortable else 2 * _LEAST
        self._one = (ctypes.c_int32 * 1)()
        self.forgotten: tuple[Message, ...] = ()
        """The beginning of the conversation, its system prompt too, where messages were left out at the last turn."""

    @property
    def n_past(self) -> int:
        """Tokens in the KV cache."""
        return len(self.cache.tokens)

    def keep(self, n_tokens: int) -> int:
        """Drop all but the first ``n_tokens`` from the KV cache; all, where it cannot drop a part of them.

        Returns:
            The tokens it holds now.
        """
        if n_tokens < self.n_past:
            if n_tokens == 0 or not self._remove_behind(n_tokens):
                api.llama_memory_clear(self.model.memory, True)
                n_tokens = 0
            self.cache.truncate(n_tokens)
        return n_tokens

    def _remove_behind(self, n_tokens: int) -> bool:
        """Whether the memory, cut there, is what it was after the first ``n_tokens``.

        A cache with a sliding window has forgotten what lay before its window. llama.cpp cuts it all the same, and
        goes on with positions and attention that are wrong.
        """
        memory = self.model.memory
        if self.model.n_swa and api.llama_memory_seq_pos_min(memory, 0) > max(0, n_tokens - self.model.n_swa):
            return False
        removed = api.llama_memory_seq_rm(memory, 0, n_tokens, -1)
        return bool(removed) and api.llama_memory_seq_pos_max(memory, 0) == n_tokens - 1

    def decode_one(self, token: int) -> int:
        """Decode one token; llama_decode's status."""
        self._one[0] = token
        return self._decode(self._one, 1)

    def decode_prompt(self, tokens: list[int], progress: Callable[[int], None], cancelled: Callable[[], bool]) -> int:
        """Decode many tokens in chunks, looking for ``cancelled`` between them; llama_decode's status.

        A chunk is a ubatch. Where layers lie on an RPC device, whose work cannot be aborted, chunks are as long as
        that device decodes in about a tenth of a second.
        """
        start = 0
        while start < len(tokens):
            if cancelled():
                return ABORTED
            part = tokens[start : start + self._chunk]
            began = time.monotonic()
            status = self._decode((ctypes.c_int32 * len(part))(*part), len(part))
            if status != DECODED:
                return status
            start += len(part)
            if not self._abortable and start < len(tokens):
                api.llama_synchronize(self.model.context)
                self._adapt(time.monotonic() - began)
            progress(start)
        return DECODED

    def _adapt(self, seconds: float) -> None:
        if seconds > _SLOW:
            self._chunk = max(_LEAST, self._chunk // 2)
        elif seconds < _FAST:
            self._chunk = min(self._most, self._chunk * 2)

    def _decode(self, tokens: Any, count: int) -> int:
        """llama_decode behind the cached tokens; the cache is brought in step with what came of it.

        Raises:
            WorkerError: llama.cpp failed to decode.
        """
        status: int = api.llama_decode(self.model.context, api.llama_batch_get_one(tokens, count))
        if status == DECODED:
            self.cache.tokens.extend(tokens)
            return status
        if not self._remove_behind(self.n_past):
            api.llama_memory_clear(self.model.memory, True)
            self.cache.truncate(0)
        if status not in (FULL, ABORTED):
            raise fail("internal", f"llama.cpp failed to decode (status {status}).")
        return status
