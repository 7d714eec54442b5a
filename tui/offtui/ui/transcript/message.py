"""One entry as rows: who speaks, what was thought, what was said, and the stamp."""

from collections.abc import Sequence

from offtui.ui.transcript.grid import BLANK, Line, Run, clip, crop, dress, line_cells, pad, settle
from offtui.ui.transcript.layout import markdown_lines, plain_lines
from offtui.ui.transcript.model import Entry, Role, Sketch
from offtui.ui.transcript.wrap import wrap

MEASURE = 100
"""Cells of text in a row at most; longer ones are tiring to read."""
EMPTY_MEASURE = 72
"""The same in the empty state."""
THOUGHT_ROWS = 3
"""Rows of reasoning shown while it is being written."""
_THOUGHT_WINDOW = 4000
_THOUGHT_STEP = 1000

_NAMES: dict[Role, str] = {"user": "you", "assistant": "assistant", "notice": "", "error": "error"}
_BARS: dict[Role, str] = {"user": "▌", "assistant": "│", "notice": "·", "error": "▐"}
_BAR_END = "╰"
CARET = Run("▍", "caret")


def measure(width: int) -> int:
    """Cells of text in a row of a transcript ``width`` cells wide."""
    return max(1, min(MEASURE, width - 2 * _margin(width) - 3))


def _margin(width: int) -> int:
    return 1 if width >= 36 else 0


def estimated_height(entry: Entry | Sketch, width: int) -> int:
    """Rows that an entry takes, roughly, without laying it out."""
    rows = entry.rows if isinstance(entry, Sketch) else bool(entry.reasoning) + bool(entry.stamp)
    return 2 + rows + entry.text.count("\n") + len(entry.text) // measure(width)


def entry_lines(entry: Entry, width: int, *, unfolded: bool) -> list[Line]:
    """All rows of a finished entry, ending with an empty one."""
    inner = measure(width)
    said = markdown_lines if entry.role == "assistant" else plain_lines
    rows = [beside_bar(row, entry.role, width) for row in said(entry.text, inner)]
    return [*above_lines(entry, width, unfolded=unfolded), *rows, *below_lines(entry, width)]


def above_lines(entry: Entry, width: int, *, unfolded: bool) -> list[Line]:
    """Rows above what is said: the name and the reasoning."""
    inner = measure(width)
    thought = reasoning_lines(entry, inner, unfolded=unfolded)
    rows = header_lines(entry, inner) + thought + ([BLANK] if thought and entry.text else [])
    return [beside_bar(row, entry.role, width) for row in rows]


def below_lines(entry: Entry, width: int) -> list[Line]:
    """Rows below what is said: how it ended, and the empty row before the next entry."""
    rows = [beside_bar(row, entry.role, width) for row in footer_lines(entry, measure(width))]
    if rows and entry.role == "assistant":
        margin, _, *last = rows[-1]
        rows[-1] = (margin, Run(_BAR_END, "bar bar-assistant"), *last)
    return [*rows, BLANK]


def beside_bar(row: Line, role: Role, width: int) -> Line:
    """``row`` at its place in the transcript."""
    margin = Run(" " * _margin(width))
    bar = Run(_BARS[role], f"bar bar-{role}")
    if role != "user":
        return (margin, bar, Run(" "), *row)
    return (margin, *dress(pad((bar, Run(" "), *row), measure(width) + 3, ""), "user"))


def header_lines(entry: Entry, inner: int) -> list[Line]:
    """The line that says who speaks; none for a notice."""
    name = clip(settle(entry.name.replace("\n", " ")) or _NAMES[entry.role], inner)
    return [(Run(name, f"name name-{entry.role}"),)] if name else []


def reasoning_lines(entry: Entry, inner: int, *, unfolded: bool) -> list[Line]:
    """Reasoning on one line, or all of it; its end while it is written and no answer has begun."""
    if not entry.reasoning:
        return []
    thinking = entry.state == "streaming" and not entry.text
    title = "thinking…" if thinking else f"thought for {reasoning_length(entry)}"
    rows: list[Line] = [(Run(clip(f"{'▾' if unfolded or thinking else '▸'} {title}", inner), "thought-title"),)]
    if unfolded:
        rows += _thought(entry.reasoning, inner)
    elif thinking:
        rows += _thought(_ending(entry.reasoning), inner)[-THOUGHT_ROWS:]
    return rows


def reasoning_length(entry: Entry) -> str:
    """``"214 tokens"``, or words where tokens were not counted."""
    count, unit = entry.reasoning_tokens, "token"
    if count is None:
        count, unit = len(entry.reasoning.split()), "word"
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _thought(text: str, inner: int) -> list[Line]:
    return [(Run("  "), *row) for row in plain_lines(text, max(1, inner - 2), "thought")]


def _ending(text: str) -> str:
    """The last part of a long text, beginning at a place that moves seldom so that its rows stay put."""
    surplus = len(text) - _THOUGHT_WINDOW
    return text if surplus <= 0 else text[(surplus // _THOUGHT_STEP + 1) * _THOUGHT_STEP :]


def footer_lines(entry: Entry, inner: int) -> list[Line]:
    """How the entry ended, and its stamp."""
    runs: list[Run] = []
    if entry.state == "stopped":
        runs.append(Run("■ stopped", "stopped"))
    elif entry.state == "broken":
        runs.append(Run("✕ broke off", "failed"))
    elif entry.state == "failed":
        runs.append(Run("✕ failed", "failed"))
    if entry.stamp:
        if runs:
            runs.append(Run(" · ", "stamp"))
        runs.append(Run(settle(entry.stamp.replace("\n", " ")), "stamp"))
    return wrap(runs, inner)


def with_caret(rows: Sequence[Line], inner: int) -> list[Line]:
    """Rows with the mark of where the next words will come."""
    if not rows:
        return [(CARET,)]
    if line_cells(rows[-1]) >= inner:
        return list(rows)
    return [*rows[:-1], (*rows[-1], CARET)]


def with_mark(row: Line, count: int, width: int) -> Line:
    """A row with the number of rows that wait below at its right."""
    mark = f" ↓ {count} new {'line' if count == 1 else 'lines'} "
    room = width - len(mark) - 1
    return (*pad(crop(row, room), room, ""), Run(mark, "mark")) if room > 0 else row


def empty_view(text: str, width: int, height: int) -> list[Line]:
    """``height`` rows with Markdown in the middle; without its empty rows where there is no room for them."""
    rows = markdown_lines(text, min(EMPTY_MEASURE, measure(width)))
    if len(rows) > height:
        rows = [row for row in rows if row][:height]
    left = Run(" " * max(0, (width - max(map(line_cells, rows), default=0)) // 2))
    view = [BLANK] * ((height - len(rows)) // 2) + [(left, *dress(row, "empty")) for row in rows]
    return view + [BLANK] * (height - len(view))
