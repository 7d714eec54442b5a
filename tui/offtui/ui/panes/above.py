"""The row above the prompt: the commands or words that what is typed may become, files that go along, what waits."""

from collections.abc import Sequence

from textual.content import Content

from offtui.text import clean_line
from offtui.ui.drafting import Drafting, FileWeight
from offtui.ui.slash import hints
from offtui.ui.transcript.marking import Marking
from offtui.ui.widgets.prompt import Prompt
from offtui.units import UNKNOWN, count_text, size_text

WORDS = 12
"""Words to choose from that are named."""


def above(
    prompt: Prompt, drafting: Drafting, waiting: Sequence[str], *, editing: bool, marking: Marking | None
) -> list[Content]:
    """What is worth that row now; nothing most of the time."""
    if marking is not None:
        return [_marking(marking)]
    if (found := prompt.completion) is not None and len(found.words) > 1:
        return [_words(found.words, found.chosen)]
    if commands := hints(prompt.text):
        names = [
            Content.assemble((f"/{command.slash}", "$primary"), (f" {command.argument}".rstrip(), "$quiet"))
            for command in commands
        ]
        return [Content("  ").join(names)]
    if drafting.problem:
        return [Content.styled(clean_line(drafting.problem, 300), "$error")]
    if drafting.missing:
        return [_missing(drafting)]
    if files := drafting.files:
        return [Content.assemble(("goes along: ", "$quiet"), Content("  ").join([_file(file) for file in files]))]
    if editing:
        return [Content.assemble(("Editing a question", "$accent"), (" · Enter asks it anew · Esc gives up", "$quiet"))]
    if waiting:
        count = (f"{len(waiting)} waiting", "$accent")
        return [Content.assemble(count, (f" · next: {clean_line(waiting[0], 200)}", "$quiet"))]
    return []


def weight(tokens: int | None, left: int | None) -> Content:
    """``214 tokens · 7.7k left``, for the prompt's border; empty where nothing is known."""
    if tokens is None:
        return Content("")
    room = "" if left is None else f" · {count_text(max(0, left))} left"
    count = f"{count_text(tokens)} token{'' if tokens == 1 else 's'}"
    too_long = left is not None and tokens > left
    return Content.assemble((count, "$error bold" if too_long else "$quiet"), (room, "$quiet"))


def _words(words: Sequence[str], chosen: int | None) -> Content:
    first = max(0, (chosen or 0) - WORDS + 2)
    shown = [
        Content.styled(clean_line(word, 40), "$accent bold" if place == chosen else "$primary")
        for place, word in enumerate(words[first : first + WORDS], first)
    ]
    return Content("  ").join([*shown, Content("…")] if first + WORDS < len(words) else shown)


def _file(file: FileWeight) -> Content:
    tokens = UNKNOWN if file.tokens is None else count_text(file.tokens)
    return Content.assemble(
        (clean_line(file.name, 60), "$primary"), (f" {size_text(file.size)}, {tokens} tokens", "$quiet")
    )


def _missing(drafting: Drafting) -> Content:
    lost = next((lost for lost in drafting.missing if lost.is_path), drafting.missing[0])
    more = len(drafting.missing) - 1
    names = f"{lost.name} is not there" if not more else f"{lost.name} and {more} more are not there"
    then = " · Enter again sends it as text" if drafting.is_held else " · it goes as text, not as a file"
    instead = f" · @{clean_line(lost.instead, 60)} is" if lost.instead else ""
    return Content.assemble(
        (f"@{names}", "$warning" if lost.is_path else "$quiet"), (then, "$quiet"), (instead, "$primary")
    )


def _marking(marking: Marking) -> Content:
    what = "rows" if marking.by_rows else "text"
    if marking.anchor is None:
        return Content.assemble(
            ("Cursor", "$accent"), (" · arrows or hjkl · v selects, V rows · y copies the row · Esc", "$quiet")
        )
    return Content.assemble(
        (f"Selecting {what}", "$accent"), (" · arrows, w b, g G · y copies · o other end · Esc", "$quiet")
    )
