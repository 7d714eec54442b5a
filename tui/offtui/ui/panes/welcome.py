"""What the chat shows before anything was said: what this is, what to ask, which keys matter."""

from collections.abc import Mapping

from offtui.engine.state import Phase, SessionState
from offtui.text import clean_line
from offtui.ui import wording
from offtui.ui.commands import BY_ID, keys_of

EXAMPLES = ("What is GPU offloading?", "How many layers should I offload?", "¿Qué es la VRAM?")
_KEYS = (
    ("dial.open", "how many layers lie on the GPU"),
    ("models.open", "another model"),
    ("monitor.open", "VRAM, RAM, tokens per second"),
    ("app.help", "all keys and commands"),
)


def welcome(state: SessionState, keys: Mapping[str, str]) -> str:
    """The invitation as Markdown."""
    keys_shown = [f"- `{names[0]}` {text}" for id, text in _KEYS if (names := keys_of(BY_ID[id], keys))]
    return "\n".join(
        [
            "**offtui** runs a model that does not fit the graphics card: some layers there, the rest in RAM.",
            "You choose how many, and see what it costs.",
            "",
            *_now(state),
            "",
            "Ask, for instance:",
            "",
            *(f"- {example}" for example in EXAMPLES),
            "",
            "Keys:",
            "",
            *keys_shown,
        ]
    )


def _now(state: SessionState) -> list[str]:
    if state.phase is Phase.LOADING:
        return [f"Loading {_quoted(wording.wanted_name(state))} …"]
    if state.loaded is None:
        return ["No model is loaded."]
    lines = [f"{_quoted(wording.model_name(state))} is loaded: {wording.layers_text(state)}."]
    for notice in state.loaded.notices[:2]:
        lines += ["", f"> {_quoted(clean_line(notice))}"]
    return lines


def _quoted(text: str) -> str:
    """``text`` as it stands: in a span of code nothing is Markdown."""
    return f"`{text.replace('`', chr(39))}`" if text else "`model`"
