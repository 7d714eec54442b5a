"""What is left of a repository in Hugging Face's cache when files of it go: nothing that its client would warn of."""

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path


@contextlib.contextmanager
def locked(path: Path) -> Generator[bool]:
    """Hold the lock of a file, the same that huggingface_hub takes; ``False``: another program holds it.

    A lock that was deleted while it was opened is none: whoever comes next makes another.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield _is_at(descriptor, path)
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a program holds this lock; one that is not there, nobody does."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:  # another user's: who knows
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def drop_parts(parts: Path, pattern: str) -> int:
    """Delete what came of files that were never complete, where nobody is writing to it; bytes that are free now.

    Args:
        parts: the folder they lie in.
        pattern: of their names.
    """
    freed = 0
    for part in sorted(parts.glob(pattern)):
        with contextlib.suppress(OSError), locked(lock_of(part)) as ours:
            if ours:
                size = part.stat().st_size
                part.unlink()
                freed += size
                if part.parent.name != "blobs":  # a cache keeps its locks elsewhere
                    lock_of(part).unlink(missing_ok=True)
    return freed


def part_stem(name: str) -> str:
    """How the part of a file begins in a folder of the user's; whole names may be as long as a name can be."""
    return "." + name.encode()[:180].decode("utf-8", "ignore") + "."


def lock_of(part: Path) -> Path:
    """Of a part in Hugging Face's cache, or in a folder of the user's."""
    if part.parent.name == "blobs" and part.parent.parent.name.startswith("models--"):
        repository = part.parent.parent
        return repository.parent / ".locks" / repository.name / f"{part.name.partition('.')[0]}.lock"
    return part.with_name(f"{part.name}.lock")


def tidy(repository: Path) -> None:
    """Take away what names nothing any more: commits without files, references to them, at last all of it.

    Where any program downloads from the repository nothing is touched: it has made the folder of its commit, and counts
    on it when its last byte has come. What cannot be deleted stays; it harms nobody.

    Args:
        repository: its folder in the cache, ``models--OWNER--NAME``.
    """
    snapshots, blobs, refs = repository / "snapshots", repository / "blobs", repository / "refs"
    locks = repository.parent / ".locks" / repository.name
    if not (snapshots.is_dir() or blobs.is_dir()) or any(is_held(lock) for lock in locks.glob("*.lock")):
        return
    for folder, _, _ in os.walk(snapshots, topdown=False):
        if folder != str(snapshots):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
    for folder, _, names in os.walk(refs, topdown=False):
        for name in names:
            ref = Path(folder, name)
            with contextlib.suppress(OSError, ValueError):
                if not (snapshots / ref.read_text()).is_dir():
                    ref.unlink()
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    if _has_any(snapshots) or _has_any(blobs):
        return
    for lock in locks.glob("*.lock"):
        with locked(lock) as ours:
            if not ours:  # a download that has just begun
                return
            lock.unlink(missing_ok=True)
    absent = repository / ".no_exist"  # empty files named after what the repository was found not to have
    for folder, _, names in os.walk(absent, topdown=False):
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    if {entry.name for entry in _entries(repository)} <= {"snapshots", "blobs"}:
        for folder in (blobs, snapshots, repository, locks):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there, held = os.stat(path), os.fstat(descriptor)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)


def _has_any(folder: Path) -> bool:
    return bool(_entries(folder))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []
