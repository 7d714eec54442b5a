"""What the app keeps is the user's alone: what it makes is for nobody else, and what is there stays as it is."""

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Have the folder be there. Raises ``OSError`` where it cannot be."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def make_file(file: Path) -> None:
    """Have the file be there, empty if need be. SQLite gives a journal the mode of its file.

    Raises ``OSError`` where it cannot be.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


@contextlib.contextmanager
def alone(file: Path) -> Generator[None]:
    """No other offtui makes, changes or sets aside the file meanwhile; its folder is made where there is none.

    Raises ``OSError`` where that cannot be.
    """
    make_folder(file.parent)
    with open(file.with_name(f"{file.name}.lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def replace_file(file: Path, body: bytes) -> None:
    """Have the file be this, all of it or as it was. Raises ``OSError`` where it cannot be."""
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    make_file(fresh)
    fresh.write_bytes(body)
    os.replace(fresh, file)
