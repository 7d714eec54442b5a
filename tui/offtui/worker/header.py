"""Reads GGUF headers with llama.cpp's own reader. For disposable processes: a hostile file may still kill native code.

``python -m offtui.worker.header PATH…`` prints one JSON object per path: ``{"path", "header", "failure"}``;
``--elements PATH`` all elements of the array whose key is on stdin: ``{"elements", "failure"}``.
"""

import math
import os
import re
import stat
import struct
import sys
from pathlib import Path

import msgspec

from offtui.errors import LoadError
from offtui.gguf.header import Header, Tensor
from offtui.plan import architectures
from offtui.plan.probe import ElementsReply, HeaderReply
from offtui.protocol.facts import Failure, FailureKind
from offtui.text import clean_line
from offtui.worker.gguf_reader import NativeFile, NativeReader

MAGIC = b"GGUF"
MAX_PARTS = 1000
"""Split files of one model; real ones have tens."""

MAX_TENSORS = 200_000
"""Of a file; the largest real ones have some ten thousand. llama.cpp compares each name with all others."""
_HEAD = struct.Struct("<4sIQQ")
"""Magic, version, numbers of tensors and of metadata keys, as every GGUF since version 2 begins."""
_VERSIONS = (2, 3)

_PART_NAME = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)


class UnreadableModel(LoadError):
    """A file whose header cannot be read; ``failure`` says why and what to do."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def read_header(path: str, *, complete: bool = True) -> Header:
    """The header of the model that ``path`` belongs to, all its parts joined.

    Args:
        path: a GGUF; of split files any part.
        complete: also check that the tensors' bytes are there; ``False`` for the first megabytes of a remote file.

    Raises:
        UnreadableModel: of kind ``not_found``, ``permission``, ``not_gguf``, ``truncated`` or ``unsupported``.
    """
    reader = NativeReader()
    first = _first_part(path)
    with _open(reader, first) as native:
        parts = _part_paths(first, native)
        metadata, lengths = native.metadata()
        version, data_offset = native.version, native.data_offset
        tensors = _tensors(native, first, 0, complete)
    for number, part in enumerate(parts[1:], 1):
        with _open(reader, part) as native:
            if native.integer("split.no") != number:
                raise _unreadable("not_gguf", f"{_name(part)} is not part {number + 1} of {_name(first)}.")
            tensors += _tensors(native, part, number, complete)
    claimed = metadata.get("split.tensors.count")
    if len(parts) > 1 and isinstance(claimed, int) and claimed != len(tensors):
        message = f"The parts of {_name(first)} have {len(tensors)} tensors together, not {claimed} as it says."
        raise _unreadable("not_gguf", message, advice="Download the parts again; they are not of one model.")
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise _unreadable("not_gguf", f"Two parts of {_name(first)} have a tensor of the same name.")
    header = Header(
        path=first,
        parts=parts,
        version=version,
        file_bytes=sum(_size(part) for part in parts),
        data_offset=data_offset,
        metadata=metadata,
        lengths=lengths,
        tensors=tuple(tensors),
    )
    return header if _has_code(header) else msgspec.structs.replace(header, has_code=False)


def read(path: str) -> HeaderReply:
    """``read_header`` as a value, for a process that answers many paths."""
    try:
        return HeaderReply(path=path, header=read_header(path), failure=None)
    except UnreadableModel as error:
        return HeaderReply(path=path, header=None, failure=error.failure)


def read_elements(path: str, key: str) -> ElementsReply:
    """All elements of an array in the metadata, of which a header only has the number where there are many."""
    try:
        with _open(NativeReader(), path) as native:
            elements = native.elements(key)
    except UnreadableModel as error:
        return ElementsReply(elements=None, failure=error.failure)
    if elements is None:
        failure = Failure("unsupported", f"{clean_line(key, 100)} is no list that can be shown.")
        return ElementsReply(elements=None, failure=failure)
    # a number that is none cannot be written as JSON
    plain = tuple(str(one) if isinstance(one, float) and not math.isfinite(one) else one for one in elements)
    return ElementsReply(elements=plain, failure=None)


def _has_code(header: Header) -> bool:
    """Whether llama.cpp knows its architecture; asked only of those that the arithmetic does not know either."""
    if header.kind != "model" or header.arch in architectures.KNOWN | architectures.UNKNOWN:
        return True
    from offtui.worker.architecture import is_known

    try:
        return is_known(header.get_str("general.architecture")[:1000])
    except OSError:  # no place for a file to ask with: loading it will tell
        return True


def _name(path: str) -> str:
    return clean_line(path, 300)


def _unreadable(kind: FailureKind, message: str, evidence: str = "", advice: str = "") -> UnreadableModel:
    return UnreadableModel(Failure(kind, message, evidence=evidence, advice=advice))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError as error:
        message = f"{_name(path)} went away while it was read: {error.strerror}."
        raise _unreadable("not_found", message) from error


def _check_file(path: str) -> None:
    """Refuse what must not be opened, or is plainly no GGUF, before native code sees it."""
    name = _name(path)
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise _unreadable("permission", f"{name} is a folder, not a model file.", advice="Name a .gguf file in it.")
        if not stat.S_ISREG(mode):
            raise _unreadable("permission", f"{name} is not a regular file.", advice="Name a .gguf file.")
        with open(path, "rb") as file:
            head = file.read(_HEAD.size)
    except (FileNotFoundError, NotADirectoryError):
        raise _unreadable("not_found", f"{name} does not exist.") from None
    except PermissionError:
        raise _unreadable("permission", f"{name} may not be read by you.", advice="Check the file's rights.") from None
    except OSError as error:
        raise _unreadable("permission", f"{name} cannot be read: {error.strerror}.") from error
    except ValueError:  # a NUL in the path
        raise _unreadable("not_found", f"{name} is not a path.") from None
    if not head:
        raise _unreadable("not_gguf", f"{name} is empty.", advice="Download it again.")
    if head[: len(MAGIC)] != MAGIC:
        evidence = f"It begins with {head[: len(MAGIC)]!r} instead of {MAGIC!r}."
        raise _unreadable("not_gguf", f"{name} is not a GGUF file.", evidence)
    if len(head) == _HEAD.size:
        _, version, n_tensors, _ = _HEAD.unpack(head)
        if version in _VERSIONS and n_tensors > MAX_TENSORS:
            message = f"{name} claims {n_tensors} tensors; no model has so many."
            raise _unreadable("not_gguf", message, advice="Download it again.")


def _open(reader: NativeReader, path: str) -> NativeFile:
    _check_file(path)
    native, log = reader.open(path)
    if native is not None:
        return native
    raise _diagnosed(path, log)


def _diagnosed(path: str, log: list[str]) -> UnreadableModel:
    """Why llama.cpp's reader refused a file that does begin with GGUF, from its log and the bytes themselves."""
    name, evidence = _name(path), clean_line(log[0], 300) if log else ""
    text = " ".join(log)
    if "version" in text or "endianness" in text:
        message = f"{name} has a GGUF version that this llama.cpp does not read."
        return _unreadable("unsupported", message, evidence, "Get a newer llama-cpp-python, or a newer file.")
    if "invalid ggml type" in text or "not a multiple of block size" in text:
        message = f"{name} has tensors of a type that this llama.cpp does not know."
        return _unreadable("unsupported", message, evidence, "Get a newer llama-cpp-python, or another quantisation.")
    # the reader says nothing when the file ends inside its header; a text or a header of nonsense does say why
    if "exceeds remaining file size" in text or not any(_says_why(line) for line in log):
        message = f"{name} is cut off within its header."
        return _unreadable("truncated", message, evidence, "Download it again.")
    return _unreadable("not_gguf", f"{name} is a broken GGUF file.", evidence, "Download it again.")


def _says_why(line: str) -> bool:
    return not re.search(r"failed to (read (header|key-value pairs|tensor info|magic)|seek|load model)", line)


def _tensors(native: NativeFile, path: str, part: int, complete: bool) -> list[Tensor]:
    tensors = native.tensors(part)
    end = max((tensor.offset + tensor.nbytes for tensor in tensors), default=0)
    size = _size(path)
    if complete and end > size:
        message = f"{_name(path)} is cut off: {size} of at least {end} bytes are there."
        raise _unreadable("truncated", message, advice="Download it again.")
    return tensors


def _first_part(path: str) -> str:
    """The part that has the metadata, for a path that names any part of split files."""
    match = _PART_NAME.fullmatch(path)
    if match is None or match["number"] == "00001":
        return path
    first = f"{match['stem']}-00001-of-{match['count']}.gguf"
    if not Path(first).exists() and Path(path).exists():
        message = f"{_name(path)} is one part of a model whose first part is missing."
        raise _unreadable("not_found", message, advice=f"Put {_name(Path(first).name)} beside it.")
    return first


def _part_paths(first: str, native: NativeFile) -> tuple[str, ...]:
    count = native.integer("split.count") or 1
    if count <= 1:
        return (first,)
    match = _PART_NAME.fullmatch(first)
    if native.integer("split.no") != 0 or match is None or int(match["count"]) != count or count > MAX_PARTS:
        message = f"{_name(first)} says that it is part of {count} files, but is not named so."
        raise _unreadable("not_gguf", message, advice="Split files are named NAME-00001-of-0000N.gguf; rename it back.")
    paths = tuple(f"{match['stem']}-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1))
    missing = [path for path in paths if not Path(path).exists()]
    if missing:
        message = f"{len(missing)} of the {count} parts of the model are missing: {_name(Path(missing[0]).name)}."
        raise _unreadable("not_found", message, advice=f"Put all {count} parts into {_name(str(Path(first).parent))}.")
    return paths


def main(paths: list[str], key: str | None = None) -> int:
    """Print a line of JSON for each path on the original stdout, its header or one array; else goes to stderr."""
    os.environ["GGML_NO_BACKTRACE"] = "1"  # else an abort starts a debugger first
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with out:
        for path in paths:
            reply = read(path) if key is None else read_elements(path, key)
            out.write(msgspec.json.encode(reply) + b"\n")
            out.flush()
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--elements"]:
        sys.exit(main(sys.argv[2:], sys.stdin.buffer.read().decode("utf-8", "replace")))
    sys.exit(main(sys.argv[2:] if sys.argv[1:2] == ["--"] else sys.argv[1:]))
