"""Frames from the parent to a worker."""

import msgspec

from offtui.protocol.carry import Manifest
from offtui.protocol.facts import Learned
from offtui.protocol.spec import LoadSpec, Message, Sampling


class _Request(msgspec.Struct, frozen=True, tag_field="request"):
    pass


class Load(_Request, frozen=True, tag="load"):
    """Load the model; once in a worker's life. Answered by ``LoadProgress``…, then ``Loaded`` or ``LoadFailed``."""

    spec: LoadSpec
    keep_flash_attn: bool | None = None
    """What ``flash_attn="auto"`` shall be, so that a KV cache can be taken over; ``None``: llama.cpp decides."""
    await_free: dict[str, int] = {}
    """Bytes that shall be free on a device before the load begins, by its name: an earlier worker gives them back.
    Waited for a moment only; where they do not come, the load is tried all the same."""
    left: tuple[str, ...] = ()
    """RPC slots that an earlier worker used; they may still compute for it, and are waited for."""
    learned: Learned = Learned()
    """For the choice of the layers, where the spec leaves it open."""


class CancelLoad(_Request, frozen=True, tag="cancel_load"):
    """Give up the running load; answered by ``LoadFailed`` of kind ``cancelled``."""


class Generate(_Request, frozen=True, tag="generate"):
    """Answer the last message. Answered by ``TurnStarted``, ``Piece``…, then ``TurnEnded`` or ``TurnFailed``."""

    turn: int
    messages: tuple[Message, ...]
    sampling: Sampling
    go_on: bool = False
    """The last message is the assistant's, unfinished: the answer goes on where it breaks off."""


class Pause(_Request, frozen=True, tag="pause"):
    """Halt that turn at the next token boundary, in decode or in prompt eval, so that another worker can go on with
    it. Answered by ``TurnPaused``, or by the turn's end if that comes first."""

    turn: int


class Resume(_Request, frozen=True, tag="resume"):
    """Go on with a paused turn. Answered by ``TurnResumed``, ``Piece``…, then as ``Generate``.

    Tokens that the KV cache does not hold are evaluated first.
    """

    turn: int
    state: bytes
    """Of ``TurnPaused`` or ``TurnStarted``."""
    after: bytes = b""
    """Tokens of the answer that were told of since, packed; their text is not sent again."""


class Reserve(_Request, frozen=True, tag="reserve"):
    """Make the file descriptor that comes along ready for the ``SaveState`` or ``RestoreState`` with the same file.

    Done beside everything else, and answered by ``Reserved`` unless it is wanted before. The file is as long as it
    says; where its owner cuts it, the memory is given back.
    """

    size: int
    """Bytes."""
    to_write: bool
    """For ``SaveState``."""


class SaveState(_Request, frozen=True, tag="save_state"):
    """Write the KV cache to the file descriptor that comes along; answered by ``StateSaved``."""


class RestoreState(_Request, frozen=True, tag="restore_state"):
    """Take over the KV cache in the file descriptor that comes along; answered by ``StateRestored``."""

    manifest: Manifest


class Tokenize(_Request, frozen=True, tag="tokenize"):
    """Count the tokens of a text, also while a turn is answered; answered by ``Tokenized``, or not at all while no
    model is loaded."""

    number: int
    """Comes back with the answer."""
    text: str


class KeepCheckpoint(_Request, frozen=True, tag="keep_checkpoint"):
    """Copy the KV cache now and then to the file descriptor that comes along; two of them are used by turns.

    Each copy is told of by ``Checkpointed``.
    """

    most: int
    """Bytes; larger caches are not copied."""


class Cancel(_Request, frozen=True, tag="cancel"):
    """Stop that turn, in decode or in prompt eval; answered by ``TurnEnded`` with stop ``cancelled``."""

    turn: int


class ReadHeader(_Request, frozen=True, tag="read_header"):
    """Read a GGUF's header; answered by ``HeaderRead``. For a prober."""

    path: str


class Quit(_Request, frozen=True, tag="quit"):
    """Free everything and exit with 0."""


Request = (
    Load
    | CancelLoad
    | Generate
    | Pause
    | Resume
    | Reserve
    | SaveState
    | RestoreState
    | KeepCheckpoint
    | Tokenize
    | Cancel
    | ReadHeader
    | Quit
)

WITH_DESCRIPTOR = (Reserve, SaveState, RestoreState, KeepCheckpoint)
"""Requests whose frame carries one file descriptor (SCM_RIGHTS), in the order of the frames."""
