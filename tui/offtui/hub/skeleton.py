"""The header of a GGUF that is not here, without its vocabulary: read in pieces, written as a file of the same shape.

Most of a header is the vocabulary: tokens and merges, some megabytes of texts that a plan has no use for. Arrays of
numbers have a known length and are passed over. The end of an array of texts is found by looking at few places:
inside such an array a text, led by its length, follows on the last one for as far as one looks, and nowhere else. The
result says of itself what the file says, but that the tokens are empty texts, and a reader of GGUFs can read it.
"""

import re
import struct
from collections.abc import Callable
from typing import Final

import msgspec

BLOCK: Final = 64 * 1024
"""Bytes read at once while going forward."""
PROBE: Final = 8 * 1024
"""Bytes read to tell whether a place is within an array of texts."""
MANY: Final = 20_000
"""Texts in an array from which its end is looked for; shorter ones are read."""
MAX_TEXT: Final = 4096
"""Bytes of a text in a vocabulary."""
MAX_COUNT: Final = 1 << 24
MAX_TENSORS: Final = 1 << 16
MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes of a skeleton; one of 256k tokens takes four million."""
CHAIN: Final = 8
"""Texts in a row by which an array of texts is known."""

_SIZES: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9
_KEY: Final = re.compile(rb"[A-Za-z0-9_.\-]{1,256}")
_START: Final = re.compile(rb"[^\0]\0{7}")

Read = Callable[[int, int], bytes]
"""From an offset and a count to the bytes there, fewer at the end of the file."""


class NotReadable(Exception):
    """No GGUF of a version that is known, cut off, or broken; the text says which."""


class Skeleton(msgspec.Struct, frozen=True):
    """A header without a vocabulary."""

    body: bytes
    """From the magic to the end of the tensor table."""
    data_offset: int
    """Where in the real file the tensors begin."""
    alignment: int

    def size_for(self, size: int) -> int:
        """The length at which a file with this header has room for all tensors of one of ``size`` bytes."""
        return _aligned(len(self.body), self.alignment) + max(size - self.data_offset, 0)


class Lengths:
    """Bytes of arrays of texts that were found before: other quantisations of a model have the same vocabulary."""

    def __init__(self) -> None:
        self.found: dict[tuple[bytes, int], int] = {}


def read_skeleton(read: Read, size: int, lengths: Lengths | None = None, most: int = MAX_BODY) -> Skeleton:
    """The header of a file of ``size`` bytes.

    Raises:
        NotReadable: it has none, or one that takes more than ``most`` bytes.
    """
    return _Header(read, size, lengths or Lengths(), most).skeleton()


class _Header:
    def __init__(self, read: Read, size: int, lengths: Lengths, most: int) -> None:
        self._most = most
        self._read_at = read
        self._size = size
        self._lengths = lengths
        self._at = 0
        self._block_at = 0
        self._block = b""
        self._out = bytearray()

    def skeleton(self) -> Skeleton:
        head = self._take(24)
        magic, version, n_tensors, n_kv = struct.unpack("<4sIQQ", head)
        if magic != b"GGUF":
            raise NotReadable("it is not a GGUF file")
        if version not in (2, 3):
            raise NotReadable(f"its GGUF version is {version}")
        if n_tensors > MAX_TENSORS or n_kv > MAX_TENSORS:
            raise NotReadable("its header is broken")
        self._out += head
        alignment = 32
        for _ in range(n_kv):
            key, value = self._pair()
            if key == b"general.alignment" and len(value) == 4:
                alignment = struct.unpack("<I", value)[0]
        if not 0 < alignment <= 1 << 20:
            raise NotReadable("its alignment is broken")
        for _ in range(n_tensors):
            self._tensor()
        return Skeleton(bytes(self._out), _aligned(self._at, alignment), alignment)

    # Going forward

    def _take(self, count: int) -> bytes:
        if count < 0 or self._at + count > self._size:
            raise NotReadable("it is cut off within its header")
        start = self._at - self._block_at
        if not 0 <= start <= start + count <= len(self._block):
            self._block_at = self._at
            self._block = self._read_at(self._at, min(max(count, BLOCK), self._size - self._at))
            start = 0
            if len(self._block) < count:
                raise NotReadable("it is cut off within its header")
        self._at += count
        return self._block[start : start + count]

    def _copy(self, count: int) -> bytes:
        self._check_room(count)
        taken = self._take(count)
        self._out += taken
        return taken

    def _check_room(self, count: int) -> None:
        if len(self._out) + count > self._most:
            raise NotReadable("its header is too large")

    def _leave_out(self, count: int) -> None:
        """Zeros in the place of what nobody needs."""
        self._check_room(count)
        self._out += bytes(count)

    def _u64(self) -> int:
        return struct.unpack("<Q", self._copy(8))[0]

    def _u32(self) -> int:
        return struct.unpack("<I", self._copy(4))[0]

    def _text(self, limit: int) -> bytes:
        length = self._u64()
        if length > limit:
            raise NotReadable("its header is broken")
        return self._copy(length)

    def _pair(self) -> tuple[bytes, bytes]:
        key = self._text(65535)
        kind = self._u32()
        if kind == _STRING:
            return key, self._text(16 << 20)
        if kind == _ARRAY:
            self._array(key)
            return key, b""
        if kind not in _SIZES:
            raise NotReadable("its header is broken")
        return key, self._copy(_SIZES[kind])

    def _array(self, key: bytes) -> None:
        kind, count = self._u32(), self._u64()
        if count > MAX_COUNT:
            raise NotReadable("its header is broken")
        if kind in _SIZES:
            length = count * _SIZES[kind]
            if length <= BLOCK:
                self._copy(length)
                return
            if self._at + length > self._size:
                raise NotReadable("it is cut off within its header")
            self._leave_out(length)
            self._at += length
        elif kind == _STRING and count >= MANY:
            self._leave_out(8 * count)
            try:
                self._at = self._end_of_texts(key, count)
            except NotReadable:  # an unusual vocabulary: read it
                self._pass_texts(count)
        elif kind == _STRING:
            for _ in range(count):
                self._text(16 << 20)
        else:
            raise NotReadable("its header is broken")

    def _tensor(self) -> None:
        self._text(65535)
        dims = self._u32()
        if dims > 4:
            raise NotReadable("its tensor table is broken")
        self._copy(8 * dims + 4 + 8)

    # Passing texts over

    def _pass_texts(self, count: int) -> None:
        for _ in range(count):
            (length,) = struct.unpack("<Q", self._take(8))
            if length > 16 << 20:
                raise NotReadable("its header is broken")
            self._take(length)

    def _end_of_texts(self, key: bytes, count: int) -> int:
        """Where an array of ``count`` texts that begins here ends."""
        start = self._at
        known = self._lengths.found.get((key, count))
        if known is not None and self._is_end(start + known):
            return start + known
        # What follows an array of texts is, but for the end of the header, an array of numbers of as many elements.
        # It takes four bytes for each, so that steps of two cannot pass over it.
        step = max(2 * count, PROBE)
        low, high = start, start + 9 * count
        while high < self._size and self._chain(high) is not None:
            low, high = high, high + step
            if high - start > 200 * count:
                raise NotReadable("the end of its vocabulary is not found")
        high = min(high, self._size)
        while high - low > 2 * PROBE:
            middle = (low + high) // 2
            low, high = (middle, high) if self._chain(middle) is not None else (low, middle)
        end = self._walk(low, high + PROBE, synced=low == start)
        if not self._is_end(end):
            raise NotReadable("the end of its vocabulary is not found")
        self._lengths.found[key, count] = end - start
        return end

    def _chain(self, at: int) -> int | None:
        """How far from ``at`` a text begins on which others follow; ``None``: it is not within an array of texts."""
        piece = self._read_at(at, PROBE)
        for match in _START.finditer(piece[: MAX_TEXT + 16]):
            if _texts(piece, match.start(), CHAIN)[1] >= CHAIN:
                return match.start()
        return None

    def _walk(self, low: int, high: int, *, synced: bool) -> int:
        """The end of the array of texts that ``low`` lies in: the beginning of the last text that is one."""
        piece = self._read_at(low, high - low)
        begin = 0 if synced else self._chain(low)
        if begin is None:
            raise NotReadable("the end of its vocabulary is not found")
        end, _ = _texts(piece, begin, None)
        return low + end

    def _is_end(self, at: int) -> bool:
        """Whether a key with a type, or the name of a tensor, begins there."""
        piece = self._read_at(at, 512)
        if len(piece) < 16:
            return False
        (length,) = struct.unpack_from("<Q", piece)
        if not 0 < length <= 256 or not _KEY.fullmatch(piece[8 : 8 + length]):
            return False
        follows = piece[8 + length : 12 + length]
        return len(follows) == 4 and 0 <= struct.unpack("<I", follows)[0] <= 12


def _texts(piece: bytes, at: int, most: int | None) -> tuple[int, int]:
    """Go along texts from ``at``: where the last whole one begins that no other follows, and how many there were."""
    count, last = 0, at
    while at + 8 <= len(piece) and (most is None or count < most):
        (length,) = struct.unpack_from("<Q", piece, at)
        if not 0 < length <= MAX_TEXT or at + 8 + length > len(piece):
            break
        if 0 in piece[at + 8 : at + 8 + length]:
            break
        last, at = at, at + 8 + length
        count += 1
    return last, count


def _aligned(at: int, alignment: int) -> int:
    return -(-at // alignment) * alignment
