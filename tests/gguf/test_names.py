import pytest
from hypothesis import given
from hypothesis import strategies as st

from offtui.gguf.names import is_gguf, parse_kind, parse_quant, parse_split, stem


@pytest.mark.parametrize(
    ("name", "quant"),
    [
        ("Qwen2.5-7B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("qwen2.5-0.5b-instruct-q5_k_m.gguf", "Q5_K_M"),
        ("Llama-3.3-70B-Instruct-IQ3_XS.gguf", "IQ3_XS"),
        ("Llama-3.3-70B.i1-IQ2_XXS.gguf", "IQ2_XXS"),
        ("gemma-3-27b-it-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("DeepSeek-R1-UD-IQ1_S-00001-of-00003.gguf", "UD-IQ1_S"),
        ("model_ud_q8_k_xl.gguf", "UD-Q8_K_XL"),
        ("Mistral-7B-BF16.gguf", "BF16"),
        ("phi-2.f16.gguf", "F16"),
        ("phi-2-fp16.gguf", "F16"),
        ("model-F32.gguf", "F32"),
        ("gpt-oss-20b-MXFP4.gguf", "MXFP4"),
        ("gpt-oss-20b-mxfp4_moe.gguf", "MXFP4_MOE"),
        ("Nemotron-NVFP4.gguf", "NVFP4"),
        ("BitNet-b1.58-TQ1_0.gguf", "TQ1_0"),
        ("tinyllama.Q4_0.gguf", "Q4_0"),
        ("tinyllama-Q4_0_4_8.gguf", "Q4_0_4_8"),
        ("tinyllama-Q8_0.gguf", "Q8_0"),
        ("foo-IQ4_NL.gguf", "IQ4_NL"),
        ("foo-Q3_K_XL.gguf", "Q3_K_XL"),
        ("foo-Q6_K.gguf", "Q6_K"),
        ("foo-Q6_K_L.gguf", "Q6_K_L"),
        ("foo-IQ2_M.gguf", "IQ2_M"),
        ("F16-turned-into-Q4_K_S.gguf", "Q4_K_S"),
        ("Q4_K_S-F16-embeddings.gguf", "Q4_K_S"),
        ("Q8_0_then_Q4_K_S", "Q4_K_S"),
        ("Q8_0-then-Q4_K_S", "Q4_K_S"),
        ("ggml-model.gguf", ""),
        ("IQ-test-Q9_K.gguf", ""),
        ("FAQ4_0.gguf", ""),
        ("", ""),
    ],
)
def test_the_quantisation_stands_in_the_name(name: str, quant: str) -> None:
    assert parse_quant(name) == quant


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("m-00001-of-00003.gguf", ("m", 1, 3)),
        ("m-00003-of-00003.GGUF", ("m", 3, 3)),
        ("a-00001-of-00002-00002-of-00004.gguf", ("a-00001-of-00002", 2, 4)),
        ("line\nbreak-00001-of-00001.gguf", ("line\nbreak", 1, 1)),
        ("m-00000-of-00003.gguf", None),
        ("m-00004-of-00003.gguf", None),
        ("m-1-of-3.gguf", None),
        ("-00001-of-00003.gguf", None),
        ("m.gguf", None),
    ],
)
def test_parts_of_split_files(name: str, split: tuple[str, int, int] | None) -> None:
    found = parse_split(name)
    assert (None if found is None else (found.stem, found.part, found.count)) == split


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mmproj-model-f16.gguf", "mmproj"),
        ("gemma-3-4b-it-mmproj.gguf", "mmproj"),
        ("llava-mm-proj.gguf", "mmproj"),
        ("my-lora-f16.gguf", "lora"),
        ("adapter.gguf", "lora"),
        ("exploration-7b.gguf", "model"),
        ("nomic-embed-text-v1.5.Q8_0.gguf", "embedding"),
        ("Qwen3-Embedding-0.6B-Q8_0.gguf", "embedding"),
        ("bge-m3-Q4_K_M.gguf", "embedding"),
        ("Qwen3-Reranker-4B.gguf", "embedding"),
        ("snowflake-arctic-embed-l-v2.0-q8_0.gguf", "embedding"),
        ("Qwen2.5-7B-Instruct-Q4_K_M.gguf", "model"),
        ("subgten-e50.gguf", "model"),
    ],
)
def test_what_a_file_is_for(name: str, kind: str) -> None:
    assert parse_kind(name) == kind


def test_partial_downloads_are_no_models() -> None:
    for name in ("m.gguf.part", "m.gguf.incomplete", "m.gguf.downloadInProgress", "m.bin", ".gguf", "gguf"):
        assert not is_gguf(name)
    assert is_gguf("M.GGUF")
    assert stem("M.GGUF") == "M"


@given(st.text())
def test_any_name_is_read(name: str) -> None:
    parse_quant(name)
    parse_split(name)
    assert parse_kind(name) in ("model", "mmproj", "lora", "embedding")
