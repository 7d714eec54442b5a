"""What a worker found out: the model, the devices, what lies where, what went wrong. All sizes are bytes."""

from typing import Literal

import msgspec

DeviceKind = Literal["cpu", "gpu", "igpu", "accel", "rpc"]

FailureKind = Literal[
    "not_found",
    "permission",
    "not_gguf",
    "truncated",
    "unsupported",
    "no_tokenizer",
    "out_of_range",
    "rpc_unreachable",
    "rpc_busy",
    "rpc_mismatch",
    "device_lost",
    "out_of_memory",
    "cancelled",
    "prompt_too_long",
    "bad_template",
    "bad_grammar",
    "timeout",
    "crashed",
    "internal",
]


class Failure(msgspec.Struct, frozen=True):
    """Why something did not work, for a person: one sentence, the proof, and what to do."""

    kind: FailureKind
    message: str
    """One clear sentence, cleaned."""
    evidence: str = ""
    """The line of llama.cpp's log or of the system that proves it."""
    advice: str = ""
    """What to do about it; may be empty."""


_CANNOT_CHAT = {
    "embedding": "an embedding model: it turns text into vectors and cannot chat",
    "mmproj": "a projector for images (mmproj): it goes with a model and is none itself",
    "lora": "a LoRA adapter: it changes a model and is none itself",
    "vocabulary": "a vocabulary without weights",
}


def no_chat_model(kind: str, name: str, arch: str) -> Failure | None:
    """Why a file of that name cannot be loaded to chat, by the kind its header says; ``None`` where it can."""
    if kind == "model":
        return None
    if kind == "unknown":
        message = f"{name} is of the architecture {arch}, which the installed llama.cpp does not know."
        advice = "A newer llama-cpp-python may know it: pip install --upgrade llama-cpp-python."
        return Failure("unsupported", message, advice=advice)
    advice = "Choose a chat model."
    if kind not in _CANNOT_CHAT:
        return Failure("unsupported", f"{name} is of a kind that is not supported.", advice=advice)
    return Failure("no_tokenizer", f"{name} is {_CANNOT_CHAT[kind]}.", advice=advice)


class DeviceFacts(msgspec.Struct, frozen=True):
    """A ggml device as its backend describes it."""

    name: str
    """ggml's name: ``CPU``, ``CUDA0``, ``Vulkan1``, ``MTL0``, ``RPC0``."""
    kind: DeviceKind
    description: str
    """``NVIDIA GeForce RTX 4060``; of an RPC device its ``host:port`` and description."""
    free: int | None
    total: int | None
    """Memory; of the CPU device the RAM. ``None``: the backend does not know."""
    round_trip: float | None = None
    """Seconds that an RPC device took to tell its memory, the network included; ``None`` of any other."""
    pci: str | None = None
    """Where it sits on this machine's bus, ``0000:01:00.0``: the only name it has in common with its driver's."""


class DeviceLedger(msgspec.Struct, frozen=True):
    """What a load put on one device, from the buffers llama.cpp allocated there."""

    name: str
    kind: DeviceKind
    weights: int
    kv: int
    """KV cache and recurrent state."""
    compute: int
    """Compute and output buffers."""
    layers: int
    """Layers of the model there; the output layer counts as one."""
    mapped: int = 0
    """Of ``weights``: read-only pages of the file, which the system can drop (CPU only)."""

    @property
    def total(self) -> int:
        """Bytes of all purposes."""
        return self.weights + self.kv + self.compute


class LayerCount(msgspec.Struct, frozen=True):
    """Layers wholly on devices: asked for, got by where the buffers are, and the most there is (n_layer + 1)."""

    asked: int
    got: int
    max: int


class Learned(msgspec.Struct, frozen=True):
    """What earlier loads on this machine taught, for the choice of the next."""

    contexts: dict[str, int] = {}
    """Bytes that a backend takes outside its buffers once it is up, by the device's description."""
    said: int | None = None
    """The same for every device, where a person has said so."""
    bandwidth: float | None = None
    """Bytes per second that decoding may read from RAM."""


class ModelFacts(msgspec.Struct, frozen=True):
    """What the file says of itself; names are cleaned for the screen."""

    path: str
    name: str
    arch: str
    quant: str
    """``Q4_K_M``, ``Q8_0``; ``""`` unknown."""
    n_layer: int
    n_ctx_train: int
    n_params: int
    file_bytes: int
    n_vocab: int
    n_embd: int
    has_template: bool


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Of one turn, from the worker's own clock and ``llama_perf_context``. Seconds, tokens, tokens per second."""

    prompt_tokens: int
    """All tokens of the prompt."""
    reused_tokens: int
    """Of them taken from the KV cache."""
    prompt_seconds: float
    ttft_seconds: float
    """From the request's arrival at the worker to the first token."""
    tokens: int
    """Tokens of the answer."""
    eval_seconds: float
    n_past: int
    """Tokens now in the KV cache."""
    decode_seconds: float = 0.0
    """llama.cpp's own count of the time in ``llama_decode`` for the answer (``llama_perf_context``)."""
    moves: int = 0
    """How often the answer went to another worker; its pauses are in none of the times."""
    epoch_tokens: int = 0
    """Tokens by the worker that ended it; with ``epoch_seconds`` the speed of that split alone."""
    epoch_seconds: float = 0.0

    @property
    def prompt_tps(self) -> float | None:
        """Prompt eval speed over the tokens that were not reused; ``None`` where it was stopped before its end."""
        fresh = self.prompt_tokens - self.reused_tokens
        complete = fresh > 0 and self.tokens > 0
        return fresh / self.prompt_seconds if complete and self.prompt_seconds > 0 else None

    @property
    def tps(self) -> float | None:
        """Generation speed; the first token belongs to the prompt.

        Of an answer that goes on where its worker died, that since then: the time before died with the worker.
        """
        if self.moves and self.ttft_seconds == 0:
            return self.epoch_tps
        return (self.tokens - 1) / self.eval_seconds if self.tokens > 1 and self.eval_seconds > 0 else None

    @property
    def epoch_tps(self) -> float | None:
        """Generation speed by the worker that ended the answer."""
        tokens = self.epoch_tokens - 1
        return tokens / self.epoch_seconds if tokens > 0 and self.epoch_seconds > 0 else None


class HeaderFacts(msgspec.Struct, frozen=True):
    """What a GGUF header says, for lists: read by llama.cpp's own reader in a disposable process."""

    path: str
    kind: Literal["model", "embedding", "mmproj", "lora", "vocabulary", "unknown", "unsupported"]
    name: str
    arch: str
    quant: str
    n_layer: int
    n_ctx_train: int
    n_params: int
    file_bytes: int
    """Of all parts."""
