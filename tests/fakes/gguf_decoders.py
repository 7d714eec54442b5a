"""Shapes of llama-like decoders: those of known models, and small ones for real runs."""

from typing import Any

from gguf import GGMLQuantizationType as Q
from tests.fakes.gguf_shape import Meta, Row, Shape


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


def tiny_varied() -> Shape:
    """``bench_tiny`` whose greedy answers wander through the vocabulary: one wrong token changes all that follow."""
    return decoder("llama", 12, 256, 4, 2, 64, 768, 8000, 8192, tied=True, base=Q.Q8_0, more=Q.Q8_0, out=Q.Q8_0)


def bench_half() -> Shape:
    """0.5 B parameters, 24 layers, a 152k vocabulary."""
    return decoder("llama", 24, 896, 14, 2, 64, 4864, 151936, 32768, tied=True, **_Q4)


def half_varied() -> Shape:
    """``bench_half`` whose greedy answers wander through a vocabulary of 8k."""
    return decoder("llama", 24, 896, 14, 2, 64, 4864, 8000, 32768, tied=True, base=Q.Q8_0, more=Q.Q8_0, out=Q.Q8_0)


def tiny_wide() -> Shape:
    """Few weights, and a KV cache of two MiB per token in f32: 16 layers of 64 heads, none of them shared."""
    return decoder("llama", 16, 64, 64, 64, 256, 64, 8000, 32768, tied=True, **_Q4)


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
