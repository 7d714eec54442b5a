"""Text selected with the mouse: how it is marked, and what of it is copied."""

from collections.abc import Iterable

from textual.selection import Selection

from offtui.ui.transcript.grid import Line, Run


def with_selection(row: Line, selection: Selection, number: int, look: str = "selection") -> Line:
    """Row ``number`` of the transcript with its selected characters in the look of a selection, or in another."""
    span = selection.get_span(number)
    if span is None:
        return row
    start, end = span
    marked: list[Run] = []
    place = 0
    for text, own in row:
        first = min(max(start - place, 0), len(text))
        last = len(text) if end < 0 else min(max(end - place, first), len(text))
        marked += [Run(text[:first], own), Run(text[first:last], f"{own} {look}".lstrip()), Run(text[last:], own)]
        place += len(text)
    return tuple(run for run in marked if run.text)


def selected_text(rows: Iterable[Line], first: int, selection: Selection) -> str:
    """What is selected of consecutive rows, the first of which has number ``first``: without bars and padding."""
    lines: list[str] = []
    for number, row in enumerate(rows, first):
        span = selection.get_span(number)
        if span is not None:
            text = "".join(run.text for run in row)
            start, end = max(span[0], gutter(row)), len(text) if span[1] < 0 else span[1]
            lines.append(text[start:end].rstrip())
    return "\n".join(lines)


def gutter(row: Line) -> int:
    """Characters of a row up to the space after its bar; where its text begins."""
    place = begins = 0
    for text, look in row:
        place += len(text)
        looks = look.split()
        if "bar" in looks:
            begins = place + 1
        elif "edge" in looks:
            begins = place
    return begins
