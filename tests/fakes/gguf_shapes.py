"""Writes GGUFs with the shape of known models: sparse ones for the arithmetic, random weights for real runs.

A sparse file has the header, the tensor table and the full length, but no bytes on disk: llama.cpp loads it under
``no_alloc``. A random file is a model that llama.cpp really runs: speed and memory are real, its words are not.
"""

from tests.fakes.gguf_decoders import (
    bench_half,
    bench_tiny,
    decoder,
    gemma_2_27b,
    granite_4_1_8b,
    half_varied,
    hermes_3_8b_q4_0,
    llama_3_1_8b,
    ministral_3_8b,
    more_bits,
    qwen3_4b,
    qwen3_8b,
    qwen3_30b_a3b,
    qwen3_32b,
    qwen_2_5_7b,
    qwen_2_5_14b,
    tiny_experts,
    tiny_swa,
    tiny_varied,
    tiny_wide,
)
from tests.fakes.gguf_exotic import gemma4, gemma_4_12b, tiny_hybrid, tiny_latent, tiny_shared
from tests.fakes.gguf_shape import Shape, header_of, nbytes
from tests.fakes.gguf_writer import CHATML, byte_vocabulary, write_random, write_sparse

__all__ = [
    "CHATML",
    "Shape",
    "bench_half",
    "bench_tiny",
    "byte_vocabulary",
    "decoder",
    "gemma4",
    "gemma_2_27b",
    "gemma_4_12b",
    "granite_4_1_8b",
    "half_varied",
    "header_of",
    "hermes_3_8b_q4_0",
    "llama_3_1_8b",
    "ministral_3_8b",
    "more_bits",
    "nbytes",
    "qwen3_4b",
    "qwen3_8b",
    "qwen3_30b_a3b",
    "qwen3_32b",
    "qwen_2_5_7b",
    "qwen_2_5_14b",
    "tiny_experts",
    "tiny_hybrid",
    "tiny_latent",
    "tiny_shared",
    "tiny_swa",
    "tiny_varied",
    "tiny_wide",
    "write_random",
    "write_sparse",
]
