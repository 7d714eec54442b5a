"""Tokens per second with the whole app on screen, over a bare decode loop; interleaved in one run."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.report import Figure
from tests.bench.terminal import Terminal, offtui
from tests.fakes import gguf_shapes

_STAMP = re.compile(r"([\d.]+) t/s · first token")


def bare(model: Path, tokens: int) -> float:
    """Tokens per second of llama.cpp alone, in a fresh process."""
    command = [sys.executable, "-m", "tests.bench.bare", str(model), "--tokens", str(tokens), "--ctx", "8192"]
    return float(json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["tps"])


def on_screen(model: Path, tokens: int) -> float:
    """Tokens per second that the app shows for an answer of so many tokens, 120×36, by the worker's clock."""
    options = ("--model", str(model), "--seed", "1", "--max-tokens", str(tokens), "--ctx", "8192", "-ngl", "0")
    terminal = Terminal(offtui(*options))
    try:
        terminal.until(lambda text: "loaded" in text)
        terminal.type("Tell me more")
        terminal.until(lambda text: "Tell me more" in text)
        terminal.type("\r")
        terminal.until(lambda text: _STAMP.search(text) is not None, 900)
        found = _STAMP.search(terminal.text())
        if found is None:
            raise RuntimeError("the stamp of the answer went away")
        return float(found[1])
    finally:
        terminal.close()


def run(runs: int) -> list[Figure]:
    """A and B by turns, at 128 and at 4096 tokens."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        model = gguf_shapes.write_random(Path(folder) / "half.gguf", gguf_shapes.bench_half())
        for tokens in (128, 4096):
            app = Figure(f"offtui on screen, {tokens} tokens", "t/s", [])
            alone = Figure(f"bare loop, {tokens} tokens", "t/s", [])
            ratio = Figure(f"ratio at {tokens} tokens", "", [], "≥ 0.95")
            for _ in range(runs if tokens < 1000 else max(1, runs // 2)):
                alone.values.append(bare(model, tokens))
                app.values.append(on_screen(model, tokens))
                ratio.values.append(app.values[-1] / alone.values[-1])
            figures += [app, alone, ratio]
    return figures
