"""What llama.cpp's code knows of architectures and no header says: attention windows, recurrent layers, shared caches.

From ``src/models/*.cpp`` (``load_arch_hparams``) and ``llama_model::create_memory`` of llama.cpp 0c1e570.
"""

from typing import NamedTuple


class Window(NamedTuple):
    """How an architecture spreads sliding-window attention over its layers, unless the header has a pattern."""

    period: int
    """Every ``period``-th layer attends to everything; 0: the pattern must be in the header."""
    dense_first: bool = False
    """Whether that is the first of a period, not the last."""
    default: int = 0
    """Tokens of the window where the header has none; 0: then there is no window."""


WINDOWS = {
    "afmoe": Window(4),
    "cohere2": Window(4),
    "cohere2moe": Window(4, dense_first=True),
    "exaone-moe": Window(4, default=128),
    "gemma2": Window(2, default=4096),
    "gemma3": Window(6),
    "gemma3n": Window(5),
    "gemma4": Window(0),
    "gpt-oss": Window(2),
    "granite_swa": Window(0),
    "laguna": Window(4, dense_first=True),
    "llama4": Window(4, default=8192),
    "maple": Window(0),
    "mellum": Window(4),
    "mimo2": Window(0),
    "muse-glimmer": Window(4),
    "olmo2": Window(4),
    "plamo3": Window(8),
    "smallthinker": Window(4, dense_first=True),
    "spark2_5": Window(0),
    "step35": Window(0),
}
"""Architectures with sliding windows; ``exaone4`` (64 layers only) and ``lfm2`` have rules of their own."""

FIXED_WINDOWS = {"llama4": 8192, "smallthinker": 4096}
"""Windows that llama.cpp sets itself, whatever the header says, as long as it does not say 0."""

RECURRENT = {"mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"}
"""Only state, no KV cache."""

INTERVALS = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4, "minimax-01": 8}
"""Hybrids in which every so many-th layer attends, unless the header says otherwise."""

BY_HEADS = {
    "jamba",
    "plamo2",
    "granitehybrid",
    "lfm2",
    "lfm2moe",
    "nemotron_h",
    "nemotron_h_moe",
    "kimi-linear",
    "kimi-k3",
    "bailingmoe3",
}
"""Hybrids whose recurrent layers are those without key and value heads."""

BOTH = {"falcon-h1"}
"""Hybrids in which every layer attends and has state."""

LATENT = {"deepseek2", "deepseek2-ocr", "mistral4", "kimi-linear", "kimi-k3", "bailingmoe3"}
"""Multi-head latent attention where the header has MLA lengths: keys only are cached."""

SHARED_KV = {"gemma3n": 20}
"""Layers from the start that own a cache; the others use theirs. ``gemma4`` says so in its header."""

NO_CACHE = {"dream", "llada", "llada-moe", "rnd1"}
"""Diffusion models: they evaluate everything again and cache nothing."""

UNKNOWN = {
    "deepseek4",
    "deepseek32",
    "glm-dsa",
    "glm5-next",
    "hy_v4",
    "dots3note",
    "minimax-m3",
    "qwen4exp",
    "graniteswitch",
    "nanbeige",
    "hrm_text",
}
"""Architectures whose caches (indexers, several streams, looped layers) this arithmetic does not follow."""

PLAIN = {
    "llama",
    "deci",
    "falcon",
    "grok",
    "gpt2",
    "gptj",
    "gptneox",
    "mpt",
    "baichuan",
    "starcoder",
    "refact",
    "bloom",
    "stablelm",
    "qwen",
    "qwen2",
    "qwen2moe",
    "qwen2vl",
    "qwen3",
    "qwen3moe",
    "qwen3vl",
    "qwen3vlmoe",
    "phi2",
    "phi3",
    "phimoe",
    "plamo",
    "codeshell",
    "orion",
    "internlm2",
    "minicpm",
    "minicpm3",
    "gemma",
    "starcoder2",
    "xverse",
    "command-r",
    "dbrx",
    "olmo",
    "olmoe",
    "openelm",
    "arctic",
    "deepseek",
    "chatglm",
    "glm4",
    "glm4moe",
    "bitnet",
    "jais",
    "jais2",
    "nemotron",
    "exaone",
    "exaone4",
    "granite",
    "granitemoe",
    "chameleon",
    "plm",
    "bailingmoe",
    "bailingmoe2",
    "dots1",
    "arcee",
    "ernie4_5",
    "ernie4_5-moe",
    "hunyuan-moe",
    "hunyuan-dense",
    "hunyuan_vl",
    "hy_v3",
    "smollm3",
    "seed_oss",
    "grovemoe",
    "apertus",
    "minimax-m2",
    "cogvlm",
    "pangu-embedded",
    "mistral3",
    "paddleocr",
    "maincoder",
    "talkie",
}
"""Architectures with one KV cache over all layers."""

KNOWN = PLAIN | set(WINDOWS) | RECURRENT | set(INTERVALS) | BY_HEADS | BOTH | LATENT | NO_CACHE
"""Architectures whose caches the arithmetic follows; of all others it knows the weights only."""
