"""The transcript with one message chosen by keys, for what can be done with a single message."""

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from offtui.ui.transcript.grid import Line, Run
from offtui.ui.transcript.marking import MarkableTranscript
from offtui.ui.transcript.model import Entry

_SAID = ("user", "assistant")


class Messages(MarkableTranscript, inherit_bindings=False):
    """One message at most is chosen; its bar is thick. Left and right are the owner's: nothing here is wider."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_up", show=False),
        Binding("down", "scroll_down", show=False),
        Binding("home", "scroll_home", show=False),
        Binding("end", "scroll_end", show=False),
    ]

    @dataclass
    class Chosen(Message):
        """Another message is chosen, or none."""

    _chosen: int | None = None

    @property
    def is_empty(self) -> bool:
        """There are no entries."""
        return not len(self._column)

    @property
    def chosen(self) -> int | None:
        """The id of the entry that is chosen."""
        return self._chosen

    def choose(self, entry_id: int | None) -> None:
        """Choose this entry and bring its beginning into view; ``None``: none.

        Raises:
            KeyError: there is no such entry.
        """
        index = None if entry_id is None else self._column.index_of(entry_id)
        self._take(entry_id)
        if index is not None:
            self._bring(index)
        self._refit()

    def choose_next(self, by: int) -> None:
        """The message after (1) or before (-1) the chosen one; in a long one half a page further first."""
        height = self._rows_in_view
        if height <= 0 or not len(self._column):
            return
        top = round(self.scroll_y)
        if self._chosen is None:
            self._choose_seen(top, height)
            return
        index = self._column.index_of(self._chosen)
        self._column.settle(index)
        first, past = self._column.rows.top(index), self._column.rows.top(index + 1) - 1
        if past <= top or first >= top + height:
            self._choose_seen(top, height, at_top=by > 0)
            return
        if by > 0 and first <= top + height and past > top + height:
            self.scroll_to(y=min(past - height, top + max(1, height // 2)), animate=False)
            return
        if by < 0 and first < top < past:
            self.scroll_to(y=max(first, top - max(1, height // 2)), animate=False)
            return
        index += by
        while 0 <= index < len(self._column) and self._column.entry(index).role not in _SAID:
            index += by
        if 0 <= index < len(self._column):
            self.choose(self._column.entry(index).id)

    def cut(self, entry_id: int | None) -> None:
        """Take out everything after this entry; ``None``: everything.

        Raises:
            KeyError: there is no such entry.
        """
        if entry_id is None:
            self.clear()
            return
        self._column.cut(self._column.index_of(entry_id) + 1)
        if self._column.live_index is None:
            self._timer.pause()
        if self._chosen is not None and not self._column.has(self._chosen):
            self._take(None)
        self._refit()

    def clear(self) -> None:
        """Take all entries out and show the empty state."""
        self._take(None)
        super().clear()

    def remove_entry(self, entry_id: int) -> None:
        """Take an entry out."""
        if entry_id == self._chosen:
            self._take(None)
        super().remove_entry(entry_id)

    def entry(self, entry_id: int) -> Entry:
        """One entry.

        Raises:
            KeyError: there is no such entry.
        """
        return self._column.entry(self._column.index_of(entry_id))

    def _choose_seen(self, top: int, height: int, *, at_top: bool = False) -> None:
        """Choose the last message in view, or the first one."""
        rows = self._column.rows
        by = 1 if at_top else -1
        index = rows.find(max(0, min(top if at_top else top + height - 1, rows.total - 1)))[0]
        while 0 <= index < len(self._column) and self._column.entry(index).role not in _SAID:
            index += by
        if 0 <= index < len(self._column):
            self._take(self._column.entry(index).id)
            self._draw()

    def _take(self, entry_id: int | None) -> None:
        if entry_id != self._chosen:
            self._chosen = entry_id
            self.post_message(self.Chosen())

    def _bring(self, index: int) -> None:
        """Scroll as little as shows the entry, or its beginning where it is longer than the view."""
        rows, height = self._column.rows, self._rows_in_view
        if height <= 0:
            return
        self._column.settle(index)
        top, first, past = round(self.scroll_y), rows.top(index), rows.top(index + 1)
        if first >= top and past <= top + height:
            return
        wanted = first if first < top or past - first > height else past - height
        self._following = False
        self._go_to(self._column.settle_view(max(0, wanted), height, upward=False))
        first = rows.top(index)  # what lies above may have been an estimate
        if not round(self.scroll_y) <= first < round(self.scroll_y) + height:
            self._go_to(self._column.settle_view(first, height, upward=False))
        self._note_position()

    def _view(self) -> list[Line]:
        view = super()._view()
        if self._chosen is None or not self._column.has(self._chosen):
            return view
        index = self._column.index_of(self._chosen)
        top = round(self.scroll_y)
        first = max(0, self._column.rows.top(index) - top)
        past = min(len(view), self._column.rows.top(index + 1) - top)
        for number in range(first, past):
            view[number] = tuple(_thick(run) for run in view[number])
        return view


def _thick(run: Run) -> Run:
    return Run("█", "bar bar-chosen") if "bar" in run.look.split() else run
