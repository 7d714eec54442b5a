"""Markdown blocks as rows."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from offtui.ui.transcript.code import Highlight, code_block, highlighted
from offtui.ui.transcript.grid import BLANK, Line, Run, cells, dress, settle
from offtui.ui.transcript.inline import inline_runs, task_box
from offtui.ui.transcript.table import Table, table_lines
from offtui.ui.transcript.tree import Document, Node
from offtui.ui.transcript.wrap import wrap, wrap_hard

if TYPE_CHECKING:
    from offtui.ui.transcript.parse import MarkdownParser

MARKDOWN_LIMIT = 256_000
"""Characters; a longer text is shown as it was written, so that no answer takes more than half a second to draw."""
MARKDOWN_PARTS = 10_000
"""Lines and cells of tables; the same for a text that has more of them."""
NARROW = 16
"""Cells of text below which quotes and lists are no longer indented further."""
NARROWEST = 4
"""The same for lists that are not nested."""

_BULLETS = ("•", "◦", "▪")


def parse(text: str, references: dict[str, Any] | None = None) -> Document | None:
    """The blocks of ``text``; ``None`` where it is too long to be taken for Markdown."""
    if len(text) > MARKDOWN_LIMIT or text.count("\n") + text.count("|") > MARKDOWN_PARTS:
        return None
    return _parser().parse(text, references)


@cache
def _parser() -> "MarkdownParser":
    """Imported with the first text, for a quick start."""
    from offtui.ui.transcript.parse import MarkdownParser

    return MarkdownParser()


def markdown_lines(text: str, width: int) -> list[Line]:
    """Rows of at most ``width`` cells for any cleaned text."""
    document = parse(text)
    return plain_lines(text, width) if document is None else stacked(document.blocks, width)


def plain_lines(text: str, width: int, look: str = "") -> list[Line]:
    """Rows of a text as it was written; lines and indentation are kept."""
    return wrap([Run(settle(text.strip("\n")), look)], width)


def stacked(blocks: Sequence[Node], width: int, highlight: Highlight = highlighted, *, depth: int = 0) -> list[Line]:
    """Rows of consecutive blocks, with an empty row between them; ``depth``: lists around them."""
    lines: list[Line] = []
    for block in blocks:
        rows = _block(block, width, highlight, depth)
        if rows and lines:
            lines.append(BLANK)
        lines.extend(rows)
    return lines


def _block(node: Node, width: int, highlight: Highlight, depth: int) -> list[Line]:
    match node.kind:
        case "paragraph":
            return wrap(inline_runs(node.inline), width)
        case "heading":
            return _heading(node, width)
        case "bullet_list" | "ordered_list":
            return _list(node, width, highlight, depth)
        case "blockquote":
            inner = width - 2 if width > NARROW else width
            rows = stacked(node.children, inner, highlight, depth=depth) or [BLANK]
            bar = (Run("▎ ", "quote-bar"),) if inner < width else ()
            return [(*bar, *dress(row, "quote")) for row in rows]
        case "fence" | "code_block":
            language = node.token.info.strip().split(" ")[0].strip("{}.") if node.kind == "fence" else ""
            return code_block(node.token.content, language, width, highlight)
        case "math_block":
            return [row for line in _lines_of(node.token.content) for row in wrap_hard((Run(line, "math"),), width)]
        case "verbatim":
            return plain_lines(node.token.content, width)
        case "hr":
            return [(Run("─" * width, "rule"),)]
        case "table":
            return table_lines(_table(node), width)
        case _:
            return wrap([Run(settle(node.token.content))], width)


def _lines_of(source: str) -> list[str]:
    return settle(source.strip("\n")).split("\n")


def _heading(node: Node, width: int) -> list[Line]:
    level = int(node.token.tag[1:])
    look = f"heading heading-{min(level, 3)}"
    rows = [dress(row, look) for row in wrap(inline_runs(node.inline, breaks=False), width)]
    if level == 1 and rows:
        rows.append((Run("━" * min(width, max(sum(cells(run.text) for run in row) for row in rows)), "heading-line"),))
    return rows


def _list(node: Node, width: int, highlight: Highlight, depth: int) -> list[Line]:
    tight = all(child.token.hidden for item in node.children for child in item.children if child.kind == "paragraph")
    ordered = node.kind == "ordered_list"
    start = int(node.token.attrs.get("start", 1)) if ordered else 0
    digits = len(str(start + len(node.children) - 1))
    lines: list[Line] = []
    for index, item in enumerate(node.children):
        marker = f"{start + index:>{digits}}. " if ordered else f"{_BULLETS[depth % len(_BULLETS)]} "
        indent = len(marker) if width - len(marker) >= (NARROW if depth else NARROWEST) else 0
        inner = max(1, width - indent)
        rows = _item(item, inner, highlight, depth + 1, tight=tight) or [BLANK]
        if lines and not tight:
            lines.append(BLANK)
        for number, row in enumerate(rows):
            if not indent:
                lines.extend([row] if number else wrap((Run(marker, "marker"), *row), width))
            elif number:
                lines.append((Run(" " * indent), *row) if row else BLANK)
            else:
                lines.append((Run(marker, "marker"), *row))
    return lines


def _item(item: Node, width: int, highlight: Highlight, depth: int, *, tight: bool) -> list[Line]:
    lines: list[Line] = []
    for index, block in enumerate(item.children):
        if block.kind == "paragraph":
            runs = inline_runs(block.inline)
            rows = wrap(task_box(runs) if index == 0 else runs, width)
        else:
            rows = _block(block, width, highlight, depth)
        if rows and lines and not tight:
            lines.append(BLANK)
        lines.extend(rows)
    return lines


def _table(node: Node) -> Table:
    rows = [row for section in node.children for row in section.children]
    header, *others = rows
    aligns = [str(cell.token.attrs.get("style", "")).removeprefix("text-align:") or "left" for cell in header.children]
    body = [[inline_runs(cell.inline, breaks=False) for cell in row.children] for row in others]
    return Table([inline_runs(cell.inline, breaks=False) for cell in header.children], body, aligns)
