"""All that a model file says of itself. Long texts open whole, and so do lists, read when they are asked for."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from textual.app import App
from textual.content import Content

from offtui.text import clean_line
from offtui.ui.panes import metadata
from offtui.ui.panes.model_rows import details
from offtui.ui.ports import Shelving
from offtui.ui.screens.rows import Row, RowsScreen

if TYPE_CHECKING:
    from offtui.gguf.header import Header, Scalar
    from offtui.models.entries import Entry
    from offtui.plan.probe import ElementsReply


class MetadataScreen(RowsScreen):
    """What is known of a file, every key of its header, every tensor."""

    def __init__(self, entry: "Entry", header: "Header | None", shelf: Shelving) -> None:
        """A page.

        Args:
            entry: the file.
            header: what it says; ``None``: it cannot be read.
            shelf: reads the lists that the header only counts.
        """
        super().__init__(clean_line(entry.file.name, 200), self._all, self._open_value if header else None)
        self._entry, self._header, self._shelf = entry, header, shelf

    def _all(self, width: int) -> Sequence[Row]:
        rows: list[Row] = [(line, "") for line in details(self._entry, time.time(), width)]
        if self._header is not None:
            rows += [(Content(""), ""), *metadata.key_rows(self._header, width)]
        return rows

    def _open_value(self, key: str) -> None:
        value = self._header.metadata.get(key) if self._header is not None else None
        if isinstance(value, tuple):
            self._open_elements(key, value)
        elif value is not None:
            self._open_text(key, str(value))
        else:
            app = self._app
            self._say(f"reading {clean_line(key, 60)}…")
            self._shelf.elements(
                self._entry.file.path, key, lambda reply: app.call_from_thread(self._opened, key, reply)
            )

    def _opened(self, key: str, reply: "ElementsReply") -> None:
        if not self.is_current:
            return
        self._say("")
        if reply.elements is not None:
            self._open_elements(key, reply.elements)
        elif reply.failure is not None:
            self._open_text(key, reply.failure.message)

    def _open_elements(self, key: str, elements: "Sequence[Scalar]") -> None:
        title = f"{clean_line(key, 100)} · {len(elements)}"

        def one(index: str) -> None:
            self._open_text(f"{clean_line(key, 100)} {index}", str(elements[int(index)]))

        self._app.push_screen(RowsScreen(title, lambda width: metadata.ElementRows(elements, width), one))

    def _open_text(self, key: str, text: str) -> None:
        self._app.push_screen(RowsScreen(clean_line(key, 100), lambda width: metadata.text_rows(text, width)))

    @property
    def _app(self) -> App[None]:
        return cast("App[None]", self.app)  # pyright: ignore[reportUnknownMemberType] -- Textual leaves App[Unknown]
