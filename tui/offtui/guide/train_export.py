"""Writing the trained guide as a GGUF file that llama.cpp loads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from gguf.quants import quantize
from tokenizers import Tokenizer
from torch import Tensor

from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType
from offtui.guide.chat import END, PAD, SPECIAL_TOKENS, chat_template
from offtui.guide.train_model import Guide


def export(model: Guide, tokenizer: Tokenizer, path: Path) -> None:
    """Write the model to path: weights in Q8_0, norms in F32, with tokenizer and chat template.

    The file appears at once and whole: an older one may be in use.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.part")
    writer = GGUFWriter(unfinished, "llama")
    _write_header(writer, model)
    _write_tokenizer(writer, tokenizer)
    for name, tensor in tensors(model):
        values = tensor.detach().float().numpy()
        if values.ndim == 2:
            writer.add_tensor(name, quantize(values, GGMLQuantizationType.Q8_0), raw_dtype=GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.replace(path)


def _write_header(writer: GGUFWriter, model: Guide) -> None:
    shape = model.shape
    writer.add_name("offtui guide")
    writer.add_description("The small model that ships with offtui: answers questions about offtui and GPU offloading")
    writer.add_license("mit")
    writer.add_languages(["en", "es"])
    writer.add_size_label(f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.1f}M")
    writer.add_context_length(shape.n_ctx_train)
    writer.add_embedding_length(shape.n_embd)
    writer.add_block_count(shape.n_layer)
    writer.add_feed_forward_length(shape.n_ff)
    writer.add_head_count(shape.n_head)
    writer.add_head_count_kv(shape.n_head)
    writer.add_layer_norm_rms_eps(shape.rms_eps)
    writer.add_rope_dimension_count(shape.head_size)
    writer.add_rope_freq_base(shape.rope_freq_base)
    writer.add_vocab_size(shape.n_vocab)
    writer.add_file_type(LlamaFileType.MOSTLY_Q8_0)
    writer.add_float32("general.sampling.temp", 0.0)  # it knows its answers by heart: chance would only mix them up


def _write_tokenizer(writer: GGUFWriter, tokenizer: Tokenizer) -> None:
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.token_to_id)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL if token in SPECIAL_TOKENS else TokenType.NORMAL for token in tokens])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_bos_token_id(tokenizer.token_to_id(END))
    writer.add_eos_token_id(tokenizer.token_to_id(END))
    writer.add_eot_token_id(tokenizer.token_to_id(END))
    writer.add_pad_token_id(tokenizer.token_to_id(PAD))
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(chat_template())


def tensors(model: Guide) -> list[tuple[str, Tensor]]:
    """The tensors under llama.cpp's names."""
    tensors = [
        ("token_embd.weight", model.embedding.weight),
        ("output_norm.weight", model.output_norm.weight),
        ("output.weight", model.output.weight),
    ]
    for index, block in enumerate(model.blocks):
        parts = {
            "attn_norm": block.attn_norm, "attn_q": block.attn.q, "attn_k": block.attn.k, "attn_v": block.attn.v,
            "attn_output": block.attn.output, "ffn_norm": block.ffn_norm, "ffn_gate": block.gate, "ffn_up": block.up,
            "ffn_down": block.down,
        }  # fmt: skip
        tensors += [(f"blk.{index}.{name}.weight", part.weight) for name, part in parts.items()]
    return tensors
