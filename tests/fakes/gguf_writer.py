"""Writes shapes as files: sparse ones for the arithmetic, random weights for real runs."""

import os
import random
from pathlib import Path

import numpy as np
from gguf.constants import GGML_QUANT_SIZES

from gguf import GGMLQuantizationType as Q
from gguf import GGUFWriter
from tests.fakes.gguf_shape import Shape, nbytes

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


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
    """A model with random weights, a byte vocabulary and a chat template, that llama.cpp really runs.

    Greedy, it never ends its answer: the end's logit is 0.
    """
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
    generator = np.random.default_rng(0)
    for name, ne, kind in shape.rows:
        numpy_shape = tuple(reversed(ne))
        if kind == Q.F32:
            writer.add_tensor(name, np.ones(numpy_shape, np.float32))
        else:
            packed = _random_blocks(generator, kind, int(np.prod(numpy_shape[:-1])), numpy_shape[-1])
            if name in ("token_embd.weight", "output.weight"):
                packed[-1] = 0  # the row of <|im_end|>
            writer.add_tensor(name, packed.reshape(_packed(ne, kind)), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def big_vocabulary(size: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Tokens and merges with the lengths of a real byte-level vocabulary: short ones first."""
    pick = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz\u0120\u00e9\u4e2d"
    tokens = ["".join(pick.choices(letters, k=1 + min(n // 8000 + pick.randrange(6), 24))) for n in range(size)]
    merges = [f"{token[: len(token) // 2] or 'a'} {token[len(token) // 2 :]}" for token in tokens]
    return tokens, merges


def write_sparse(path: Path, shape: Shape, *, vocabulary: int = 0, scores: bool = False) -> Path:
    """The model's header and tensor table at its full length, without bytes on disk.

    Without a vocabulary; or with one of so many tokens, of which nothing can be made, with merges or with scores.
    """
    writer = _writer(path, shape)
    if vocabulary:
        tokens, merges = big_vocabulary(vocabulary)
        writer.add_tokenizer_model("llama" if scores else "gpt2")
        writer.add_token_list(tokens)
        if scores:
            writer.add_token_scores([-float(n) for n in range(vocabulary)])
        writer.add_token_types([1] * vocabulary)
        if not scores:
            writer.add_token_merges(merges)
        writer.add_bos_token_id(1)
        writer.add_chat_template(CHATML)
        writer.add_quantization_version(2)
    else:
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
    if kind == Q.Q4_0:
        data[..., :2] = _half(0.02 / 8)
    elif kind == Q.Q8_0:
        data[..., :2] = _half(0.1 / 127)  # around 0, and large: what is said depends on all that was said
    elif kind in (Q.Q4_K, Q.Q5_K):
        data[..., :2], data[..., 2:4] = _half(2e-5), _half(1e-5)
    elif kind == Q.Q6_K:
        data[..., -2:] = _half(1e-5)
    else:
        raise ValueError(f"no random blocks for {kind.name}")
    return data.reshape(rows, -1)


def _half(value: float) -> np.ndarray:
    return np.frombuffer(np.float16(value).tobytes(), np.uint8)
