"""Ten thousand generated answers in random pieces, in a real pty: what differs from the same text shown at once."""

from collections.abc import Sequence

from tests.bench.report import Figure
from tests.ui.transcript import fuzzing

DOCUMENTS = 10_000
BATCH = 1000


def run(runs: int) -> Sequence[Figure]:
    """All documents once, whatever ``runs`` says; each batch is a process and a terminal of its own."""
    results = [fuzzing.run(BATCH, seed) for seed in range(DOCUMENTS // BATCH)]
    for text in [text for result in results for text in result.differing]:
        print(f"differs: {text!r}")
    return [
        Figure("documents", "", [float(sum(result.documents for result in results))]),
        Figure("final screens that differ", "", [float(sum(len(result.differing) for result in results))], "0"),
        Figure("control bytes out", "", [float(sum(len(result.stray) for result in results))], "0"),
        Figure("bytes to the terminal", "", [float(sum(result.written for result in results))]),
    ]
