"""The transcript beside Textual's own ``Markdown`` widgets, on the same text in one run; writes results/peers.md.

Both stream 60 tokens/s into a pane of 120×40 that is full, after some past messages; the configurations go round in
turn, and keys are typed in runs of their own. Other programs with a chat on Textual are named with whether they are
installed: they talk to servers of their own, so that the same text at the same rate cannot be given to them here.
"""

import importlib.util
import os
import statistics
from collections.abc import Sequence
from pathlib import Path

from tests.bench.report import Figure
from tests.bench.transcript import COLUMNS, ROWS, measured

RESULTS = Path(__file__).parent / "results" / "peers.md"
SECONDS = 8.0
RATE = 60
CONFIGURATIONS = (("offtui", 0), ("offtui", 100), ("offtui", 10_000), ("Markdown", 0), ("Markdown", 100))
"""Which widgets, and past messages; ten thousand Markdown widgets are not done with their layout in minutes."""
QUANTITIES = (
    ("cpu", "CPU of the process", "%"),
    ("bytes_per_token", "bytes to the terminal per token", ""),
    ("key_p50_ms", "key to paint, p50", "ms"),
    ("key_p99_ms", "key to paint, p99", "ms"),
    ("rss_mib", "RSS", "MiB"),
)
PEERS = ("oterm", "elia_chat")


def run(runs: int) -> Sequence[Figure]:
    """All configurations in turn, ``runs`` times."""
    figures = {
        (kind, past, key): Figure(f"{kind}, {past} past messages: {name}", unit, [])
        for kind, past in CONFIGURATIONS
        for key, name, unit in QUANTITIES
    }
    for _ in range(runs):
        for kind, past in CONFIGURATIONS:
            widgets = kind == "Markdown"
            found = measured(past, RATE, SECONDS, widgets=widgets)
            found["cpu"] *= 100
            keyed = measured(past, RATE, SECONDS, widgets=widgets, keys=True)
            found |= {key: keyed[key] for key in ("key_p50_ms", "key_p99_ms") if key in keyed}
            for key, _, _ in QUANTITIES:
                if key in found:
                    figures[kind, past, key].values.append(found[key])
    RESULTS.write_text(page(figures, runs), encoding="utf-8")
    return [figure for figure in figures.values() if figure.values]


def page(figures: dict[tuple[str, int, str], Figure], runs: int) -> str:
    """The medians as Markdown."""
    lines = [
        "# The transcript beside others",
        "",
        "Written by `python -m tests.bench peers`. An answer of Markdown of all kinds streams at "
        f"{RATE} tokens/s into a pty of {COLUMNS}×{ROWS}; medians of interleaved runs, {runs} of {SECONDS:g} s each, "
        f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores. `Markdown` is Textual's widget with "
        "`MarkdownStream`, one per message.",
        "",
        "| widgets | past messages | CPU of a core | bytes/token | key p50 | key p99 | RSS |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, past in CONFIGURATIONS:
        cells = [cell(figures[kind, past, key], unit) for key, _, unit in QUANTITIES]
        lines.append(f"| {kind} | {past} | {' | '.join(cells)} |")
    lines.append("")
    for name in PEERS:
        found = importlib.util.find_spec(name) is not None
        lines.append(f"* {name}: {'installed, not measured' if found else 'not installed'}")
    return "\n".join(lines) + "\n"


def cell(figure: Figure, unit: str) -> str:
    """The median; a dash where there is none."""
    if not figure.values:
        return "–"
    median = statistics.median(figure.values)
    return f"{median:.0f} {unit}".strip() if median >= 100 else f"{median:.3g} {unit}".strip()
