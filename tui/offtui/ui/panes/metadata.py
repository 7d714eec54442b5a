"""All that a model file says of itself, as rows: a line for each key, and whatever is too long for one whole."""

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from textual.content import Content

from offtui.text import clean, clean_line
from offtui.units import size_text

if TYPE_CHECKING:
    from offtui.gguf.header import Header, Scalar
    from offtui.ui.screens.rows import Row

MORE = " ▸"
_KEY = 44
"""Cells of a key at most."""


def key_rows(header: "Header", width: int) -> "list[Row]":
    """A row for each key, that opens where its value has more than the row, and one for each tensor."""
    keys = sorted({*header.metadata, *header.lengths})
    column = min(max((Content(clean_line(key, 200)).cell_length for key in keys), default=0), _KEY, width // 2)
    rows: list[Row] = [_key_row(header, key, column, width) for key in keys]
    rows.append((Content(""), ""))
    names = min(max((len(tensor.name) for tensor in header.tensors), default=0), max(width - 46, 12))
    for tensor in header.tensors:
        name = Content(clean_line(tensor.name, 200)).truncate(names, ellipsis=True).pad_right(0)
        gap = " " * (names - name.cell_length + 1)
        tail = f"{tensor.type:<8}{'×'.join(map(str, tensor.shape)):>20}{size_text(tensor.nbytes):>12}"
        rows.append((Content.assemble(name, gap, (tail, "$quiet")).truncate(width, ellipsis=True), ""))
    return rows


def _key_row(header: "Header", key: str, column: int, width: int) -> "Row":
    name = Content(clean_line(key, 200)).truncate(column, ellipsis=True)
    room = max(width - column - 2, 8)
    value = header.metadata.get(key)
    count = header.lengths.get(key)
    if count is not None:
        noun = "element" if count == 1 else "elements"
        texts = [_plain(item) for item in value[:64]] if isinstance(value, tuple) else []
        shown = clean_line(", ".join(texts), 1000)
        whole = isinstance(value, tuple) and count <= 64
        tail = "" if whole and count == 1 else f"{count} {noun}"
    else:
        text = _plain(value)
        shown, whole = clean_line(text, 1000), "\n" not in text.strip() and len(text) <= 1000
        tail = f"{len(text)} characters" if len(text) > 1000 else ""
    tail = f"  {tail}" if tail and shown else tail
    fits = whole and Content(shown + tail).cell_length <= room
    end = tail if fits else f"{tail}{MORE}"
    value_room = room - Content(end).cell_length
    preview = Content(shown).truncate(max(value_room, 1), ellipsis=True)
    gap = " " * (column - name.cell_length + 2)
    line = Content.assemble((name.plain, "$secondary"), gap, preview, (end, "$quiet"))
    return line.truncate(width, ellipsis=True), "" if fits else key


def text_rows(text: str, width: int) -> "list[Row]":
    """A text, wrapped; its own line breaks and spaces are kept."""
    rows: list[Row] = []
    for line in clean(text).expandtabs(4).split("\n"):
        content = Content(line)
        rows += [(row, "") for row in (content.wrap(width) if content.cell_length > width else [content])]
    return rows


class ElementRows(Sequence["Row"]):
    """A row for each element, made when it is seen: a vocabulary has hundreds of thousands."""

    def __init__(self, elements: "Sequence[Scalar]", width: int) -> None:
        self._elements, self._width = elements, width
        self._column = len(str(max(len(elements) - 1, 0)))

    def __len__(self) -> int:
        return len(self._elements)

    @overload
    def __getitem__(self, index: int) -> "Row": ...
    @overload
    def __getitem__(self, index: slice) -> "Sequence[Row]": ...
    def __getitem__(self, index: int | slice) -> "Row | Sequence[Row]":
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        item = self._elements[index]
        text = _token(item) if isinstance(item, str) else _plain(item)
        row = Content.assemble((f"{index:>{self._column}}  ", "$quiet"), clean_line(text, 4000))
        return row.truncate(self._width, ellipsis=True), str(index) if row.cell_length > self._width else ""


def _token(text: str) -> str:
    """Line breaks and spaces at the ends are what matters in a token."""
    shown = repr(text)
    return shown[1:-1] if shown[1:-1] and text == text.strip(" ") else shown


def _plain(value: object) -> str:
    """A number of 32 bits in the few digits that it has."""
    if not isinstance(value, float):
        return str(value)
    short = float(f"{value:.7g}")
    try:
        return repr(short if struct.pack("f", short) == struct.pack("f", value) else value)
    except OverflowError:  # of 64 bits
        return repr(value)
