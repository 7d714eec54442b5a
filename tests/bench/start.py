"""First paint, warm: from the spawn until three rows of the screen have text; beside a bare Textual app."""

import sys

from tests.bench.report import Figure
from tests.bench.terminal import Terminal, offtui

BARE = "from textual.app import App\nfrom textual.widgets import Static\n" + (
    "class A(App):\n    def compose(self):\n        yield Static('a\\nb\\nc\\nd')\nA().run()"
)


def first_paint(command: list[str]) -> float:
    """Seconds until three rows have text."""
    terminal = Terminal(command)
    try:
        return terminal.until(lambda text: sum(bool(row.strip()) for row in text.split("\n")) >= 3) - terminal.started
    finally:
        terminal.close()


def run(runs: int) -> list[Figure]:
    """Interleaved, the first of each dropped."""
    app = Figure("offtui, first paint", "s", [], "≤ 0.35 s")
    bare = Figure("bare Textual app, first paint", "s", [])
    for index in range(runs + 1):
        for figure, command in ((app, offtui()), (bare, [sys.executable, "-c", BARE])):
            seconds = first_paint(command)
            if index:
                figure.values.append(seconds)
    return [app, bare]
