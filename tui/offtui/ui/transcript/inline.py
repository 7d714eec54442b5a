"""The text inside a block: emphasis, code, links and line breaks as runs."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from offtui.ui.transcript.grid import Run, settle

if TYPE_CHECKING:
    from markdown_it.token import Token

HARD_WRAPPED = 60
"""Characters; a source line at least so long was broken by an editor, a shorter one by its author."""

_OPENING = {"strong_open": "strong", "em_open": "emphasis", "s_open": "struck", "link_open": "link"}
_CLOSING = {"strong_close", "em_close", "s_close", "link_close"}
_TASKS = {"[ ] ": ("☐ ", "task"), "[x] ": ("☑ ", "task task-done"), "[X] ": ("☑ ", "task task-done")}


def inline_runs(tokens: "Sequence[Token]", *, breaks: bool = True) -> list[Run]:
    """Runs of the text of a block. Without ``breaks`` every line break is a space."""
    runs: list[Run] = []
    looks: list[str] = []
    link_from = 0
    since_break = 0
    for token in tokens:
        kind = token.type
        if kind in _OPENING:
            looks.append(_OPENING[kind])
            if kind == "link_open":
                link_from = len(runs)
        elif kind in _CLOSING:
            if kind == "link_close":
                runs.extend(_target(token, tokens, runs[link_from:]))
            if looks:
                looks.pop()
        elif kind in {"softbreak", "hardbreak"}:
            own_line = kind == "hardbreak" or since_break < HARD_WRAPPED
            runs.append(Run("\n" if breaks and own_line else " ", " ".join(looks)))
            since_break = 0
        else:
            run = _leaf(token, looks)
            since_break += len(run.text)
            runs.append(run)
            if kind == "image":
                runs.append(_address(str(token.attrs.get("src", ""))))
    return [run for run in runs if run.text]


def plain(runs: Iterable[Run]) -> str:
    """Characters of some runs."""
    return "".join(run.text for run in runs)


def task_box(runs: list[Run]) -> list[Run]:
    """The text of a list item, with ``[ ]`` and ``[x]`` at its beginning drawn as boxes."""
    if runs and not runs[0].look and (box := _TASKS.get(runs[0].text[:4])):
        return [Run(*box), Run(runs[0].text[4:], ""), *runs[1:]]
    return runs


def _leaf(token: "Token", looks: Sequence[str]) -> Run:
    if token.type == "code_inline":
        return Run(settle(token.content).replace("\n", " "), " ".join((*looks, "inline-code")))
    if token.type == "math":
        return Run(settle(token.content), " ".join((*looks, "math")))
    if token.type == "image":
        return Run(settle(token.content).replace("\n", " ") or "image", " ".join((*looks, "link")))
    return Run(settle(token.content), " ".join(looks))


def _target(close: "Token", tokens: "Sequence[Token]", shown: Sequence[Run]) -> list[Run]:
    """Where a link leads, unless its text says so."""
    opening = None
    for token in tokens:
        if token is close:
            break
        if token.type == "link_open":
            opening = token
    if opening is None:
        return []
    address = str(opening.attrs.get("href", ""))
    return [] if plain(shown) in {address, address.removeprefix("mailto:")} else [_address(address)]


def _address(address: str) -> Run:
    return Run(f" ({settle(address)})" if address else "", "link-target")
