"""Shapes with other memories than one KV cache: recurrent state, latent attention, shared caches."""

from gguf import GGMLQuantizationType as Q
from tests.fakes.gguf_shape import Meta, Row, Shape


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


def gemma4(
    n_layer: int,
    n_embd: int,
    n_head: int,
    n_head_kv: tuple[int, int],
    head: tuple[int, int],
    n_ff: int,
    n_vocab: int,
    *,
    period: int,
    window: int,
    shared: int = 0,
    own: int = 0,
    embedding: Q = Q.Q4_0,
    value_everywhere: bool = True,
) -> Shape:
    """Gemma 4, dense: pairs are for windowed and for other layers, of which each ``period``-th is one."""
    windowed = [layer % period != period - 1 for layer in range(n_layer)]
    meta: Meta = {
        "context_length": ("uint32", 131072),
        "embedding_length": ("uint32", n_embd),
        "block_count": ("uint32", n_layer),
        "feed_forward_length": ("uint32", n_ff),
        "attention.head_count": ("uint32", n_head),
        "attention.head_count_kv": ("array", [n_head_kv[0] if narrow else n_head_kv[1] for narrow in windowed]),
        "attention.key_length": ("uint32", head[1]),
        "attention.value_length": ("uint32", head[1]),
        "attention.key_length_swa": ("uint32", head[0]),
        "attention.value_length_swa": ("uint32", head[0]),
        "attention.sliding_window": ("uint32", window),
        "attention.sliding_window_pattern": ("array", windowed),
        "attention.shared_kv_layers": ("uint32", shared),
        "attention.layer_norm_rms_epsilon": ("float32", 1e-6),
        "embedding_length_per_layer_input": ("uint32", own),
        "rope.freq_base": ("float32", 1e6),
        "rope.freq_base_swa": ("float32", 1e4),
        "rope.dimension_count": ("uint32", head[1]),
        "rope.dimension_count_swa": ("uint32", head[0]),
        "vocab_size": ("uint32", n_vocab),
    }
    rows: list[Row] = [
        ("token_embd.weight", [n_embd, n_vocab], embedding),
        ("rope_freqs.weight", [head[1] // 2], Q.F32),
        ("output_norm.weight", [n_embd], Q.F32),
    ]
    if own:
        rows += [
            ("per_layer_token_embd.weight", [own * n_layer, n_vocab], Q.Q4_0),
            ("per_layer_model_proj.weight", [n_embd, own * n_layer], Q.Q4_0),
            ("per_layer_proj_norm.weight", [own], Q.F32),
        ]
    for layer in range(n_layer):
        b, narrow = f"blk.{layer}.", windowed[layer]
        size, heads_kv = (head[0], n_head_kv[0]) if narrow else (head[1], n_head_kv[1])
        rows += [
            (b + "attn_norm.weight", [n_embd], Q.F32),
            (b + "attn_q.weight", [n_embd, n_head * size], Q.Q4_0),
            (b + "attn_output.weight", [n_head * size, n_embd], Q.Q4_0),
            (b + "attn_q_norm.weight", [size], Q.F32),
            (b + "post_attention_norm.weight", [n_embd], Q.F32),
            (b + "ffn_norm.weight", [n_embd], Q.F32),
            (b + "post_ffw_norm.weight", [n_embd], Q.F32),
            (b + "layer_output_scale.weight", [1], Q.F32),
        ]
        if layer < n_layer - shared:
            rows += [
                (b + "attn_k.weight", [n_embd, heads_kv * size], Q.Q4_0),
                (b + "attn_k_norm.weight", [size], Q.F32),
            ]
            if narrow or value_everywhere:
                rows.append((b + "attn_v.weight", [n_embd, heads_kv * size], Q.Q4_0))
        if own:
            rows += [
                (b + "inp_gate.weight", [n_embd, own], Q.Q4_0),
                (b + "proj.weight", [own, n_embd], Q.Q4_0),
                (b + "post_norm.weight", [n_embd], Q.F32),
            ]
        rows += _ffn(b, n_embd, n_ff)
    return Shape("gemma4", meta, tuple(rows), {"general.file_type": ("uint32", 2)})


def tiny_shared() -> Shape:
    """Gemma 4 in small: windows by a pattern, shared caches, two widths of heads, embeddings of each layer's own."""
    return gemma4(10, 256, 4, (2, 2), (64, 128), 512, 8000, period=5, window=512, shared=5, own=32)


def gemma_4_12b() -> Shape:
    return gemma4(
        48,
        3840,
        16,
        (8, 1),
        (256, 512),
        15360,
        262144,
        period=6,
        window=1024,
        embedding=Q.Q6_K,
        value_everywhere=False,
    )


def _ffn(block: str, n_embd: int, n_ff: int) -> list[Row]:
    return [
        (block + "ffn_gate.weight", [n_embd, n_ff], Q.Q4_0),
        (block + "ffn_down.weight", [n_ff, n_embd], Q.Q4_0),
        (block + "ffn_up.weight", [n_embd, n_ff], Q.Q4_0),
    ]
