"""Frames from the parent to a worker."""

import msgspec

from offtui.protocol.spec import LoadSpec, Message, Sampling


class _Request(msgspec.Struct, frozen=True, tag_field="request"):
    pass


class Load(_Request, frozen=True, tag="load"):
    """Load the model; once in a worker's life. Answered by ``LoadProgress``…, then ``Loaded`` or ``LoadFailed``."""

    spec: LoadSpec


class CancelLoad(_Request, frozen=True, tag="cancel_load"):
    """Give up the running load; answered by ``LoadFailed`` of kind ``cancelled``."""


class Generate(_Request, frozen=True, tag="generate"):
    """Answer the last message. Answered by ``TurnStarted``, ``Piece``…, then ``TurnEnded`` or ``TurnFailed``."""

    turn: int
    messages: tuple[Message, ...]
    sampling: Sampling


class Cancel(_Request, frozen=True, tag="cancel"):
    """Stop that turn, in decode or in prompt eval; answered by ``TurnEnded`` with stop ``cancelled``."""

    turn: int


class ReadHeader(_Request, frozen=True, tag="read_header"):
    """Read a GGUF's header; answered by ``HeaderRead``. For a prober."""

    path: str


class Quit(_Request, frozen=True, tag="quit"):
    """Free everything and exit with 0."""


Request = Load | CancelLoad | Generate | Cancel | ReadHeader | Quit
