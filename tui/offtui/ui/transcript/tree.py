"""A Markdown text as a tree of blocks."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token


@dataclass(slots=True)
class Node:
    """A block and what it holds."""

    kind: str
    """markdown-it's token type, without ``_open``."""
    token: "Token"
    children: list["Node"] = field(default_factory=list["Node"])

    @property
    def inline(self) -> "list[Token]":
        """Tokens of the text of a paragraph, heading or table cell."""
        return [token for child in self.children if child.kind == "inline" for token in child.token.children or ()]


@dataclass(frozen=True, slots=True)
class Document:
    """The top blocks of a text."""

    blocks: tuple[Node, ...]
    starts: tuple[int, ...]
    """First line of each block, counted from 0."""


def line_offset(text: str, line: int) -> int:
    """Index at which a line of ``text`` begins."""
    offset = 0
    for _ in range(line):
        offset = text.index("\n", offset) + 1
    return offset
