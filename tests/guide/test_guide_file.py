"""What stands in guide.gguf: the shape, the tokenizer and the chat template."""

from typing import Any

import jinja2.sandbox
import pytest
import tokenizers
from tests.guide.judging import ask_llama

import gguf
from offtui import paths
from offtui.guide.chat import ASSISTANT, END, USER, chat_template, plain
from offtui.guide.corpus import load_all


@pytest.fixture(scope="module")
def header() -> dict[str, Any]:
    reader = gguf.GGUFReader(paths.guide_model())
    return {name: field.contents() for name, field in reader.fields.items()}


def test_the_shape_gives_the_dial_something_to_turn(header: dict[str, Any]) -> None:
    assert header["general.architecture"] == "llama"
    assert header["general.name"] == "offtui guide"
    assert header["llama.block_count"] >= 12
    assert header["llama.context_length"] == 2048


def test_no_two_answers_open_with_the_same_word() -> None:
    openings = [topic.answer.split()[0] for language in load_all() for topic in language.topics]
    assert len(openings) == len(set(openings)), sorted(word for word in openings if openings.count(word) > 1)


def test_the_weights_are_q8_0() -> None:
    reader = gguf.GGUFReader(paths.guide_model())
    types = {tensor.tensor_type.name for tensor in reader.tensors if len(tensor.shape) == 2}
    assert types == {"Q8_0"}


def test_the_shipped_template_is_the_one_in_the_source(header: dict[str, Any]) -> None:
    assert header["tokenizer.chat_template"] == chat_template()


def test_the_template_writes_questions_in_their_plain_form() -> None:
    template = jinja2.sandbox.ImmutableSandboxedEnvironment().from_string(chat_template())
    for language in load_all():
        for question in language.phrases():
            rendered = template.render(messages=[{"role": "user", "content": question}], add_generation_prompt=True)
            assert rendered == f"{USER} {plain(question)}{ASSISTANT}"


def test_the_template_keeps_all_turns_and_leaves_out_system_messages() -> None:
    template = jinja2.sandbox.ImmutableSandboxedEnvironment().from_string(chat_template())
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "¿Qué es\nla VRAM?"},
        {"role": "assistant", "content": "Memoria."},
        {"role": "user", "content": "Thanks!"},
    ]
    rendered = template.render(messages=messages, add_generation_prompt=False)
    assert rendered == f"{USER} que es la vram{ASSISTANT}Memoria.{END}{USER} thanks"


def test_it_asks_to_be_sampled_greedily(header: dict[str, Any]) -> None:
    assert header["general.sampling.temp"] == 0.0


def test_llama_cpp_cuts_text_as_the_training_did(header: dict[str, Any]) -> None:
    vocabulary = {token: index for index, token in enumerate(header["tokenizer.ggml.tokens"])}
    merges = [tuple(merge.split(" ")) for merge in header["tokenizer.ggml.merges"]]
    trained = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges))
    trained.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    texts = [text for language in load_all() for phrase in language.phrases() for text in (phrase, plain(phrase))]
    texts += [topic.answer for language in load_all() for topic in language.topics]
    texts += ["  two  spaces ", "línea\n\nnueva\t", "it's we'll 日本語 🙂", "a" * 300]
    for text, tokens in zip(texts, ask_llama([], texts)["tokens"], strict=True):
        assert tokens == trained.encode(text).ids, text
