"""The model that was trained and the model that llama.cpp computes are the same."""

import pytest
from tests.guide.judging import ask_llama, held_out

import gguf
from offtui import paths
from offtui.guide.chat import ASSISTANT, END, USER, plain

PROMPTS = 50

pytestmark = pytest.mark.timeout(300)


def test_llama_cpp_writes_the_same_greedy_text() -> None:
    torch = pytest.importorskip("torch")
    tokenizers = pytest.importorskip("tokenizers")
    from offtui.guide.train_export import tensors
    from offtui.guide.train_model import Guide, Shape

    reader = gguf.GGUFReader(paths.guide_model())
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in reader.fields["tokenizer.ggml.merges"].contents()]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    model = Guide(Shape(len(tokens)))
    stored = {tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type) for tensor in reader.tensors}
    with torch.no_grad():
        for name, parameter in tensors(model):
            parameter.copy_(torch.tensor(stored[name]))

    model.eval()

    questions = [case.turns[0] for case in held_out()][:: len(held_out()) // PROMPTS][:PROMPTS]
    different = []
    for question, answer in zip(questions, ask_llama([[question] for question in questions])["answers"], strict=True):
        prompt = [vocabulary[USER], *tokenizer.encode(f" {plain(question)}").ids, vocabulary[ASSISTANT]]
        said = [*tokenizer.encode(answer["text"]).ids, vocabulary[END]]
        with torch.inference_mode():
            likeliest = model(torch.tensor([[*prompt, *said]]))[0].argmax(-1).tolist()
        # Greedy text is the same exactly where every token said is the likeliest after those before it.
        if likeliest[len(prompt) - 1 : -1] != said:
            different.append(question)
    assert different == []
