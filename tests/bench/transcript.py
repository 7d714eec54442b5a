"""What streaming into the transcript costs, in a real pty: CPU, bytes per token, key to paint, memory, time to open.

    python -m tests.bench.transcript [--seconds 8] [--runs 3] [--json FILE]

Each row is the median of the runs, which go round the configurations in turn. The text is Markdown of all kinds in
tokens of four characters; the pane is full before the first token is counted. Textual's own Markdown widgets stream the
same text for comparison.
"""

import argparse
import fcntl
import json
import os
import pty
import select
import statistics
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Markdown

from offtui.ui.compositing import CellScreen
from offtui.ui.transcript import Entry, Transcript
from offtui.ui.widgets.prompt import Prompt
from tests.fakes.worker import MARKDOWN

COLUMNS, ROWS = 120, 40
TOKEN = 4
FEED_SECONDS = 1 / 30
MARKS = "↑↓←→⇑⇓⇐⇒∀∁∂∃∄∅∆∇∈∉∊∋∌∍∎∏∐∑−∓∔∕∖∗∘∙√∛∜∝∞∟∠∡∢∣∤∥∦∧∨∩∪"


class Bench(App[None]):
    """Streams for some seconds, writes what it cost to a file, and ends."""

    CSS = "Prompt { height: 3; } VerticalScroll { height: 1fr; }"

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__()
        self.options = options
        self.sent = 0
        self.text = MARKDOWN * 200
        self.result: dict[str, float] = {}

    def get_default_screen(self) -> Screen[object]:
        return super().get_default_screen() if self.options.widgets else CellScreen()  # as the app's own

    def compose(self) -> ComposeResult:
        if self.options.widgets:
            with VerticalScroll():
                for number in range(self.options.messages):
                    yield Markdown(MARKDOWN if number % 2 else "What is that?")
                yield Markdown(id="answer")
        else:
            yield Transcript()
        yield Prompt()

    def on_mount(self) -> None:
        self.query_one(Prompt).focus()
        before = time.monotonic()
        if not self.options.widgets:
            transcript = self.query_one(Transcript)
            transcript.extend(
                Entry(number, "assistant" if number % 2 else "user", MARKDOWN if number % 2 else "What is that?")
                for number in range(self.options.messages)
            )
            transcript.append(Entry(-1, "assistant", MARKDOWN * 3))
            transcript.begin(-2, name="model")
        self.call_after_refresh(lambda: self.result.update(open_seconds=time.monotonic() - before))
        self.set_timer(self.options.settle, self.start)

    def start(self) -> None:
        if self.options.widgets:
            answer = self.query_one("#answer", Markdown)
            self.stream = Markdown.get_stream(answer)
            self.query_one(VerticalScroll).anchor()
        self.result["start"] = self.began = time.monotonic()
        self.cpu = time.process_time()
        self.set_interval(FEED_SECONDS, self.feed)

    async def feed(self) -> None:
        elapsed = time.monotonic() - self.began
        due = int(min(elapsed, self.options.seconds) * self.options.rate)
        if due > self.sent:
            fresh = self.text[self.sent * TOKEN : due * TOKEN]
            self.sent = due
            if self.options.widgets:
                await self.stream.write(fresh)
            else:
                self.query_one(Transcript).feed(fresh)
        if elapsed >= self.options.seconds:
            self.result.update(
                end=time.monotonic(),
                cpu=(time.process_time() - self.cpu) / elapsed,
                tokens=self.sent,
                rss_mib=int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20,
            )
            Path(self.options.child).write_text(json.dumps(self.result))
            self.exit()


def measured(
    messages: int, rate: int, seconds: float, *, widgets: bool = False, keys: bool = False
) -> dict[str, float]:
    """One run in a pty: what the child says of itself, and what arrived at the terminal."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "tests.bench.transcript", "--child", str(report), "--rate", str(rate)]
        command += ["--messages", str(messages), "--seconds", str(seconds)]
        if widgets:
            command += ["--widgets", "--settle", str(2 + messages / 40)]
        pid, master = pty.fork()
        if pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.execv(sys.executable, command)
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        arrived, waits = _watch(master, seconds, keys=keys, after=3.0 + (messages / 12 if widgets else 0.0))
        os.waitpid(pid, 0)
        os.close(master)
        result: dict[str, float] = json.loads(report.read_text())
    counted = sum(size for when, size in arrived if result["start"] <= when <= result["end"])
    result["bytes_per_token"] = counted / max(1.0, result["tokens"])
    if waits:
        waits.sort()
        result["key_p50_ms"] = 1000 * statistics.median(waits)
        result["key_p99_ms"] = 1000 * waits[int(len(waits) * 0.99)]
    return result


def _watch(master: int, seconds: float, *, keys: bool, after: float) -> tuple[list[tuple[float, int]], list[float]]:
    """Read what is drawn until the program ends; with ``keys``, type and time the echo of each."""
    arrived: list[tuple[float, int]] = []
    waits: list[float] = []
    pending: tuple[str, float] | None = None
    tail = ""
    begin, typed = float("inf"), 0
    while True:
        ready, _, _ = select.select([master], [], [], 0.002 if keys else 1.0)
        now = time.monotonic()
        if ready:
            try:
                data = os.read(master, 1 << 16)
            except OSError:
                return arrived, waits
            if not data:
                return arrived, waits
            arrived.append((time.monotonic(), len(data)))
            if begin == float("inf") and b"\x1b[?1049h" in data:  # before that the terminal itself echoes keys
                begin = now + after
            if keys:
                tail = tail[-2000:] + data.decode(errors="replace")
                if pending and pending[0] in tail:
                    waits.append(time.monotonic() - pending[1])
                    pending = None
        if keys and pending is None and begin + typed * 0.06 < now < begin + seconds - 1 and typed < len(MARKS):
            pending = (MARKS[typed], now)
            tail = ""
            typed += 1
            os.write(master, pending[0].encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--messages", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=int, default=60, help=argparse.SUPPRESS)
    parser.add_argument("--settle", type=float, default=2.0, help=argparse.SUPPRESS)
    parser.add_argument("--widgets", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        Bench(options).run()
        return
    configurations = [
        ("transcript", 0, 60), ("transcript", 1000, 60), ("transcript", 10_000, 60),
        ("transcript", 1000, 300), ("Markdown widgets", 50, 60),
    ]  # fmt: skip
    found: dict[tuple[str, int, int], list[dict[str, float]]] = {configuration: [] for configuration in configurations}
    for _ in range(options.runs):
        for kind, messages, rate in configurations:
            widgets = kind != "transcript"
            found[kind, messages, rate].append(measured(messages, rate, options.seconds, widgets=widgets))
            keyed = measured(messages, rate, options.seconds, widgets=widgets, keys=True)
            found[kind, messages, rate][-1] |= {key: keyed[key] for key in ("key_p50_ms", "key_p99_ms") if key in keyed}
    columns = {
        "cpu": "CPU of a core", "bytes_per_token": "bytes/token", "key_p50_ms": "key p50 ms",
        "key_p99_ms": "key p99 ms", "open_seconds": "open s", "rss_mib": "RSS MiB",
    }  # fmt: skip
    print(f"{COLUMNS}x{ROWS}, {options.seconds:g} s, {options.runs} runs, load {os.getloadavg()[0]:.1f}")
    print(f"{'':<18}{'past':>7}{'tok/s':>7}" + "".join(f"{title:>15}" for title in columns.values()))
    rows = []
    for (kind, messages, rate), runs in found.items():
        medians = {key: statistics.median(run[key] for run in runs if key in run) for key in columns if key in runs[0]}
        rows.append({"kind": kind, "messages": messages, "rate": rate, **medians, "runs": runs})
        cells = [
            f"{medians[key] * 100:.1f} %" if key == "cpu" else f"{medians.get(key, float('nan')):.2f}"
            for key in columns
        ]
        print(f"{kind:<18}{messages:>7}{rate:>7}" + "".join(f"{cell:>15}" for cell in cells))
    if options.json:
        options.json.write_text(json.dumps({"load": os.getloadavg(), "size": [COLUMNS, ROWS], "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
