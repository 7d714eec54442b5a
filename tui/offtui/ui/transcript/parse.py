"""Markdown to a tree of blocks: CommonMark with tables, strikethrough, and mathematics left as it was written."""

import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from offtui.ui.transcript.tree import Document, Node

NESTING_LIMIT = 60
"""Levels of nesting beyond which a block is shown as it was written."""

INLINE_LIMIT = 16_000
"""Characters of one paragraph; a longer one is shown as it was written."""
LINK_BUDGET = 1_000_000
"""Sum over the paragraphs of the square of their opening brackets: at most 0.1 s of the parser's time."""

_MATH_BLOCK_ENDS = {"$$": "$$", "\\[": "\\]"}
_MATH_SPANS = (
    ("\\(", re.compile(r"\\\((.+?)\\\)", re.DOTALL)),
    ("\\[", re.compile(r"\\\[(.+?)\\\]", re.DOTALL)),
    ("$$", re.compile(r"\$\$(.+?)\$\$", re.DOTALL)),
    ("$", re.compile(r"\$(?![\s$])[^$\n]*?(?<![\s\\])\$(?!\d)")),
)


class MarkdownParser:
    """CommonMark, tables and strikethrough; HTML is text. Link definitions are collected in ``references``."""

    def __init__(self) -> None:
        self._markdown = MarkdownIt("commonmark", {"html": False, "maxNesting": NESTING_LIMIT})
        self._markdown.enable(["table", "strikethrough"])
        self._markdown.block.ruler.before(
            "fence", "math_block", _math_block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
        )
        self._markdown.inline.ruler.before("escape", "math", _math_inline)
        self._markdown.core.ruler.at("inline", _bounded_inline)

    def parse(self, text: str, references: dict[str, Any] | None = None) -> Document:
        """The blocks of ``text``. ``references``: link definitions known from before; new ones are added to it."""
        tokens = self._markdown.parse(text, {"references": {} if references is None else references})
        root: list[Node] = []
        starts: list[int] = []
        stack: list[list[Node]] = [root]
        too_deep: set[int] = set()
        for token in tokens:
            if token.level >= NESTING_LIMIT - 2:
                too_deep.add(len(root) - 1)
            if token.nesting < 0:
                stack.pop()
                continue
            node = Node(token.type.removesuffix("_open"), token)
            if len(stack) == 1:
                starts.append(token.map[0] if token.map else 0)
            stack[-1].append(node)
            if token.nesting > 0:
                stack.append(node.children)
        for index in too_deep:
            root[index] = _verbatim(text, root[index])
        return Document(tuple(root), tuple(starts))


def _verbatim(text: str, node: Node) -> Node:
    """A top block as it was written, because the parser drops what is nested beyond its limit."""
    start, end = node.token.map or (0, 0)
    return Node("verbatim", Token("verbatim", "", 0, content="\n".join(text.split("\n")[start:end])))


def _bounded_inline(state: StateCore) -> None:
    """markdown-it's inline rule, but text that would take it quadratic time is left plain."""
    budget = LINK_BUDGET
    for token in state.tokens:
        if token.type != "inline":
            continue
        token.children = []
        brackets = token.content.count("[") + token.content.count("\\(")
        budget -= brackets * brackets
        if len(token.content) > INLINE_LIMIT or budget < 0:
            token.children.append(Token("text", "", 0, content=token.content))
        else:
            state.md.inline.parse(token.content, state.md, state.env, token.children)


def _math_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """``$$`` or ``\\[`` at the beginning of a line, up to the line that closes it or to an empty one."""
    if state.is_code_block(start):
        return False
    opening = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]]
    closing = _MATH_BLOCK_ENDS.get(opening[:2])
    if closing is None:
        return False
    rest = opening[2:].rstrip()
    if closing in rest and not rest.endswith(closing):
        return False
    if silent:
        return True
    line = start
    if not rest.endswith(closing):
        while line + 1 < end and not state.isEmpty(line + 1) and state.sCount[line + 1] >= state.blkIndent:
            line += 1
            if state.src[state.bMarks[line] : state.eMarks[line]].rstrip().endswith(closing):
                break
    token = state.push("math_block", "", 0)
    token.content = state.getLines(start, line + 1, state.blkIndent, False)
    token.map = [start, line + 1]
    state.line = line + 1
    return True


def _math_inline(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "\\$":
        return False
    for opening, pattern in _MATH_SPANS:
        if state.src.startswith(opening, state.pos):
            match = pattern.match(state.src, state.pos, state.posMax)
            if match is None:
                continue
            if not silent:
                state.push("math", "", 0).content = match.group()
            state.pos = match.end()
            return True
    return False
