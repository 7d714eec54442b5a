"""What passes between an offtui that runs and one that watches it, through the socket: frames of msgpack."""

import msgspec

from offtui.engine.state import SessionState
from offtui.recorder.tape import Backlog, Entries

VERSION = 1
"""Of these messages; another one is refused."""


class Ask(msgspec.Struct, frozen=True):
    """The first and only word of whoever watches."""

    version: int = VERSION
    follow: bool = False
    """Be told all there was and all that comes; else the state once."""


class News(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the session, and what is new on its tape. Nothing of what was said in the chat is in it."""

    state: SessionState
    worker: int | None = None
    """Process number of the worker."""
    backlog: Backlog | None = None
    """Only in the first of those that follow."""
    entries: Entries = Entries()


class Refused(msgspec.Struct, frozen=True):
    """The other side is of another version."""

    version: str
    """Of offtui there."""


class Answer(msgspec.Struct, frozen=True):
    """A frame of the running offtui."""

    news: News | None = None
    refused: Refused | None = None
