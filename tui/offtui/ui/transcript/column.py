"""All entries as one column of rows, laid out where they are looked at and estimated elsewhere. Knows no widget."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from offtui.text import clean
from offtui.ui.transcript.grid import BLANK, Line
from offtui.ui.transcript.message import (
    above_lines,
    below_lines,
    beside_bar,
    entry_lines,
    estimated_height,
    measure,
    with_caret,
)
from offtui.ui.transcript.model import Entry, EntryState, Sketch
from offtui.ui.transcript.rows import RowIndex
from offtui.ui.transcript.stream import LiveMarkdown

CACHED_ROWS = 6000
"""Rows kept laid out; the entries looked at least recently are dropped first (about 3 MB)."""


@dataclass(slots=True)
class _Item:
    source: Entry | Sketch
    lines: list[Line] | None = None
    exact: bool = False
    """The height in the index is the true one, not an estimate."""
    unfolded: bool | None = None
    """Of the reasoning; ``None``: as the whole transcript."""

    @property
    def entry(self) -> Entry:
        source = self.source
        if isinstance(source, Sketch):
            source = self.source = _cleaned(source.make())
        return source

    @entry.setter
    def entry(self, entry: Entry) -> None:
        self.source = entry


@dataclass(slots=True)
class _Live:
    index: int
    text: list[str]
    reasoning: list[str]
    markdown: LiveMarkdown | None = None
    fresh: str = ""
    """Answer text that ``markdown`` has not seen."""
    changed: bool = False
    finished: list[Line] = field(default_factory=list[Line])
    """Rows of blocks that are finished, beside their bar."""


class Column:
    """Entries in order, and their rows at one width. At most one entry, the live one, is being written."""

    def __init__(self, width: int = 80) -> None:
        self.width = width
        self.unfolded = False
        """Whether reasoning is shown in full where an entry was not toggled by itself."""
        self.rows = RowIndex()
        self._items: list[_Item] = []
        self._index: dict[int, int] = {}
        self._recent: OrderedDict[int, int] = OrderedDict()
        self._cached_rows = 0
        self._live: _Live | None = None

    def __len__(self) -> int:
        return len(self._items)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries; the live one with the text it has so far."""
        return tuple(self.entry(index) for index in range(len(self._items)))

    @property
    def live_index(self) -> int | None:
        """Index of the entry being written."""
        return None if self._live is None else self._live.index

    def entry(self, index: int) -> Entry:
        """One entry; the live one with the text it has so far."""
        entry = self._items[index].entry
        live = self._live
        if live is None or live.index != index:
            return entry
        return replace(entry, text="".join(live.text), reasoning="".join(live.reasoning))

    def index_of(self, entry_id: int) -> int:
        """Where an entry is.

        Raises:
            KeyError: there is none of that id.
        """
        return self._index[entry_id]

    def is_cached(self, index: int) -> bool:
        """Whether the rows of an entry are at hand."""
        return self._items[index].lines is not None

    def has(self, entry_id: int) -> bool:
        """Whether there is an entry of that id."""
        return entry_id in self._index

    def extend(self, entries: Iterable[Entry | Sketch]) -> None:
        """Add entries at the end; they are laid out when they are looked at.

        Raises:
            ValueError: an id is taken.
        """
        for entry in entries:
            if entry.id in self._index:
                raise ValueError(f"entry {entry.id} is there already")
            self._index[entry.id] = len(self._items)
            self._items.append(_Item(entry if isinstance(entry, Sketch) else _cleaned(entry)))
            self.rows.append(estimated_height(entry, self.width))

    def replace(self, entry: Entry) -> None:
        """Show another value for the entry of that id."""
        index = self._index[entry.id]
        if self.live_index == index:
            self._live = None
        self._items[index].entry = _cleaned(entry)
        self._forget(index)

    def remove(self, entry_id: int) -> None:
        """Take an entry out."""
        gone = self._index[entry_id]
        kept = [item.source for index, item in enumerate(self._items) if index != gone]
        live = self._live
        self.clear()
        self.extend(kept)
        if live is not None and live.index != gone:
            live.index -= live.index > gone
            self._live = live
            self.relay(live.index)

    def cut(self, index: int) -> None:
        """Take out the entry of that index and all after it."""
        for item in self._items[index:]:
            del self._index[item.source.id]
        for gone in range(index, len(self._items)):
            self._cached_rows -= self._recent.pop(gone, 0)
        del self._items[index:]
        if self._live is not None and self._live.index >= index:
            self._live = None
        self.rows = RowIndex(self.rows.height(kept) for kept in range(index))

    def clear(self) -> None:
        """Take all entries out."""
        self._items.clear()
        self._index.clear()
        self._live = None
        self._forget_all()

    def resize(self, width: int) -> None:
        """Take another width: every height is an estimate again."""
        if width != self.width:
            self.width = width
            self._forget_all()

    def toggle_reasoning(self, entry_id: int | None = None) -> None:
        """Fold or unfold the reasoning of one entry, or of all."""
        if entry_id is None:
            self.unfolded = not self.unfolded
            for item in self._items:
                item.unfolded = None
            self._forget_all()
        else:
            index = self._index[entry_id]
            item = self._items[index]
            item.unfolded = not self._is_unfolded(item)
            self._forget(index)

    def begin(self, entry_id: int) -> None:
        """Make an entry the live one; what it has already said stays."""
        index = self._index[entry_id]
        item = self._items[index]
        item.entry = replace(item.entry, state="streaming", stamp="")
        self._live = _Live(index, [item.entry.text], [item.entry.reasoning], changed=True)
        self._forget(index)

    def feed(self, answer: str, reasoning: str) -> None:
        """Add text to the live entry; nothing is laid out yet."""
        live = self._live
        if live is None or not (answer or reasoning):
            return
        answer = clean(answer)
        live.text.append(answer)
        live.fresh += answer
        live.reasoning.append(clean(reasoning))
        live.changed = True

    def end(self, state: EntryState, stamp: str, reasoning_tokens: int | None) -> None:
        """Finish the live entry; it will be laid out once more, as a whole."""
        live = self._live
        if live is None:
            return
        entry = self.entry(live.index)
        self._live = None
        tokens = entry.reasoning_tokens if reasoning_tokens is None else reasoning_tokens
        self._items[live.index].entry = _cleaned(replace(entry, state=state, stamp=stamp, reasoning_tokens=tokens))
        self._forget(live.index)

    def relay(self, index: int) -> int:
        """Lay an entry out again. Returns by how many rows it grew."""
        item = self._items[index]
        if self._live is not None and self._live.index == index:
            lines = self._live_lines(self._live, item)
        else:
            lines = entry_lines(item.entry, self.width, unfolded=self._is_unfolded(item))
        self._keep(index, lines)
        item.exact = True
        return self.rows.change(index, len(lines))

    @property
    def has_fresh_text(self) -> bool:
        """Whether the live entry was fed since it was laid out."""
        return self._live is not None and self._live.changed

    def settle(self, index: int) -> int:
        """Make sure that an entry has its true height. Returns by how many rows it grew."""
        return 0 if self._items[index].exact else self.relay(index)

    def settle_view(self, top: int, height: int, *, upward: bool) -> int:
        """Lay out the entries in view from row ``top``. Returns the row where they begin now.

        Heights that were estimated change what lies above and below; the row that stays in its place is the last one in
        view when scrolling ``upward``, otherwise the first.
        """
        rows = self.rows
        while rows.total and height > 0:
            top = max(0, min(top, rows.total - height))
            first, last = rows.find(top)[0], rows.find(min(top + height, rows.total) - 1)[0]
            order = range(last, first - 1, -1) if upward else range(first, last + 1)
            grown = 0
            for index in order:
                grown = self.settle(index)
                if grown:
                    top += grown if upward and index < last else 0
                    break
            if not grown:
                return top
        return 0

    def settle_end(self, height: int) -> int:
        """Lay out the entries of the last ``height`` rows. Returns the row where those begin."""
        index, seen = len(self.rows), 0
        while index > 0 and seen < height:
            index -= 1
            self.settle(index)
            seen += self.rows.height(index)
        return max(0, self.rows.total - height)

    def view(self, top: int, height: int) -> list[Line]:
        """``height`` rows beginning at ``top``; outside of the column they are empty."""
        view: list[Line] = []
        if 0 <= top < self.rows.total:
            index, within = self.rows.find(top)
            while len(view) < height and index < len(self._items):
                view.extend(self._lines(index)[within : within + height - len(view)])
                index, within = index + 1, 0
        view.extend([BLANK] * (height - len(view)))
        return view

    def thought_title_at(self, row: int) -> int | None:
        """The id of the entry whose folded reasoning stands in ``row``."""
        (line,) = self.view(row, 1)
        if any(run.look.endswith("thought-title") for run in line):
            return self._items[self.rows.find(row)[0]].entry.id
        return None

    def _lines(self, index: int) -> list[Line]:
        lines = self._items[index].lines
        if lines is None:
            self.relay(index)
            lines = self._items[index].lines or []
        elif index in self._recent:
            self._recent.move_to_end(index)
        return lines

    def _live_lines(self, live: _Live, item: _Item) -> list[Line]:
        """Rows of the live entry; those of finished blocks are made once."""
        inner = measure(self.width)
        if live.markdown is None:
            live.markdown = LiveMarkdown(inner, "".join(live.text))
            live.finished = []
        else:
            live.markdown.feed(live.fresh)
        live.fresh = ""
        live.changed = False
        finished, tail = live.markdown.lines()
        entry = self.entry(live.index)
        above = above_lines(entry, self.width, unfolded=self._is_unfolded(item))
        live.finished += [beside_bar(row, entry.role, self.width) for row in finished[len(live.finished) :]]
        if tail or finished or not entry.reasoning:
            tail = with_caret(tail, inner)
        rest = [beside_bar(row, entry.role, self.width) for row in tail] + below_lines(entry, self.width)
        return [*above, *live.finished, *rest]

    def _is_unfolded(self, item: _Item) -> bool:
        return self.unfolded if item.unfolded is None else item.unfolded

    def _keep(self, index: int, lines: list[Line]) -> None:
        self._cached_rows += len(lines) - self._recent.pop(index, 0)
        self._items[index].lines = lines
        self._recent[index] = len(lines)
        while self._cached_rows > CACHED_ROWS and len(self._recent) > 1:
            oldest, count = self._recent.popitem(last=False)
            self._cached_rows -= count
            self._items[oldest].lines = None

    def _forget(self, index: int) -> None:
        """Have one entry laid out again before it is looked at; its height stays as it was until then."""
        self._items[index].exact = False

    def _forget_all(self) -> None:
        for item in self._items:
            item.lines = None
            item.exact = False
        self._recent.clear()
        self._cached_rows = 0
        if self._live is not None:
            self._live.markdown = None
        self.rows = RowIndex(estimated_height(item.source, self.width) for item in self._items)
        if self._live is not None:
            self.relay(self._live.index)


def _cleaned(entry: Entry) -> Entry:
    parts = (entry.text, entry.reasoning, entry.stamp, entry.name)
    text, reasoning, stamp, name = cleaned = tuple(map(clean, parts))
    return entry if cleaned == parts else replace(entry, text=text, reasoning=reasoning, stamp=stamp, name=name)
