"""Writes GGUFs with the shape of known models: sparse ones for the arithmetic, random weights for real runs.

A sparse file has the header, the tensor table and the full length, but no bytes on disk: llama.cpp loads it under
``no_alloc``. A random file is a model that llama.cpp really runs: speed and memory are real, its words are not.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from gguf.constants import GGML_QUANT_SIZES

from gguf import GGMLQuantizationType as Q
from gguf import GGUFWriter

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

Meta = dict[str, tuple[str, Any]]
"""Key (without the architecture, unless it has a dot before it) → the writer's type and the value."""
Row = tuple[str, list[int], Q]
"""Name, shape in ggml's order, type."""


@dataclass(frozen=True)
class Shape:
    """A model to write: architecture, metadata, tensor table."""

    arch: str
    meta: Mapping[str, tuple[str, Any]]
    rows: tuple[Row, ...]
    general: Mapping[str, tuple[str, Any]] = field(default_factory=dict)

    def with_meta(self, **meta: tuple[str, Any]) -> "Shape":
        """The same model with other values; ``__`` in a name stands for a dot."""
        changed = {key.replace("__", "."): value for key, value in meta.items()}
        return Shape(self.arch, {**self.meta, **changed}, self.rows, self.general)

    @property
    def n_vocab(self) -> int:
        return self.meta["vocab_size"][1]


def more_bits(layer: int, n_layer: int) -> bool:
    """llama.cpp's Q4_K_M rule for the layers whose ffn_down and attn_v get Q6_K."""
    return layer < n_layer // 8 or layer >= 7 * n_layer // 8 or (layer - n_layer // 8) % 3 == 2


def decoder(
    arch: str,
    n_layer: int,
    n_embd: int,
    n_head: int,
    n_head_kv: int,
    head: int,
    n_ff: int,
    n_vocab: int,
    n_ctx: int,
    *,
    base: Q = Q.Q4_K,
    more: Q = Q.Q6_K,
    out: Q = Q.Q6_K,
    tied: bool = False,
    rope_freqs: bool = False,
    qk_norm: bool = False,
    qkv_bias: bool = False,
    post_norms: bool = False,
    experts: tuple[int, int] | None = None,
    extra: Meta | None = None,
    file_type: int | None = None,
) -> Shape:
    """A llama-like decoder. ``experts`` is their number and their n_ff."""
    meta: Meta = {
        "context_length": ("uint32", n_ctx),
        "embedding_length": ("uint32", n_embd),
        "block_count": ("uint32", n_layer),
        "feed_forward_length": ("uint32", n_ff),
        "attention.head_count": ("uint32", n_head),
        "attention.head_count_kv": ("uint32", n_head_kv),
        "attention.layer_norm_rms_epsilon": ("float32", 1e-5),
        "attention.key_length": ("uint32", head),
        "attention.value_length": ("uint32", head),
        "rope.freq_base": ("float32", 1e6),
        "vocab_size": ("uint32", n_vocab),
        **(extra or {}),
    }
    if arch == "llama":
        meta["rope.dimension_count"] = ("uint32", head)
    rows: list[Row] = [("token_embd.weight", [n_embd, n_vocab], out if tied else base)]
    if rope_freqs:
        rows.append(("rope_freqs.weight", [head // 2], Q.F32))
    for layer in range(n_layer):
        b, high = f"blk.{layer}.", more if more_bits(layer, n_layer) else base
        rows += [
            (b + "attn_norm.weight", [n_embd], Q.F32),
            (b + "attn_q.weight", [n_embd, n_head * head], base),
            (b + "attn_k.weight", [n_embd, n_head_kv * head], base),
            (b + "attn_v.weight", [n_embd, n_head_kv * head], high),
            (b + "attn_output.weight", [n_head * head, n_embd], base),
            (b + "ffn_norm.weight", [n_embd], Q.F32),
        ]
        if qkv_bias:
            rows += [
                (b + "attn_q.bias", [n_head * head], Q.F32),
                (b + "attn_k.bias", [n_head_kv * head], Q.F32),
                (b + "attn_v.bias", [n_head_kv * head], Q.F32),
            ]
        if qk_norm:
            rows += [(b + "attn_k_norm.weight", [head], Q.F32), (b + "attn_q_norm.weight", [head], Q.F32)]
        if post_norms:
            rows += [
                (b + "post_attention_norm.weight", [n_embd], Q.F32),
                (b + "post_ffw_norm.weight", [n_embd], Q.F32),
            ]
        if experts:
            count, width = experts
            rows += [
                (b + "ffn_gate_inp.weight", [n_embd, count], Q.F32),
                (b + "ffn_gate_exps.weight", [n_embd, width, count], base),
                (b + "ffn_down_exps.weight", [width, n_embd, count], high),
                (b + "ffn_up_exps.weight", [n_embd, width, count], base),
            ]
        else:
            rows += [
                (b + "ffn_gate.weight", [n_embd, n_ff], base),
                (b + "ffn_down.weight", [n_ff, n_embd], high),
                (b + "ffn_up.weight", [n_embd, n_ff], base),
            ]
    rows.append(("output_norm.weight", [n_embd], Q.F32))
    if not tied:
        rows.append(("output.weight", [n_embd, n_vocab], out))
    kind = file_type if file_type is not None else {Q.Q4_K: 15, Q.Q4_0: 2, Q.Q8_0: 7}.get(base)
    general: Meta = {} if kind is None else {"general.file_type": ("uint32", kind)}
    return Shape(arch, meta, tuple(rows), general)


_Q4: dict[str, Any] = {"base": Q.Q4_0, "more": Q.Q4_0, "out": Q.Q4_0}
_GEMMA2: Meta = {
    "attn_logit_softcapping": ("float32", 50.0),
    "final_logit_softcapping": ("float32", 30.0),
    "attention.sliding_window": ("uint32", 4096),
}
_EXPERTS_30B: Meta = {
    "expert_count": ("uint32", 128),
    "expert_used_count": ("uint32", 8),
    "expert_feed_forward_length": ("uint32", 768),
}


def gemma_2_27b() -> Shape:
    return decoder("gemma2", 46, 4608, 32, 16, 128, 36864, 256000, 8192, tied=True, post_norms=True, extra=_GEMMA2)


def llama_3_1_8b(**change: Any) -> Shape:
    return decoder("llama", 32, 4096, 32, 8, 128, 14336, 128256, 131072, rope_freqs=True, **change)


def hermes_3_8b_q4_0() -> Shape:
    return llama_3_1_8b(base=Q.Q4_0, more=Q.Q4_0, out=Q.Q6_K)


def qwen_2_5_14b() -> Shape:
    return decoder("qwen2", 48, 5120, 40, 8, 128, 13824, 152064, 32768, qkv_bias=True)


def qwen_2_5_7b() -> Shape:
    return decoder("qwen2", 28, 3584, 28, 4, 128, 18944, 152064, 32768, qkv_bias=True)


def qwen3_4b() -> Shape:
    return decoder("qwen3", 36, 2560, 32, 8, 128, 9728, 151936, 40960, tied=True, qk_norm=True)


def qwen3_8b() -> Shape:
    return decoder("qwen3", 36, 4096, 32, 8, 128, 12288, 151936, 40960, qk_norm=True)


def qwen3_32b() -> Shape:
    return decoder("qwen3", 64, 5120, 64, 8, 128, 25600, 151936, 40960, qk_norm=True)


def qwen3_30b_a3b() -> Shape:
    return decoder(
        "qwen3moe", 48, 2048, 32, 4, 128, 6144, 151936, 40960, qk_norm=True, experts=(128, 768), extra=_EXPERTS_30B
    )


def ministral_3_8b() -> Shape:
    return decoder("llama", 34, 4096, 32, 8, 128, 14336, 131072, 262144)


def granite_4_1_8b() -> Shape:
    return decoder("granite", 40, 4096, 32, 8, 128, 12800, 100352, 131072)


def bench_tiny() -> Shape:
    """11 M parameters, 12 layers: loads and runs in a moment."""
    return decoder("llama", 12, 256, 4, 2, 64, 768, 8000, 8192, tied=True, **_Q4)


def bench_half() -> Shape:
    """0.5 B parameters, 24 layers, a 152k vocabulary."""
    return decoder("llama", 24, 896, 14, 2, 64, 4864, 151936, 32768, tied=True, **_Q4)


def tiny_swa() -> Shape:
    """Every second layer looks back 256 tokens only, both caps on: Gemma 2's shape in small."""
    extra = {**_GEMMA2, "attention.sliding_window": ("uint32", 256)}
    return decoder("gemma2", 8, 256, 4, 2, 64, 768, 8000, 8192, tied=True, post_norms=True, extra=extra, **_Q4)


def tiny_experts() -> Shape:
    """Eight experts, two of them used: a mixture of experts in small."""
    extra: Meta = {
        "expert_count": ("uint32", 8),
        "expert_used_count": ("uint32", 2),
        "expert_feed_forward_length": ("uint32", 256),
    }
    return decoder("qwen3moe", 8, 256, 4, 2, 64, 768, 8000, 8192, qk_norm=True, experts=(8, 256), extra=extra, **_Q4)


def tiny_hybrid() -> Shape:
    """Qwen 3.5 in small: every fourth layer attends, the others have recurrent state; one more block predicts ahead."""
    n_embd, n_ff, n_vocab, head, groups, state, ranks = 256, 512, 8000, 64, 2, 64, 4
    inner, keys = state * ranks, state * groups
    meta: Meta = {
        "context_length": ("uint32", 8192),
        "embedding_length": ("uint32", n_embd),
        "block_count": ("uint32", 9),
        "nextn_predict_layers": ("uint32", 1),
        "feed_forward_length": ("uint32", n_ff),
        "attention.head_count": ("uint32", 4),
        "attention.head_count_kv": ("uint32", 2),
        "attention.key_length": ("uint32", head),
        "attention.value_length": ("uint32", head),
        "attention.layer_norm_rms_epsilon": ("float32", 1e-6),
        "rope.freq_base": ("float32", 1e7),
        "rope.dimension_count": ("uint32", head),
        "rope.dimension_sections": ("array", [8, 12, 12, 0]),
        "full_attention_interval": ("uint32", 4),
        "ssm.conv_kernel": ("uint32", 4),
        "ssm.inner_size": ("uint32", inner),
        "ssm.state_size": ("uint32", state),
        "ssm.time_step_rank": ("uint32", ranks),
        "ssm.group_count": ("uint32", groups),
        "vocab_size": ("uint32", n_vocab),
    }
    rows: list[Row] = [("token_embd.weight", [n_embd, n_vocab], Q.Q4_0)]
    for layer in range(9):
        b = f"blk.{layer}."
        rows += [(b + "attn_norm.weight", [n_embd], Q.F32), (b + "post_attention_norm.weight", [n_embd], Q.F32)]
        if layer == 8 or layer % 4 == 3:
            rows += [
                (b + "attn_q.weight", [n_embd, 4 * head * 2], Q.Q4_0),
                (b + "attn_k.weight", [n_embd, 2 * head], Q.Q4_0),
                (b + "attn_v.weight", [n_embd, 2 * head], Q.Q4_0),
                (b + "attn_output.weight", [4 * head, n_embd], Q.Q4_0),
                (b + "attn_q_norm.weight", [head], Q.F32),
                (b + "attn_k_norm.weight", [head], Q.F32),
            ]
        else:
            rows += [
                (b + "attn_qkv.weight", [n_embd, 2 * keys + inner], Q.Q4_0),
                (b + "attn_gate.weight", [n_embd, inner], Q.Q4_0),
                (b + "ssm_conv1d.weight", [4, 2 * keys + inner], Q.F32),
                (b + "ssm_dt.bias", [ranks], Q.F32),
                (b + "ssm_a", [ranks], Q.F32),
                (b + "ssm_beta.weight", [n_embd, ranks], Q.Q4_0),
                (b + "ssm_alpha.weight", [n_embd, ranks], Q.Q4_0),
                (b + "ssm_norm.weight", [state], Q.F32),
                (b + "ssm_out.weight", [inner, n_embd], Q.Q4_0),
            ]
        rows += _ffn(b, n_embd, n_ff)
    rows += [
        ("blk.8.nextn.eh_proj.weight", [2 * n_embd, n_embd], Q.Q4_0),
        ("blk.8.nextn.enorm.weight", [n_embd], Q.F32),
        ("blk.8.nextn.hnorm.weight", [n_embd], Q.F32),
        ("output_norm.weight", [n_embd], Q.F32),
        ("output.weight", [n_embd, n_vocab], Q.Q4_0),
    ]
    return Shape("qwen35", meta, tuple(rows), {"general.file_type": ("uint32", 2)})


def tiny_latent() -> Shape:
    """DeepSeek V2 in small: one latent vector per token is cached, experts from the second layer on."""
    n_embd, n_vocab, n_head, rank, rope, nope, value = 256, 8000, 4, 128, 32, 64, 64
    meta: Meta = {
        "context_length": ("uint32", 8192),
        "embedding_length": ("uint32", n_embd),
        "block_count": ("uint32", 6),
        "leading_dense_block_count": ("uint32", 1),
        "feed_forward_length": ("uint32", 512),
        "attention.head_count": ("uint32", n_head),
        "attention.head_count_kv": ("uint32", 1),
        "attention.key_length": ("uint32", rank + rope),
        "attention.value_length": ("uint32", rank),
        "attention.key_length_mla": ("uint32", nope + rope),
        "attention.value_length_mla": ("uint32", value),
        "attention.q_lora_rank": ("uint32", 128),
        "attention.kv_lora_rank": ("uint32", rank),
        "attention.layer_norm_rms_epsilon": ("float32", 1e-6),
        "expert_count": ("uint32", 8),
        "expert_used_count": ("uint32", 2),
        "expert_shared_count": ("uint32", 1),
        "expert_feed_forward_length": ("uint32", 128),
        "rope.freq_base": ("float32", 1e4),
        "rope.dimension_count": ("uint32", rope),
        "vocab_size": ("uint32", n_vocab),
    }
    rows: list[Row] = [("token_embd.weight", [n_embd, n_vocab], Q.Q4_0)]
    for layer in range(6):
        b = f"blk.{layer}."
        rows += [
            (b + "attn_norm.weight", [n_embd], Q.F32),
            (b + "attn_q_a_norm.weight", [128], Q.F32),
            (b + "attn_kv_a_norm.weight", [rank], Q.F32),
            (b + "attn_q_a.weight", [n_embd, 128], Q.Q4_0),
            (b + "attn_q_b.weight", [128, n_head * (nope + rope)], Q.Q4_0),
            (b + "attn_kv_a_mqa.weight", [n_embd, rank + rope], Q.Q4_0),
            (b + "attn_k_b.weight", [nope, rank, n_head], Q.Q4_0),
            (b + "attn_v_b.weight", [rank, value, n_head], Q.Q4_0),
            (b + "attn_output.weight", [n_head * value, n_embd], Q.Q4_0),
            (b + "ffn_norm.weight", [n_embd], Q.F32),
        ]
        if layer == 0:
            rows += _ffn(b, n_embd, 512)
            continue
        rows += [
            (b + "ffn_gate_inp.weight", [n_embd, 8], Q.F32),
            (b + "ffn_gate_exps.weight", [n_embd, 128, 8], Q.Q4_0),
            (b + "ffn_down_exps.weight", [128, n_embd, 8], Q.Q4_0),
            (b + "ffn_up_exps.weight", [n_embd, 128, 8], Q.Q4_0),
            (b + "ffn_gate_shexp.weight", [n_embd, 128], Q.Q4_0),
            (b + "ffn_down_shexp.weight", [128, n_embd], Q.Q4_0),
            (b + "ffn_up_shexp.weight", [n_embd, 128], Q.Q4_0),
        ]
    rows += [("output_norm.weight", [n_embd], Q.F32), ("output.weight", [n_embd, n_vocab], Q.Q4_0)]
    return Shape("deepseek2", meta, tuple(rows), {"general.file_type": ("uint32", 2)})


def tiny_shared() -> Shape:
    """Gemma 4 in small: windows by a pattern, shared caches, two widths of heads, embeddings of each layer's own."""
    n_layer, n_embd, n_vocab, n_head, n_head_kv, wide, narrow, own = 10, 256, 8000, 4, 2, 128, 64, 32
    windowed = [layer % 5 != 4 for layer in range(n_layer)]
    meta: Meta = {
        "context_length": ("uint32", 8192),
        "embedding_length": ("uint32", n_embd),
        "block_count": ("uint32", n_layer),
        "feed_forward_length": ("uint32", 512),
        "attention.head_count": ("uint32", n_head),
        "attention.head_count_kv": ("uint32", n_head_kv),
        "attention.key_length": ("uint32", wide),
        "attention.value_length": ("uint32", wide),
        "attention.key_length_swa": ("uint32", narrow),
        "attention.value_length_swa": ("uint32", narrow),
        "attention.sliding_window": ("uint32", 512),
        "attention.sliding_window_pattern": ("array", windowed),
        "attention.shared_kv_layers": ("uint32", 5),
        "attention.layer_norm_rms_epsilon": ("float32", 1e-6),
        "embedding_length_per_layer_input": ("uint32", own),
        "rope.freq_base": ("float32", 1e6),
        "rope.freq_base_swa": ("float32", 1e4),
        "rope.dimension_count": ("uint32", wide),
        "rope.dimension_count_swa": ("uint32", narrow),
        "vocab_size": ("uint32", n_vocab),
    }
    rows: list[Row] = [
        ("token_embd.weight", [n_embd, n_vocab], Q.Q4_0),
        ("per_layer_token_embd.weight", [own * n_layer, n_vocab], Q.Q4_0),
        ("per_layer_model_proj.weight", [n_embd, own * n_layer], Q.Q4_0),
        ("per_layer_proj_norm.weight", [own], Q.F32),
        ("rope_freqs.weight", [wide // 2], Q.F32),
        ("output_norm.weight", [n_embd], Q.F32),
    ]
    for layer in range(n_layer):
        b, head = f"blk.{layer}.", narrow if windowed[layer] else wide
        rows += [
            (b + "attn_norm.weight", [n_embd], Q.F32),
            (b + "attn_q.weight", [n_embd, n_head * head], Q.Q4_0),
            (b + "attn_output.weight", [n_head * head, n_embd], Q.Q4_0),
            (b + "attn_q_norm.weight", [head], Q.F32),
            (b + "post_attention_norm.weight", [n_embd], Q.F32),
            (b + "ffn_norm.weight", [n_embd], Q.F32),
            (b + "post_ffw_norm.weight", [n_embd], Q.F32),
            (b + "inp_gate.weight", [n_embd, own], Q.Q4_0),
            (b + "proj.weight", [own, n_embd], Q.Q4_0),
            (b + "post_norm.weight", [n_embd], Q.F32),
        ]
        if layer < n_layer - 5:
            rows += [
                (b + "attn_k.weight", [n_embd, n_head_kv * head], Q.Q4_0),
                (b + "attn_v.weight", [n_embd, n_head_kv * head], Q.Q4_0),
                (b + "attn_k_norm.weight", [head], Q.F32),
            ]
        rows += _ffn(b, n_embd, 512)
    return Shape("gemma4", meta, tuple(rows), {"general.file_type": ("uint32", 2)})


def _ffn(block: str, n_embd: int, n_ff: int) -> list[Row]:
    return [
        (block + "ffn_gate.weight", [n_embd, n_ff], Q.Q4_0),
        (block + "ffn_down.weight", [n_ff, n_embd], Q.Q4_0),
        (block + "ffn_up.weight", [n_embd, n_ff], Q.Q4_0),
    ]


def byte_vocabulary(size: int) -> tuple[list[str], list[int], list[str]]:
    """A byte-level BPE vocabulary of ``size``: 256 bytes, some pairs, fillers, two ChatML marks; types, merges."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    chars = {byte: chr(byte) for byte in shown}
    hidden = (byte for byte in range(256) if byte not in chars)
    chars.update({byte: chr(256 + number) for number, byte in enumerate(list(hidden))})
    tokens, merges = list(chars.values()), list[str]()
    letters = [chr(byte) for byte in range(97, 123)]
    for left in ["\u0120", *letters]:
        for right in letters:
            if len(tokens) < size - 2:
                tokens.append(left + right)
                merges.append(f"{left} {right}")
    tokens += [f"filler{number}" for number in range(len(tokens), size - 2)]
    return [*tokens, "<|im_start|>", "<|im_end|>"], [1] * len(tokens) + [3, 3], merges


def write_random(path: Path, shape: Shape, *, template: str | None = CHATML) -> Path:
    """A model with random weights, a byte vocabulary and a chat template, that llama.cpp really runs."""
    writer = _writer(path, shape)
    size = shape.n_vocab
    tokens, types, merges = byte_vocabulary(size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(size - 2)
    writer.add_eos_token_id(size - 1)
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)
    random = np.random.default_rng(0)
    for name, ne, kind in shape.rows:
        numpy_shape = tuple(reversed(ne))
        if kind == Q.F32:
            writer.add_tensor(name, np.ones(numpy_shape, np.float32))
        else:
            packed = _random_blocks(random, kind, int(np.prod(numpy_shape[:-1])), numpy_shape[-1])
            writer.add_tensor(name, packed.reshape(_packed(ne, kind)), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_sparse(path: Path, shape: Shape) -> Path:
    """The model's header and tensor table at its full length, without bytes on disk and without a vocabulary."""
    writer = _writer(path, shape)
    writer.add_string("tokenizer.ggml.model", "none")
    total = 0
    for name, ne, kind in shape.rows:
        size = nbytes(ne, kind)
        if kind == Q.F32:
            writer.add_tensor_info(name, tuple(reversed(ne)), np.dtype(np.float32), size, None)
        else:
            writer.add_tensor_info(name, _packed(ne, kind), np.dtype(np.uint8), size, kind)
        total += -(-size // 32) * 32
    writer.open_output_file()
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    assert writer.fout is not None
    writer.fout[0].flush()
    end = -(-writer.fout[0].tell() // 32) * 32
    writer.close()
    os.truncate(path, end + total)
    return path


def nbytes(ne: list[int], kind: Q) -> int:
    """Bytes of a tensor."""
    block, size = GGML_QUANT_SIZES[kind]
    return int(np.prod(ne, dtype=np.int64)) // block * size


def _writer(path: Path, shape: Shape) -> GGUFWriter:
    writer = GGUFWriter(path, shape.arch)
    for key, (kind, value) in shape.general.items():
        getattr(writer, f"add_{kind}")(key, value)
    for key, (kind, value) in shape.meta.items():
        getattr(writer, f"add_{kind}")(f"{shape.arch}.{key}", value)
    return writer


def _packed(ne: list[int], kind: Q) -> tuple[int, ...]:
    block, size = GGML_QUANT_SIZES[kind]
    shape = tuple(reversed(ne))
    return (*shape[:-1], shape[-1] // block * size)


def _random_blocks(random: np.random.Generator, kind: Q, rows: int, columns: int) -> np.ndarray:
    """Random quantised rows whose scales are small and finite."""
    block, size = GGML_QUANT_SIZES[kind]
    data = random.integers(0, 256, (rows, columns // block, size), dtype=np.uint8)
    if kind in (Q.Q4_0, Q.Q8_0):
        data[..., :2] = _half(0.02 / (8 if kind == Q.Q4_0 else 127))
    elif kind in (Q.Q4_K, Q.Q5_K):
        data[..., :2], data[..., 2:4] = _half(2e-5), _half(1e-5)
    elif kind == Q.Q6_K:
        data[..., -2:] = _half(1e-5)
    else:
        raise ValueError(f"no random blocks for {kind.name}")
    return data.reshape(rows, -1)


def _half(value: float) -> np.ndarray:
    return np.frombuffer(np.float16(value).tobytes(), np.uint8)
