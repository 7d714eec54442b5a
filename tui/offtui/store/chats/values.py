"""A chat as it is kept: messages as a tree, what each answer was written with, and what a list says of a chat."""

import secrets
import threading
import time
from pathlib import PurePath
from typing import Literal, Self

import msgspec

from offtui.protocol.events import Loaded
from offtui.protocol.facts import LayerCount, Timings
from offtui.protocol.spec import Role
from offtui.text import clean_line
from offtui.units import count_text, joules_text, rate_text, seconds_text

State = Literal["open", "done", "stopped", "failed"]
"""Of a message: being written, complete, broken off with what came, without an answer."""

_lock = threading.Lock()
_newest = 0
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def new_message_id() -> int:
    """A number that no other message has, of this offtui or another; later ones are greater. 63 bits."""
    global _newest
    with _lock:
        _newest = max(_newest + 1, (time.time_ns() // 1000) << 12 | secrets.randbits(12))
        return _newest


def known_message_id(id: int) -> None:
    """From now on new ones are greater than this, though the clock was set back."""
    global _newest
    with _lock:
        _newest = max(_newest, id)


def new_chat_id() -> str:
    """Eight letters that no other chat has."""
    return "".join(secrets.choice(_LETTERS) for _ in range(8))


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer was written with, and how fast. Seconds, tokens, tokens per second; ``None``: unknown."""

    model: str = ""
    quant: str = ""
    n_gpu_layers: LayerCount | None = None
    n_ctx: int | None = None
    prompt_tokens: int | None = None
    reused_tokens: int | None = None
    """Of the prompt's, taken from the KV cache."""
    tokens: int | None = None
    """Of the answer."""
    ttft_seconds: float | None = None
    prompt_tps: float | None = None
    tps: float | None = None
    energy_j: float | None = None
    """Joules of the GPUs it ran on meanwhile."""
    stop: str = ""
    """Why it ended: ``end``, ``max_tokens``, ``context_full``, ``cancelled`` …"""

    @classmethod
    def of(cls, loaded: Loaded) -> Self:
        """What an answer begins with: the model that is up."""
        model = loaded.model
        name = clean_line(model.name) or clean_line(PurePath(model.path).name.removesuffix(".gguf"), 80)
        return cls(model=name, quant=model.quant, n_gpu_layers=loaded.layers, n_ctx=loaded.n_ctx)

    def ended(self, stop: str, timings: Timings) -> Self:
        """The same with what its end tells."""
        return msgspec.structs.replace(
            self,
            prompt_tokens=timings.prompt_tokens,
            reused_tokens=timings.reused_tokens,
            tokens=timings.tokens,
            ttft_seconds=timings.ttft_seconds or None if timings.tokens else None,
            prompt_tps=timings.prompt_tps,
            tps=timings.tps,
            stop=stop,
        )

    @property
    def joules_per_token(self) -> float | None:
        """Of the whole answer, its prompt too; ``None``: unknown."""
        return self.energy_j / self.tokens if self.energy_j is not None and self.tokens else None

    def name(self) -> str:
        """Who answered: ``gemma Q4_K_M``; ``""`` unknown."""
        return self.model if self.quant.lower() in self.model.lower() else f"{self.model} {self.quant}"

    def text(self) -> str:
        """``28/37 layers · 31.4 t/s · first token 210 ms · 1.97 J/token``; what is unknown is left out."""
        parts: list[str] = []
        if self.n_gpu_layers is not None:
            parts.append(f"{self.n_gpu_layers.got}/{self.n_gpu_layers.max} layers")
        if self.tps is not None:
            parts.append(f"{rate_text(self.tps)} t/s")
        if self.ttft_seconds is not None:
            parts.append(f"first token {seconds_text(self.ttft_seconds)}")
        if self.joules_per_token is not None:
            parts.append(f"{self.joules_per_token:.3g} J/token")
        return " · ".join(parts)

    def details(self) -> str:
        """All that is known: ``gemma Q4_K_M · 28/37 layers · ctx 8.2k · 41 tokens · 31.4 t/s · prompt 20 tokens …``."""
        parts = [self.name()] if self.model else []
        if self.n_gpu_layers is not None:
            parts.append(f"{self.n_gpu_layers.got}/{self.n_gpu_layers.max} layers")
        if self.n_ctx is not None:
            parts.append(f"ctx {count_text(self.n_ctx)}")
        if self.tokens is not None:
            parts.append(f"{self.tokens} tokens")
        if self.tps is not None:
            parts.append(f"{rate_text(self.tps)} t/s")
        if self.prompt_tokens is not None:
            reused = f", {self.reused_tokens} reused" if self.reused_tokens else ""
            speed = f", {rate_text(self.prompt_tps)} t/s" if self.prompt_tps is not None else ""
            parts.append(f"prompt {self.prompt_tokens}{reused}{speed}")
        if self.ttft_seconds is not None:
            parts.append(f"first token {seconds_text(self.ttft_seconds)}")
        if self.joules_per_token is not None:
            parts.append(f"{joules_text(self.energy_j)}, {self.joules_per_token:.3g} J/token")
        return " · ".join([*parts, *([f"stop: {self.stop}"] if self.stop else [])])


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message; siblings, which have the same parent, are versions of one another."""

    id: int
    chat: str
    parent: int | None
    """``None``: it begins the chat."""
    shown: int | None = None
    """Which of its children is shown; ``None``, or one that is gone: the newest."""
    role: Role
    content: str
    reasoning: str = ""
    state: State = "done"
    created: float
    """Seconds since 1970."""
    stamp: Stamp | None = None


class ChatRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a list says of a chat. Times are seconds since 1970."""

    id: str
    title: str
    named: bool = False
    """The title was given by the user."""
    created: float
    updated: float
    """When the last message came."""
    pinned: bool = False
    model: str = ""
    """That wrote the newest answer."""
    tags: tuple[str, ...] = ()
    messages: int = 0
    """Of all branches."""
    hit: int | None = None
    """The newest message with the words searched for."""
    excerpt: str = ""
    """Of that message, around the words; one line."""


class Chat(msgspec.Struct, frozen=True, kw_only=True):
    """A whole chat."""

    row: ChatRow
    system_prompt: str | None = None
    """``None``: the config's."""
    draft: str = ""
    shown: int | None = None
    """Which of the first messages is shown."""
    messages: tuple[StoredMessage, ...] = ()
    """All branches, oldest first."""

    def branch(self) -> list[StoredMessage]:
        """The messages that are shown, in order."""
        children: dict[int | None, list[StoredMessage]] = {}
        for message in self.messages:
            children.setdefault(message.parent, []).append(message)
        found: list[StoredMessage] = []
        place, wanted = None, self.shown
        while versions := children.pop(place, None):
            chosen = next((version for version in versions if version.id == wanted), versions[-1])
            found.append(chosen)
            place, wanted = chosen.id, chosen.shown
        return found
