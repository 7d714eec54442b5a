"""An answer while it is being written: finished blocks are laid out once, only the last one again and again."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from offtui.ui.transcript.code import GrowingCode
from offtui.ui.transcript.grid import BLANK, Line
from offtui.ui.transcript.layout import parse, plain_lines, stacked
from offtui.ui.transcript.tree import Node, line_offset

if TYPE_CHECKING:
    from markdown_it.token import Token

LINES_AHEAD = 2
"""What a line begins is certain when it and the next are complete: a table is known by its second line."""
_PLAIN = re.compile(r"[A-Za-z0-9 ,.'?;:/()\"%=+#!-]+")
"""Text that begins and ends nothing in Markdown within a line that has nothing open."""
_CODE = re.compile(r"[^`~]*?(?:\n|[^`~\s][^`~\n]*)")
"""Text that does not end a block of code; the spaces of an empty last line are none of it yet."""
_OPENING = re.compile(r"[\[\\&]")
"""What such text may complete: a link, an escape, an entity."""
_AROUND = {"bullet_list", "ordered_list", "list_item", "blockquote"}
_CERTAIN = 12
"""Characters of a line after which nothing makes a list of it any more."""
_LONG = 8000
"""Characters of a paragraph that are parsed each time."""


class LiveMarkdown:
    """Rows of a Markdown text that grows at its end.

    At any moment they are those of the text so far laid out at once, but for links whose definition comes later.
    """

    def __init__(self, width: int, text: str = "") -> None:
        self._width = width
        self._finished: list[Line] = []
        self._open = text
        self._references: dict[str, Any] = {}
        self._code = GrowingCode()
        self._parsed = ""
        """The open text that ``_blocks`` are of."""
        self._blocks: Sequence[Node] = ()

    def feed(self, text: str) -> None:
        """Add text at the end; costs nothing until the rows are asked for."""
        self._open += text

    def lines(self) -> tuple[list[Line], list[Line]]:
        """The rows that can never change again (do not modify that list), and those after them."""
        if self._has_grown_plainly():
            return self._finished, self._after(stacked(self._blocks, self._width, self._code))
        references = dict(self._references)
        document = parse(self._open, references)
        if document is None:
            self._blocks = ()
            return self._finished, self._after(plain_lines(self._open, self._width))
        fixed = self._open.count("\n") - LINES_AHEAD
        last = max((index for index, start in enumerate(document.starts) if start <= fixed), default=0)
        if last:
            begin = document.starts[last]
            self._finished += self._after(stacked(document.blocks[:last], self._width))
            self._open = self._open[line_offset(self._open, begin) :]
            self._references.update((label, known) for label, known in references.items() if known["map"][1] <= begin)
        self._parsed, self._blocks = self._open, document.blocks[last:]
        return self._finished, self._after(stacked(self._blocks, self._width, self._code))

    def _has_grown_plainly(self) -> bool:
        """Whether only words or code have come since the last time, which stand in the last block now: mostly so.

        Parsing the open text again is half of what drawing an answer costs.
        """
        fresh = self._open[len(self._parsed) :]
        if not fresh:
            return bool(self._blocks)
        if _CODE.fullmatch(fresh) and (code := _growing_code(self._blocks, self._parsed)) is not None:
            code.content += fresh
        elif _PLAIN.fullmatch(fresh) and (text := _growing_text(self._blocks, self._parsed)) is not None:
            spaces = len(self._parsed) - len(self._parsed.rstrip(" "))
            text.content += (" " * spaces + fresh).rstrip(" ")
        else:
            return False
        self._parsed = self._open
        return True

    def _after(self, rows: list[Line]) -> list[Line]:
        return [BLANK, *rows] if self._finished and rows else rows


def _growing_code(blocks: Sequence[Node], source: str) -> "Token | None":
    """The block of code, at the left edge and not closed yet, that is all of ``source``; ``None``: it is another."""
    if len(blocks) != 1 or blocks[0].kind != "fence" or not source.startswith(("```", "~~~")):
        return None
    token = blocks[0].token
    is_open = source.endswith(token.content) and token.content.rstrip()[-1:] not in ("", "`", "~")
    return token if is_open else None


def _growing_text(blocks: Sequence[Node], source: str) -> "Token | None":
    """The text at the end of ``source`` that words are added to without any other effect; ``None``: there is none."""
    node = blocks[-1] if blocks else None
    while node is not None and node.kind in _AROUND:
        node = node.children[-1] if node.children else None
    if node is None or node.kind != "paragraph" or not node.inline:
        return None
    line = source.rpartition("\n")[2]
    token = node.inline[-1]
    ends = token.type == "text" and source.rstrip(" ").endswith(token.content)
    is_paragraph = len(line.strip(" >*+-0123456789.)")) >= _CERTAIN
    is_bare = not _OPENING.search(line) and len(node.children[0].token.content) < _LONG
    return token if ends and is_paragraph and is_bare and _PLAIN.fullmatch(token.content[-1:]) else None
