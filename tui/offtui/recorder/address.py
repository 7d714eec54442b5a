"""Where an offtui that runs can be asked: a socket per process in a folder that only its user can open."""

import contextlib
import os
import socket
import stat
import struct
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Final

from offtui.errors import OfftuiError

SUFFIX: Final = ".sock"
PATIENCE: Final = 1.0
"""Seconds to wait for a connection; a process that is stopped takes none."""
_LONGEST: Final = 100
"""Bytes of a socket's path that every system takes."""
_CREDENTIALS: Final = struct.Struct("3i")


class NotPrivateError(OfftuiError):
    """Others could get at the folder of sockets."""


def folder() -> Path:
    """``$XDG_RUNTIME_DIR/offtui``; without the variable a folder of the user's own beside it."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    if given.startswith("/"):
        return Path(given) / "offtui"
    own = Path(f"/run/user/{os.geteuid()}")
    if own.is_dir() and os.access(own, os.W_OK):
        return own / "offtui"
    return Path(tempfile.gettempdir()) / f"offtui-{os.geteuid()}"


def prepare(place: Path) -> None:
    """Make the folder, or see that the one that is there is the user's alone.

    Raises:
        NotPrivateError: it belongs to somebody else, or somebody else could put another in its place.
        OSError: it cannot be made.
    """
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        place.mkdir(mode=0o700)
    facts, around = os.lstat(place), os.stat(place.parent)
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
        raise NotPrivateError(f"{place} belongs to somebody else.")
    if around.st_uid not in (0, os.geteuid()) or (around.st_mode & 0o022 and not around.st_mode & stat.S_ISVTX):
        raise NotPrivateError(f"Others could put another folder in the place of {place}.")
    if facts.st_mode & 0o077:
        os.chmod(place, 0o700)


def listen(place: Path, pid: int) -> socket.socket:
    """A socket for this process, which nobody but the user can open.

    Raises:
        NotPrivateError: see ``prepare``.
        OSError: the socket cannot be made.
    """
    prepare(place)
    path = place / f"{pid}{SUFFIX}"
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX)
    try:
        with _short(path) as name:
            listener.bind(name)
        path.chmod(0o600)
        listener.listen(8)
    except BaseException:
        listener.close()
        raise
    return listener


def leave(place: Path, pid: int) -> None:
    """Take this process's socket away."""
    with contextlib.suppress(OSError):
        (place / f"{pid}{SUFFIX}").unlink()


def running(place: Path) -> list[int]:
    """Process numbers of which there are sockets, the newest first; sockets of processes that died are removed."""
    found: list[tuple[float, int]] = []
    with contextlib.suppress(OSError):
        for path in place.iterdir():
            if path.suffix == SUFFIX and path.stem.isdecimal():
                with contextlib.suppress(OSError):
                    found.append((path.lstat().st_mtime, int(path.stem)))
    return [pid for _, pid in sorted(found, reverse=True) if _is_alive(pid) or _is_served(place, pid)]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's process has the number now
        return True
    return True


def _is_served(place: Path, pid: int) -> bool:
    """Whether somebody answers there: in a container the numbers of processes may be others."""
    connection = connect(place, pid)
    if connection is None:
        return False
    connection.close()
    return True


def connect(place: Path, pid: int) -> socket.socket | None:
    """A connection to that process; ``None`` where it no longer runs. A socket that nobody serves is removed."""
    path = place / f"{pid}{SUFFIX}"
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE)
    try:
        with _short(path) as name:
            connection.connect(name)
        if is_of_user(connection):
            return connection
    except ConnectionRefusedError:
        leave(place, pid)
    except OSError:
        pass
    connection.close()
    return None


def is_of_user(connection: socket.socket) -> bool:
    """Whether the process at the other end is this user's; taken for granted where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(raw)
    return uid == os.geteuid()


@contextlib.contextmanager
def _short(path: Path) -> Generator[str]:
    """A name of the path that fits into a socket's address, which takes a hundred bytes."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)
