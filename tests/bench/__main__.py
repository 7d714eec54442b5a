"""``python -m tests.bench [NAME…]``: run the benchmarks, print their tables, write JSON."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench import (
    band,
    carry,
    chaos,
    chats,
    demonstration,
    fuzz,
    hub,
    lasting,
    library,
    monitor,
    nvitop,
    peers,
    plan,
    recording,
    reload,
    reoffload,
    report,
    screen,
    speed,
    start,
    stop,
)
from tests.bench.report import Figure

BENCHES: dict[str, Callable[[int], Sequence[Figure]]] = {
    "start": start.run,
    "stop": stop.run,
    "reload": reload.run,
    "reoffload": reoffload.run,
    "reloads": lasting.run,
    "demonstration": demonstration.run,
    "carry": carry.run,
    "chaos": chaos.run,
    "speed": speed.run,
    "plan": plan.run,
    "chats": chats.run,
    "hub": hub.run,
    "library": library.run,
    "fuzz": fuzz.run,
    "screen": screen.run,
    "peers": peers.run,
    "band": band.run,
    "monitor": monitor.run,
    "nvitop": nvitop.run,
    "recording": recording.run,
}


def main() -> None:
    """Run what was named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; all without one")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "latest.json")
    arguments = parser.parse_args()
    root = Path(__file__).parents[2]
    os.environ["PYTHONPATH"] = f"{root / 'tui'}{os.pathsep}{root}"  # of the programs that are measured
    unknown = set(arguments.names) - set(BENCHES)
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    results: dict[str, Sequence[Figure]] = {}
    for name in arguments.names or BENCHES:
        results[name] = BENCHES[name](arguments.runs)
        print(f"\n{name}\n{report.table(results[name])}", flush=True)
    report.save(arguments.json, results)


if __name__ == "__main__":
    main()
