"""Room in the context: which of the oldest messages are left out of what the model sees. Pure."""

from bisect import bisect_left
from collections.abc import Callable, Sequence

from offtui.protocol.spec import Message


def left_out(
    messages: Sequence[Message], n_tokens: Callable[[Sequence[Message]], int], n_ctx: int, before: int = 0
) -> int:
    """How many messages behind the system prompt to leave out, so that there is room for an answer.

    Whole turns go, at most all but the last. Once some must go, half the context is emptied, so that the KV cache is
    not computed anew at every turn.

    Args:
        messages: the conversation; a system prompt stands first.
        n_tokens: tokens of some messages as the model would get them.
        n_ctx: tokens of the context.
        before: how many were left out of the same conversation at the turn before; no fewer are now.
    """
    if n_tokens(without(messages, before)) <= n_ctx - room(n_ctx):
        return before
    begins = [place for place in turns(messages) if place >= before]
    fitting = bisect_left(begins, True, key=lambda place: n_tokens(without(messages, place)) <= n_ctx // 2)
    return begins[min(fitting, len(begins) - 1)] if begins else before


def room(n_ctx: int) -> int:
    """Tokens that shall be left for an answer."""
    return max(1, n_ctx // 8)


def without(messages: Sequence[Message], count: int) -> Sequence[Message]:
    """The messages but for the first ``count`` behind the system prompt."""
    first = _first(messages)
    return (*messages[:first], *messages[first + count :])


def turns(messages: Sequence[Message]) -> list[int]:
    """How many messages behind the system prompt stand before each question."""
    first = _first(messages)
    return [place for place, message in enumerate(messages[first:]) if message.role == "user"]


def _first(messages: Sequence[Message]) -> int:
    return 1 if messages and messages[0].role == "system" else 0
