"""Run the guide through llama.cpp, in a process of its own: `python answer.py MODEL < JSON > JSON`.

Reads {"conversations": [[question, ...], ...], "texts": [...]} and writes {"answers": [{"text", "ended"}, ...],
"tokens": [[id, ...], ...]}: the greedy answer to the last question of each conversation, the earlier ones answered by
the guide as well, and the tokens of each text.
"""

import ctypes
import json
import sys
from typing import Any

import jinja2.sandbox
import llama_cpp as llama

ANSWER_LIMIT = 200


class GuideModel:
    """The guide in llama.cpp's C API, decoding greedily on one thread."""

    def __init__(self, path: str) -> None:
        llama.llama_backend_init()
        self._model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
        self._vocab = llama.llama_model_get_vocab(self._model)
        params = llama.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_threads, params.n_threads_batch = 2048, 2048, 1, 1
        self._context = llama.llama_init_from_model(self._model, params)
        source = llama.llama_model_chat_template(self._model, None).decode()
        self._template = jinja2.sandbox.ImmutableSandboxedEnvironment().from_string(source)

    def tokenize(self, text: str, special: bool) -> list[int]:
        raw = text.encode()
        tokens = (llama.llama_token * (len(raw) + 8))()
        n = llama.llama_tokenize(self._vocab, raw, len(raw), tokens, len(tokens), False, special)
        return list(tokens[:n])

    def converse(self, questions: list[str]) -> dict[str, Any]:
        """The answer to the last question."""
        messages: list[dict[str, str]] = []
        answer: dict[str, Any] = {}
        for question in questions:
            messages.append({"role": "user", "content": question})
            prompt = self._template.render(messages=messages, add_generation_prompt=True)
            answer = self._answer(self.tokenize(prompt, special=True))
            messages.append({"role": "assistant", "content": answer["text"]})
        return answer

    def _answer(self, prompt: list[int]) -> dict[str, Any]:
        llama.llama_memory_clear(llama.llama_get_memory(self._context), True)
        sampler = llama.llama_sampler_init_greedy()
        pieces, step, ended = b"", prompt, False
        for _ in range(ANSWER_LIMIT):
            tokens = (llama.llama_token * len(step))(*step)  # the batch only points there
            assert llama.llama_decode(self._context, llama.llama_batch_get_one(tokens, len(step))) == 0
            token = llama.llama_sampler_sample(sampler, self._context, -1)
            ended = llama.llama_vocab_is_eog(self._vocab, token)
            if ended:
                break
            pieces += self._piece(token)
            step = [token]
        llama.llama_sampler_free(sampler)
        return {"text": pieces.decode(errors="replace"), "ended": ended}

    def _piece(self, token: int) -> bytes:
        piece = ctypes.create_string_buffer(64)
        n = llama.llama_token_to_piece(self._vocab, token, piece, len(piece), 0, False)
        return piece.raw[:n]


def main() -> None:
    """Answer what stands on standard input."""
    silent = llama.llama_log_callback(lambda *_: None)
    llama.llama_log_set(silent, None)
    guide = GuideModel(sys.argv[1])
    asked = json.load(sys.stdin)
    replies = {
        "answers": [guide.converse(questions) for questions in asked.get("conversations", [])],
        "tokens": [guide.tokenize(text, special=False) for text in asked.get("texts", [])],
    }
    json.dump(replies, sys.stdout)


if __name__ == "__main__":
    main()
