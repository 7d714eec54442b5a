"""Two answers to one question beside one another: what they were written with, and what came of it. Pure."""

from textual.content import Content

from offtui.store.chats.values import Stamp
from offtui.ui.conversation import Said
from offtui.units import count_text, rate_text, seconds_text

_DOT = " · "


def head_lines(said: Said, number: int, name: str) -> list[Content]:
    """What an answer was written with, in two rows, the most important first.

    Args:
        said: the answer.
        number: its place on the screen, which is its key too.
        name: who wrote it, and which version it is.
    """
    stamp = said.stamp or Stamp()
    split = f"{stamp.n_gpu_layers.got}/{stamp.n_gpu_layers.max} layers" if stamp.n_gpu_layers else "layers unknown"
    first = [
        (f" {number} ", "reverse bold $primary"),
        (f" {split}", "bold $accent"),
        (f"{_DOT}{rate_text(stamp.tps)} t/s", "bold"),
        (f"{_DOT}{name}", "$secondary"),
    ]
    return [Content.assemble(*first), Content.styled(f"    {_details(stamp)}", "$quiet")]


def _details(stamp: Stamp) -> str:
    parts: list[str] = []
    if stamp.tokens is not None:
        parts.append("1 token" if stamp.tokens == 1 else f"{count_text(stamp.tokens)} tokens")
    if stamp.ttft_seconds is not None:
        parts.append(f"first token {seconds_text(stamp.ttft_seconds)}")
    if stamp.prompt_tokens is not None:
        speed = f" at {rate_text(stamp.prompt_tps)} t/s" if stamp.prompt_tps is not None else ""
        parts.append(f"prompt {count_text(stamp.prompt_tokens)}{speed}")
    if stamp.n_ctx is not None:
        parts.append(f"ctx {count_text(stamp.n_ctx)}")
    if stamp.joules_per_token is not None:
        parts.append(f"{stamp.joules_per_token:.3g} J/token")
    return _DOT.join(parts) or "nothing is known of how it was written"


def verdict(one: Said, other: Said) -> str:
    """``2 against 1: 1.80× t/s · first token 0.62× · the same text``; what is unknown is left out."""
    parts: list[str] = []
    before, after = one.stamp or Stamp(), other.stamp or Stamp()
    if before.tps and after.tps:
        parts.append(f"{after.tps / before.tps:.2f}× t/s")
    if before.ttft_seconds and after.ttft_seconds:
        parts.append(f"first token {after.ttft_seconds / before.ttft_seconds:.2f}×")
    return _DOT.join([*([f"2 against 1: {_DOT.join(parts)}"] if parts else []), _likeness(one.text, other.text)])


def _likeness(one: str, other: str) -> str:
    if one == other:
        return "the same text"
    shorter = min(len(one), len(other))
    at = next((place for place in range(shorter) if one[place] != other[place]), shorter)
    words = len(one[:at].rpartition(" ")[0].split())
    return "other words" if words < 2 else f"the same for {words} words"


def versions_of(said: Said) -> list[Said]:
    """The answers that can stand beside this one, itself among them: those that say something, oldest first."""
    return [version for version in said.siblings if version.role == "assistant" and version.text]
