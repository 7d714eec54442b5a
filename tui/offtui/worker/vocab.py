"""Tokens and text: llama.cpp's tokenizer, pieces of any length, whole characters."""

import codecs
import ctypes
from collections.abc import Sequence
from typing import Any, Final

from offtui.worker.llama import api
from offtui.worker.reasoning import SPECIAL

VOCAB_NONE: Final = 0
_ATTR_CONTROL: Final = 1 << 3
_ATTR_USER_DEFINED: Final = 1 << 4


class Vocab:
    """The vocabulary of a loaded model."""

    def __init__(self, model: Any) -> None:
        self._vocab: Any = api.llama_model_get_vocab(model)
        self.size: int = api.llama_vocab_n_tokens(self._vocab)
        self.type: int = api.llama_vocab_type(self._vocab)
        self._pieces: dict[int, bytes] = {}
        self._buffer = ctypes.create_string_buffer(256)

    @property
    def handle(self) -> Any:
        """llama.cpp's own."""
        return self._vocab

    @property
    def bos(self) -> int | None:
        """The begin-of-sequence token."""
        token: int = api.llama_vocab_bos(self._vocab)
        return token if token >= 0 else None

    @property
    def eos(self) -> int | None:
        """The end-of-sequence token."""
        token: int = api.llama_vocab_eos(self._vocab)
        return token if token >= 0 else None

    @property
    def adds_bos(self) -> bool:
        """Whether a prompt must begin with ``bos``."""
        return bool(api.llama_vocab_get_add_bos(self._vocab)) and self.bos is not None

    def text(self, token: int | None) -> str:
        """The text by which templates name a token."""
        if token is None:
            return ""
        raw: bytes | None = api.llama_vocab_get_text(self._vocab, token)
        return (raw or b"").decode("utf-8", "replace")

    def has(self, text: str) -> bool:
        """Whether ``text`` is one token."""
        return len(self.tokenize_on(text)) == 1

    def is_end(self, token: int) -> bool:
        """Whether the model ends its answer with this token."""
        return bool(api.llama_vocab_is_eog(self._vocab, token))

    def begins_with_control(self, tokens: Sequence[int]) -> bool:
        """Whether the first token is a control token or one defined by the user."""
        if not tokens:
            return False
        attributes: int = api.llama_vocab_get_attr(self._vocab, tokens[0])
        return bool(attributes & (_ATTR_CONTROL | _ATTR_USER_DEFINED))

    def tokenize(self, text: str) -> list[int]:
        """Tokens of a rendered prompt: control tokens parsed, begin-of-sequence set where the model wants it once."""
        tokens = self.tokenize_on(text)
        if self.adds_bos and (not tokens or tokens[0] != self.bos) and self.bos is not None:
            tokens.insert(0, self.bos)
        return tokens

    def piece(self, token: int) -> bytes:
        """The bytes of a token; of control tokens only the marks of reasoning have any."""
        cached = self._pieces.get(token)
        if cached is None:
            cached = self._pieces[token] = self._read_piece(token)
        return cached

    def _read_piece(self, token: int) -> bytes:
        special = bool(api.llama_vocab_is_control(self._vocab, token)) and self.text(token) in SPECIAL
        size: int = api.llama_token_to_piece(self._vocab, token, self._buffer, len(self._buffer), 0, special)
        if size < 0:
            self._buffer = ctypes.create_string_buffer(-size)
            size = api.llama_token_to_piece(self._vocab, token, self._buffer, len(self._buffer), 0, special)
        return self._buffer.raw[: max(size, 0)]

    def tokenize_on(self, text: str) -> list[int]:
        """Tokens of text that follows other text: control tokens parsed, nothing added."""
        raw = text.encode("utf-8", "replace")
        room = len(raw) + 8
        array = (ctypes.c_int32 * room)()
        count: int = api.llama_tokenize(self._vocab, raw, len(raw), array, room, False, True)
        if count < 0:
            array = (ctypes.c_int32 * -count)()
            count = api.llama_tokenize(self._vocab, raw, len(raw), array, -count, False, True)
        return list(array[: max(count, 0)])


class Utf8Stream:
    """Bytes to whole characters; what can never become one is U+FFFD."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> str:
        """The characters that ``data`` completes."""
        return self._decoder.decode(data)

    @property
    def held(self) -> bytes:
        """The bytes of an incomplete character."""
        return self._decoder.getstate()[0]

    def finish(self) -> str:
        """The rest: an incomplete character is U+FFFD."""
        return self._decoder.decode(b"", final=True)
