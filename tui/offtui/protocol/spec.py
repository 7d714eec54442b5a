"""What is asked of a worker: how to load, how to sample, what has been said."""

from typing import Literal

import msgspec

FlashAttn = Literal["auto", "on", "off"]
CacheType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]
Role = Literal["system", "user", "assistant"]
Placement = Literal["layers", "ffn", "experts"]
"""What devices get of the layers that do not lie there wholly: nothing, all but their dense feed-forward matrices, or
all but their experts."""
Strategy = Literal["layers", "ffn", "experts", "best"]
"""A placement, or whichever of them promises most tokens per second."""


class LoadSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A load as it is wanted. Names and meanings are llama.cpp's; ``None`` leaves the choice to the worker."""

    model: str
    """Path of the GGUF; of split files the first part."""
    n_gpu_layers: int | None = None
    """0…n_layer+1, the layers that lie wholly on devices: 1 is the output layer, k the output and the last k-1 blocks.
    ``None``: what the plan says fits. With a placement other than ``layers`` every layer is offloaded from 1 on, and
    the matrices it names stay in RAM in the others; 0 is the CPU alone with each of them."""
    placement: Strategy = "layers"
    vram_margin: int | None = None
    """Bytes to leave free on each device where the layers are chosen; ``None``: the usual."""
    vram_budget: int | None = None
    """Bytes that each device counts as having; ``None``: what it has. Loads that need more are refused."""
    n_ctx: int | None = None
    """Tokens of context. ``None``: the model's own, at most 8192."""
    n_batch: int = 2048
    n_ubatch: int = 512
    n_threads: int | None = None
    """``None``: one less than the cores, so that the terminal stays quick."""
    n_threads_batch: int | None = None
    type_k: CacheType = "f16"
    type_v: CacheType = "f16"
    flash_attn: FlashAttn = "auto"
    offload_kqv: bool = True
    use_mmap: bool = True
    main_gpu: int = 0
    tensor_split: tuple[float, ...] = ()
    """Shares of the layers per device; empty: by free memory, as llama.cpp does."""
    rpc: tuple[str, ...] = ()
    """RPC devices, ``host:port`` each."""
    rpc_as_found: bool = False
    """Those of them that do not answer are left out; otherwise the load fails."""
    on_cpu: tuple[str, ...] = ()
    """Patterns of tensors that stay in RAM whatever their layer (``tensor_buft_overrides``)."""


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer is written: how its tokens are chosen, within what grammar, after which messages.

    ``None``: the value in the file (``general.sampling.*``), else llama.cpp's default.
    """

    temperature: float | None = None
    """0 is greedy. llama.cpp's default 0.8."""
    top_k: int | None = None
    """llama.cpp's default 40; 0 keeps all."""
    top_p: float | None = None
    """llama.cpp's default 0.95."""
    min_p: float | None = None
    """llama.cpp's default 0.05."""
    repeat_last_n: int | None = None
    """Tokens the penalties look back on. llama.cpp's default 64; -1 is the whole context."""
    repeat_penalty: float | None = None
    """llama.cpp's default 1.0, which is none."""
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    """``None``: another one each time."""
    max_tokens: int | None = None
    """Tokens of the answer at most; ``None``: as long as the context lasts."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer; they are not part of it."""
    grammar: str = ""
    """GBNF that the answer must follow; empty: none."""
    json_schema: str = ""
    """A JSON schema that it must follow; where there is a grammar too, that one counts."""
    think: bool | None = None
    """Whether the model shall think before it answers, where its template knows ``enable_thinking``; ``None``: as the
    template does by itself, but not under a grammar, which its thoughts would have to follow."""
    drop_oldest: bool = False
    """Where the conversation leaves no room in the context, its oldest turns are left out; the system prompt stays."""


class Message(msgspec.Struct, frozen=True):
    """One message of the conversation as the chat template gets it."""

    role: Role
    content: str
    reasoning: str = ""
    """What the model thought before ``content``; templates that know ``reasoning_content`` get it."""
