"""Which row of the transcript belongs to which entry: heights with fast sums, for ten thousand entries."""

from collections.abc import Iterable


class RowIndex:
    """Heights of consecutive items. Appending, changing one, and finding a row all take O(log n)."""

    def __init__(self, heights: Iterable[int] = ()) -> None:
        self._heights: list[int] = []
        self._tree: list[int] = [0]
        self._total = 0
        for height in heights:
            self.append(height)

    def __len__(self) -> int:
        return len(self._heights)

    @property
    def total(self) -> int:
        """Rows in all."""
        return self._total

    def height(self, index: int) -> int:
        """Rows of one item."""
        return self._heights[index]

    def append(self, height: int) -> None:
        """Add an item after the last one."""
        self._heights.append(height)
        position = len(self._heights)
        node, step = height, 1
        while step < position & -position:
            node += self._tree[position - step]
            step <<= 1
        self._tree.append(node)
        self._total += height

    def change(self, index: int, height: int) -> int:
        """Give an item another height. Returns by how much it grew."""
        delta = height - self._heights[index]
        if delta:
            self._heights[index] = height
            self._total += delta
            position = index + 1
            while position < len(self._tree):
                self._tree[position] += delta
                position += position & -position
        return delta

    def top(self, index: int) -> int:
        """Row at which an item begins; of ``len(self)``, the total."""
        rows = 0
        while index > 0:
            rows += self._tree[index]
            index &= index - 1
        return rows

    def find(self, row: int) -> tuple[int, int]:
        """The item that covers ``row`` and the row within it.

        Raises:
            IndexError: the row lies outside.
        """
        if not 0 <= row < self._total:
            raise IndexError(f"row {row} of {self._total}")
        position, rest = 0, row
        step = 1 << (len(self._heights).bit_length() - 1)
        while step:
            candidate = position + step
            if candidate < len(self._tree) and self._tree[candidate] <= rest:
                position = candidate
                rest -= self._tree[candidate]
            step >>= 1
        return position, rest
