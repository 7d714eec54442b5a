"""How a conversation is written for the guide: special tokens, the chat template, and the plain form of a question."""

from __future__ import annotations

USER = "<|user|>"
ASSISTANT = "<|assistant|>"
END = "<|end|>"
PAD = "<|pad|>"
SPECIAL_TOKENS = (END, USER, ASSISTANT, PAD)
"""In the order of their ids, from 0."""

REPLACEMENTS = {
    "¿": " ",
    "¡": " ",
    "?": " ",
    "!": " ",
    "á": "a",
    "é": "e",
    "í": "i",
    "ó": "o",
    "ú": "u",
    "ü": "u",
    "ñ": "n",
}
"""What the template replaces in a question, so that the model need not learn that ¿Qué? and que are one word."""


def plain(question: str) -> str:
    """The form in which the model reads a question: lower case, one space between words, no accents, no question marks.

    The chat template does the same in Jinja (`chat_template`); a test holds the two together.
    """
    text = question.lower()
    for old, new in REPLACEMENTS.items():
        text = text.replace(old, new)
    return " ".join(text.split())


def chat_template() -> str:
    """The Jinja chat template stored in the GGUF: all turns in order, system messages left out."""
    replaces = "".join(f" | replace('{old}', '{new}')" for old, new in REPLACEMENTS.items())
    return (
        "{%- for message in messages -%}"
        "{%- if message['role'] == 'user' -%}"
        "{%- set question = message['content'] | lower" + replaces + " -%}"
        "{{- '" + USER + " ' + question.split() | join(' ') -}}"
        "{%- elif message['role'] == 'assistant' -%}"
        "{{- '" + ASSISTANT + "' + message['content'] | trim + '" + END + "' -}}"
        "{%- endif -%}"
        "{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- '" + ASSISTANT + "' -}}{%- endif -%}"
    )
