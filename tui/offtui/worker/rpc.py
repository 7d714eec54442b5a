"""Asking an RPC server whether it is there, free and of our protocol, before llama.cpp connects to it.

llama.cpp's own client waits without a deadline for a server that is busy with another client, and aborts the process
when the other end is something else. So the HELLO of ggml's RPC protocol is spoken here first, with a deadline.
"""

import socket
import struct
import time
from collections.abc import Callable

from offtui.protocol.facts import Failure
from offtui.text import clean_line

HELLO = struct.pack("<BQ", 14, 24) + bytes(24)
"""Command 14, 24 bytes of connection capabilities, none claimed (ggml-rpc.cpp)."""
_TICK = 0.2
_REPLY = struct.Struct("<QBBBB24s")


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """Host and port of ``host:port``.

    Raises:
        ValueError: it is not of that form, or the port is none.
    """
    host, colon, port = endpoint.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{clean_line(endpoint)} is not of the form HOST:PORT")
    return host, int(port)


def check(
    endpoint: str,
    connect_timeout: float = 3.0,
    hello_timeout: float = 3.0,
    waiting: Callable[[], None] = lambda: None,
) -> Failure | None:
    """Why the server at ``endpoint`` cannot be used now, or ``None`` where it can.

    Args:
        endpoint: ``host:port``.
        connect_timeout: seconds for the connection.
        hello_timeout: seconds for its answer.
        waiting: called a few times a second while the answer is waited for; what it raises ends that.
    """
    shown = clean_line(endpoint, 200)
    try:
        address = split_endpoint(endpoint)
    except ValueError as error:
        return Failure("rpc_unreachable", f"{error}.")
    try:
        with socket.create_connection(address, timeout=connect_timeout) as connection:
            connection.sendall(HELLO)
            reply = _receive(connection, _REPLY.size, hello_timeout, waiting)
    except TimeoutError:
        return Failure(
            "rpc_busy",
            f"The RPC device {shown} does not answer: it may be serving another client, and serves one at a time.",
            advice="Free it, or serve it with `offtui device --slots 2` and use the next port.",
        )
    except OSError as error:
        return Failure(
            "rpc_unreachable",
            f"Nobody answers at the RPC address {shown} ({clean_line(error.strerror or str(error))}).",
            advice="Start it there with `offtui device`, or leave --rpc out.",
        )
    if not reply:
        return Failure(
            "rpc_unreachable",
            f"The connection to the RPC address {shown} was closed at once.",
            advice="If it is a tunnel: is `offtui device` running at its far end?",
        )
    if len(reply) < _REPLY.size or _REPLY.unpack(reply)[0] != _REPLY.size - 8:
        return Failure("rpc_mismatch", f"What listens at {shown} is not a llama.cpp RPC device.")
    return None


def _receive(connection: socket.socket, size: int, seconds: float, waiting: Callable[[], None]) -> bytes:
    data = b""
    due = time.monotonic() + seconds
    while len(data) < size:
        connection.settimeout(max(0.01, min(_TICK, due - time.monotonic())))
        try:
            chunk = connection.recv(size - len(data))
        except TimeoutError:
            if time.monotonic() >= due:
                raise
            waiting()
            continue
        if not chunk:
            break
        data += chunk
    return data
