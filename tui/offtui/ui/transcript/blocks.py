"""The code blocks of a message, as they were written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from offtui.ui.transcript.layout import parse
from offtui.ui.transcript.tree import Node


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """One block."""

    language: str
    """As it was named; ``""``: not at all."""
    source: str

    @property
    def first_line(self) -> str:
        """Its first line that is not empty."""
        return next((line.strip() for line in self.source.split("\n") if line.strip()), "")


def code_blocks(text: str) -> list[CodeBlock]:
    """The fenced and indented code of a Markdown text in order, however deep in lists and quotes."""
    document = parse(text)
    return [] if document is None else list(_found(document.blocks))


def _found(nodes: Sequence[Node]) -> Iterator[CodeBlock]:
    for node in nodes:
        if node.kind in ("fence", "code_block"):
            info = node.token.info.strip().split(" ")[0].strip("{}.") if node.kind == "fence" else ""
            yield CodeBlock(info, node.token.content.rstrip("\n"))
        else:
            yield from _found(node.children)
