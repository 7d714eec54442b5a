import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from offtui.worker import rpc


@contextmanager
def server(reply: bytes | None) -> Iterator[str]:
    """A server that answers the first client with ``reply``; ``None``: with silence."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                if reply is None:
                    done.wait(10)
                else:
                    connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        done.set()
        thread.join()


def test_a_device_that_answers_is_fine() -> None:
    with server(struct.pack("<QBBBB24s", 28, 7, 0, 0, 0, bytes(24))) as endpoint:
        assert rpc.check(endpoint) is None


def test_a_busy_device_is_said_not_waited_for() -> None:
    with server(None) as endpoint:
        failure = rpc.check(endpoint, hello_timeout=0.1)
    assert failure is not None
    assert failure.kind == "rpc_busy"


def test_something_else_at_the_port_is_not_connected_to() -> None:
    with server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as endpoint:
        failure = rpc.check(endpoint)
    assert failure is not None
    assert failure.kind == "rpc_mismatch"


def test_a_tunnel_with_nobody_behind_it_is_said() -> None:
    with server(b"") as endpoint:
        failure = rpc.check(endpoint)
    assert failure is not None
    assert failure.kind == "rpc_unreachable"
    assert "tunnel" in failure.advice


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    failure = rpc.check(f"127.0.0.1:{port}")
    assert failure is not None
    assert failure.kind == "rpc_unreachable"
    assert str(port) in failure.message


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:x", "host:0", "host:70000", "a\x1b[2J"])
def test_what_is_no_address_is_said(text: str) -> None:
    failure = rpc.check(text)
    assert failure is not None
    assert failure.kind == "rpc_unreachable"
    assert "\x1b" not in failure.message


def test_a_slot_that_was_just_left_is_waited_for_and_the_wait_can_be_given_up() -> None:
    """The server is still computing for a client that is gone: it answers late, or not before the user has enough."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asked: list[float] = []

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                while len(asked) < 2:
                    time.sleep(0.01)
                connection.sendall(struct.pack("<QBBBB24s", 28, 7, 0, 0, 0, bytes(24)))

        thread = threading.Thread(target=serve)
        thread.start()
        endpoint = f"127.0.0.1:{listener.getsockname()[1]}"
        assert rpc.check(endpoint, hello_timeout=20.0, waiting=lambda: asked.append(0.0)) is None
        thread.join()

    class Enough(Exception):
        pass

    def enough() -> None:
        raise Enough

    with server(None) as endpoint, pytest.raises(Enough):
        rpc.check(endpoint, hello_timeout=20.0, waiting=enough)
