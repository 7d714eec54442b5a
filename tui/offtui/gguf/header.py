"""What a GGUF says of itself: metadata and tensors as values, whoever read them. Nothing in it is believed blindly."""

import math
from typing import Literal

import msgspec

from offtui.gguf.quant import quant_name
from offtui.text import clean_line

MAX_LAYERS = 512
"""llama.cpp's ``LLAMA_MAX_LAYERS``; a file that claims more is not loaded by it."""

Kind = Literal["model", "embedding", "mmproj", "lora", "vocabulary", "unknown", "unsupported"]
"""``unknown``: a model of an architecture that the installed llama.cpp has no code for."""
Scalar = bool | int | float | str

_EMBEDDERS = {
    "bert",
    "modern-bert",
    "nomic-bert",
    "nomic-bert-moe",
    "neo-bert",
    "jina-bert-v2",
    "jina-bert-v3",
    "eurobert",
    "gemma-embedding",
    "llama-embed",
    "t5encoder",
}
"""Architectures of llama.cpp that answer with vectors, never with text."""

_NOT_TEXT = {"wavtokenizer-dec", "pockettts", "t5", "gemma4-assistant", "eagle3", "dflash"}
"""Architectures of llama.cpp that cannot chat alone: vocoders, encoder-decoders, draft heads."""


class Tensor(msgspec.Struct, frozen=True, array_like=True):
    """One row of the tensor table."""

    name: str
    """As in the file, not cleaned."""
    type: str
    """ggml's name of its type: ``q4_K``, ``f32``."""
    shape: tuple[int, ...]
    """ggml's order: ``shape[0]`` is a row's length. Trailing ones are dropped."""
    nbytes: int
    offset: int
    """Of its first byte in the file of its part."""
    part: int = 0
    """Index into ``Header.parts``."""

    @property
    def n_elements(self) -> int:
        """Parameters in it."""
        return math.prod(self.shape)


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The header of a model, over all its parts.

    The getters never raise: what is missing, of another type or out of range is the default.
    """

    path: str
    """Of the first part: what llama.cpp loads."""
    parts: tuple[str, ...]
    """Paths of all split files in order; one path for an unsplit model."""
    version: int
    """Of the GGUF format."""
    file_bytes: int
    """Of all parts."""
    data_offset: int
    """Where the first part's tensor data begins."""
    metadata: dict[str, Scalar | tuple[Scalar, ...]]
    """Scalars, strings and short arrays of the first part; long arrays are only counted, in ``lengths``."""
    lengths: dict[str, int]
    """Elements of every array, kept or not."""
    tensors: tuple[Tensor, ...]
    has_code: bool = True
    """Whether the llama.cpp that read it has code for the architecture."""

    def get_int(self, key: str, default: int | None = None) -> int | None:
        """The integer at ``key``; a float that is whole counts, a bool or an array does not."""
        value = self.metadata.get(key)
        if isinstance(value, bool):
            return default
        if isinstance(value, int):
            return value
        if isinstance(value, float) and math.isfinite(value) and value.is_integer():
            return int(value)
        return default

    def get_float(self, key: str, default: float | None = None) -> float | None:
        """The finite number at ``key``."""
        value = self.metadata.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return default
        return float(value) if math.isfinite(value) else default

    def get_str(self, key: str, default: str = "") -> str:
        """The text at ``key``, as in the file."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else default

    def get_bool(self, key: str, default: bool = False) -> bool:
        """The truth value at ``key``."""
        value = self.metadata.get(key)
        return value if isinstance(value, bool) else default

    def get_ints(self, key: str, count: int, default: int = 0) -> tuple[int, ...]:
        """``count`` integers, one per layer: from an array, or a scalar for all; what is missing is ``default``."""
        value = self.metadata.get(key)
        if isinstance(value, tuple):
            found = [int(item) if isinstance(item, int) else default for item in value[:count]]
            return tuple(found + [default] * (count - len(found)))
        scalar = self.get_int(key)
        return (default if scalar is None else scalar,) * count

    def arch_key(self, key: str) -> str:
        """The full name of one of the architecture's own keys: ``"block_count"`` → ``"llama.block_count"``."""
        return f"{self.metadata.get('general.architecture')}.{key}"

    def arch_int(self, key: str, default: int = 0, *, low: int = 0, high: int = 2**31 - 1) -> int:
        """One of the architecture's own integers; ``default`` where it is missing or not within ``low``…``high``."""
        value = self.get_int(self.arch_key(key))
        return value if value is not None and low <= value <= high else default

    @property
    def arch(self) -> str:
        """The architecture, cleaned: ``llama``, ``qwen3moe``; ``""`` where the file does not say."""
        return clean_line(self.get_str("general.architecture"), 64)

    @property
    def name(self) -> str:
        """The name in the file, cleaned; may be empty."""
        return clean_line(self.get_str("general.name"), 200)

    @property
    def n_layer(self) -> int:
        """Blocks as llama.cpp offloads them (``n_layer_all``: MTP blocks count too); 0 where the claim is absurd.

        All layers are on the GPU at ``n_gpu_layers = n_layer + 1``.
        """
        return self.arch_int("block_count", high=MAX_LAYERS)

    @property
    def n_layer_nextn(self) -> int:
        """Blocks at the end that only predict further tokens (MTP); llama.cpp skips their tensors by default."""
        return self.arch_int("nextn_predict_layers", high=self.n_layer)

    @property
    def n_ctx_train(self) -> int:
        """Tokens of context it was trained on; 0 unknown."""
        return self.arch_int("context_length")

    @property
    def n_embd(self) -> int:
        """Width of the residual stream; 0 unknown."""
        return self.arch_int("embedding_length")

    @property
    def n_vocab(self) -> int:
        """Tokens of the vocabulary, by llama.cpp's order of belief: token list, metadata, embedding table."""
        tokens = self.lengths.get("tokenizer.ggml.tokens", 0)
        if tokens:
            return tokens
        return self.arch_int("vocab_size") or next(
            (t.shape[1] for t in self.tensors if t.name == "token_embd.weight" and len(t.shape) == 2), 0
        )

    @property
    def n_params(self) -> int:
        """Parameters of all tensors."""
        return sum(tensor.n_elements for tensor in self.tensors)

    @property
    def n_bytes(self) -> int:
        """Bytes of all tensors, without headers and padding."""
        return sum(tensor.nbytes for tensor in self.tensors)

    @property
    def quant(self) -> str:
        """``Q4_K_M``, ``Q8_0``; ``""`` unknown."""
        return quant_name(self.get_int("general.file_type"), ((t.type, t.nbytes) for t in self.tensors))

    @property
    def has_template(self) -> bool:
        """Whether the file brings a chat template."""
        return bool(self.get_str("tokenizer.chat_template").strip())

    @property
    def has_tokenizer(self) -> bool:
        """Whether the file brings a vocabulary that text can be cut into."""
        return self.get_str("tokenizer.ggml.model") not in ("", "none", "no_vocab")

    @property
    def kind(self) -> Kind:
        """What the file is for. Only ``model`` can be talked with."""
        arch = self.get_str("general.architecture")
        kind = self.get_str("general.type")
        if arch == "clip" or kind == "mmproj":
            return "mmproj"
        if kind == "adapter" or "adapter.type" in self.metadata:
            return "lora"
        if not self.tensors:
            return "vocabulary" if "tokenizer.ggml.tokens" in self.lengths else "unsupported"
        if not arch or self.n_layer == 0 or arch in _NOT_TEXT:
            return "unsupported"
        # 0 is "none"; a model that answers with text has no pooling
        if arch in _EMBEDDERS or self.arch_int("pooling_type") > 0:
            return "embedding"
        return "model" if self.has_code else "unknown"
