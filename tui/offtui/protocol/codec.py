"""Frames: 4 bytes of length, big-endian, then msgpack of one request or event."""

import struct
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

from offtui.errors import ProtocolError
from offtui.protocol.events import Event
from offtui.protocol.requests import Request

MAX_FRAME = 64 * 1024 * 1024
"""Bytes; a longer frame is garbage. A conversation of a million tokens is far shorter."""

_HEAD = struct.Struct(">I")
_encoder = msgspec.msgpack.Encoder()

T = TypeVar("T")


def encode(frame: msgspec.Struct) -> bytes:
    """The bytes of one frame."""
    body = _encoder.encode(frame)
    if len(body) > MAX_FRAME:
        raise ProtocolError(f"A message of {len(body)} bytes is longer than the {MAX_FRAME} a frame may have.")
    return _HEAD.pack(len(body)) + body


class FrameReader(Generic[T]):
    """Cuts a byte stream into frames of one type. Feed it what arrives, in any chunking."""

    def __init__(self, kind: type[T]) -> None:
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(kind)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[T]:
        """Yield each frame that ``data`` completes.

        Raises:
            ProtocolError: the stream is not frames of this type; it cannot be read on.
        """
        self._buffer += data
        while len(self._buffer) >= _HEAD.size:
            (length,) = _HEAD.unpack_from(self._buffer)
            if length > MAX_FRAME:
                raise ProtocolError(f"A frame claims {length} bytes; the stream is garbled.")
            end = _HEAD.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEAD.size : end])
            del self._buffer[:end]
            try:
                yield self._decoder.decode(body)
            except msgspec.MsgspecError as error:
                raise ProtocolError(f"A frame cannot be read: {error}") from error


def request_reader() -> FrameReader[Request]:
    """For the worker's side."""
    return FrameReader[Request](Request)  # pyright: ignore[reportArgumentType] -- a union is a type to msgspec


def event_reader() -> FrameReader[Event]:
    """For the parent's side."""
    return FrameReader[Event](Event)  # pyright: ignore[reportArgumentType] -- a union is a type to msgspec
