"""The exception tree. Each error carries one clear sentence for a person, and the exit code of a headless command."""

from typing import ClassVar


class OfftuiError(Exception):
    """Anything offtui raises on purpose; ``str(error)`` is one clear sentence."""

    exit_code: ClassVar[int] = 1


class UsageError(OfftuiError):
    """What was asked cannot be meant: a bad option, a value out of range, a broken config file."""

    exit_code: ClassVar[int] = 2


class LoadError(OfftuiError):
    """A model file that cannot be loaded: missing, not a GGUF, cut off, of an unknown architecture."""

    exit_code: ClassVar[int] = 3


class OutOfMemoryError(OfftuiError):
    """A device or the RAM has too little memory for what was asked."""

    exit_code: ClassVar[int] = 4


class ProtocolError(OfftuiError):
    """A frame that is not what the two processes agreed on."""
