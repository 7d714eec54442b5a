"""The grammar an answer must follow: GBNF as it was given, or made of a JSON schema."""

from typing import Any

from offtui.protocol.spec import Sampling
from offtui.text import clean_line
from offtui.worker.failures import fail
from offtui.worker.llama import api
from offtui.worker.vocab import Vocab

ROOT = b"root"


def grammar_text(sampling: Sampling) -> str:
    """The GBNF that holds for an answer; ``""``: none.

    Raises:
        WorkerError: of kind ``bad_grammar``; the schema cannot be made a grammar.
    """
    if sampling.grammar or not sampling.json_schema:
        return sampling.grammar
    from llama_cpp.llama_grammar import json_schema_to_gbnf  # pyright: ignore[reportMissingTypeStubs]

    try:
        return json_schema_to_gbnf(sampling.json_schema)
    except Exception as error:  # the converter raises whatever a wrong schema makes it stumble over
        raise fail(
            "bad_grammar",
            f"The JSON schema cannot be made a grammar: {clean_line(str(error), 200) or type(error).__name__}.",
            advice="Correct the schema, or take it away.",
        ) from error


def grammar_sampler(vocab: Vocab, text: str) -> Any:
    """llama.cpp's sampler of a grammar; the caller frees it, or gives it to a chain.

    Raises:
        WorkerError: of kind ``bad_grammar``; llama.cpp cannot read it.
    """
    sampler = api.llama_sampler_init_grammar(vocab.handle, text.encode("utf-8", "replace"), ROOT)
    if not sampler:
        raise fail(
            "bad_grammar",
            "llama.cpp cannot read the grammar.",
            advice="It is GBNF with a rule named root; correct it, or take it away.",
        )
    return sampler
