"""The transcript beside Textual's own ``Markdown`` widgets, on the same text in one run; writes results/peers.md.

Both stream 60 tokens/s into a pane of 120×40 that is full, after some past messages; the configurations go round in
turn, and keys are typed in runs of their own. The whole app is measured beside oterm likewise, both in a terminal of
120×36, where ``tests.bench.oterm`` is told where that is installed.
"""

import os
import statistics
from collections.abc import Sequence
from pathlib import Path

from tests.bench import oterm, screen
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
PROGRAMS = (("offtui", 0), ("oterm", 0), ("oterm", 100))
"""Which programs, and past messages; those of offtui make no difference, as above."""
PROGRAM_QUANTITIES = (
    ("cpu", "CPU of the process", "%"),
    ("bytes", "bytes to the terminal per token", ""),
    ("p50", "key to paint, p50", "ms"),
    ("p99", "key to paint, p99", "ms"),
    ("rss", "RSS before the question", "MiB"),
)


def run(runs: int) -> Sequence[Figure]:
    """All configurations in turn, ``runs`` times."""
    figures = {
        (kind, past, key): Figure(f"{kind}, {past} past messages: {name}", unit, [])
        for kind, past in CONFIGURATIONS
        for key, name, unit in QUANTITIES
    }
    peer, about = oterm.python()
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
    programs = {
        (name, past, key): Figure(f"{name} as a whole, {past} past messages: {title}", unit, [])
        for name, past in PROGRAMS
        for key, title, unit in PROGRAM_QUANTITIES
    }
    for _ in range(runs):
        for name, past in PROGRAMS:
            if name == "offtui":
                plain, keyed = (screen.measured(RATE, keys=keys) for keys in (False, True))
            elif peer is not None:
                plain, keyed = (oterm.measured(peer, past, RATE, keys=keys) for keys in (False, True))
            else:
                continue
            for key, _, _ in PROGRAM_QUANTITIES:
                programs[name, past, key].values.append(keyed[key] if key in ("p50", "p99") else plain[key])
    RESULTS.write_text(page(figures, runs) + program_page(programs, about), encoding="utf-8")
    return [figure for figure in (*figures.values(), *programs.values()) if figure.values]


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
    return "\n".join(lines) + "\n"


def program_page(figures: dict[tuple[str, int, str], Figure], about: str) -> str:
    """The same of whole programs."""
    lines = [
        "",
        "## Whole programs",
        "",
        f"The same text at {RATE} tokens/s in a terminal of 120×36. offtui (chat, monitor, dial, status line) is given"
        " it by a worker of the tests, oterm by a server that speaks Ollama's protocol; measured is the process that"
        " draws. A key that is not on the screen after five seconds counts as five.",
        "",
        "| program | past messages | CPU of a core | bytes/token | key p50 | key p99 | RSS |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, past in PROGRAMS:
        cells = [cell(figures[name, past, key], unit) for key, _, unit in PROGRAM_QUANTITIES]
        lines.append(f"| {name} | {past} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"oterm: {about}."]) + "\n"


def cell(figure: Figure, unit: str) -> str:
    """The median; a dash where there is none."""
    if not figure.values:
        return "–"
    median = statistics.median(figure.values)
    return f"{median:.0f} {unit}".strip() if median >= 100 else f"{median:.3g} {unit}".strip()
