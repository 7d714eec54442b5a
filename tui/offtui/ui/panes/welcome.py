"""What the chat shows before anything was said: what this is, what to ask, which keys matter."""

import re
from collections.abc import Mapping

from offtui.engine.state import Phase, SessionState
from offtui.text import clean_line
from offtui.ui import wording
from offtui.ui.commands import BY_ID
from offtui.ui.keys import keys_of

EXAMPLES = ("What is GPU offloading?", "How many layers should I offload?", "¿Qué es la VRAM?")
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
_KEYS = (
    ("dial.open", "layers on the GPU"),
    ("models.open", "another model"),
    ("chats.open", "chats"),
    ("monitor.open", "monitor"),
    ("app.help", "help"),
)


def welcome(state: SessionState, keys: Mapping[str, str], as_before: str = "") -> str:
    """The invitation as Markdown. ``as_before``: settings that are those of the last time."""
    keys_shown = [f"`{names[0]}` {text}" for id, text in _KEYS if (names := keys_of(BY_ID[id], keys))]
    return "\n".join(
        [
            "**offtui** runs a model that does not fit the graphics card: some layers there, the rest in RAM.",
            "You choose how many, and see what it costs.",
            "",
            *_now(state, as_before),
            "",
            "Ask, for instance:",
            "",
            *(f"- {example}" for example in EXAMPLES),
            "",
            " · ".join(keys_shown),
        ]
    )


def _now(state: SessionState, as_before: str) -> list[str]:
    if state.phase is Phase.LOADING:
        return [f"Loading {_quoted(wording.wanted_name(state))} …"]
    if state.loaded is None:
        return ["No model is loaded."]
    lines = [f"{_quoted(wording.model_name(state))} is loaded: {wording.layers_text(state)}."]
    if as_before:
        lines += ["", f"As last time: {_escaped(as_before)}."]
    for notice in state.loaded.notices[:2]:
        lines += ["", f"> {_escaped(clean_line(notice))}"]
    return lines


def _escaped(text: str) -> str:
    """``text`` with nothing in it that Markdown would take for its own."""
    return _PUNCTUATION.sub(r"\\\g<0>", text)


def _quoted(text: str) -> str:
    """``text`` as it stands: in a span of code nothing is Markdown."""
    return f"`{text.replace('`', chr(39))}`" if text else "`model`"
