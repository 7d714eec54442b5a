"""The whole of the re-offload in a real terminal with a model of 0.5B shape: moved four times, it says the same.

What the tests show with a tiny model. Its weights are random, and such that one wrong token changes all that follow.
"""

import tempfile
from pathlib import Path

from tests.bench.report import Figure
from tests.fakes import gguf_shapes
from tests.fakes.device import RunningDevice
from tests.real.test_demonstration import CTRL_Q, ESC, QUESTION, count, further, kept, options, unmoved
from tests.ui.terminal import ROOT, Terminal

PATIENCE = 600.0


def run(_runs: int) -> list[Figure]:
    """Once: it takes minutes."""
    same = Figure("characters as in the unmoved answer", "", [])
    other = Figure("characters from the first that differs on", "", [], "0")
    different = Figure("different characters in it", "", [])
    left = Figure("processes left", "", [], "0")
    with tempfile.TemporaryDirectory() as folder, RunningDevice(slots=2) as device:
        path = Path(folder)
        model = gguf_shapes.write_random(path / "half.gguf", gguf_shapes.half_varied())
        names = ("CONFIG", "DATA", "STATE")
        env = {f"XDG_{name}_HOME": str(path / name.lower()) for name in names}
        env["PYTHONPATH"] = f"{ROOT / 'tui'}:{ROOT}"
        with Terminal(["-m", "offtui", *options(model, device)], 120, 36, env) as terminal:
            terminal.shows("0/25 layers", PATIENCE)
            terminal.type(QUESTION + "\r")
            terminal.until(lambda: count(terminal) > 30, "the answer begins", PATIENCE)
            for layers in (25, 0, 25, 0):
                terminal.type(f"/ngl {layers}\r")
                terminal.shows(f"{layers} of 25 layers in", PATIENCE)
                terminal.until(further(terminal), "the answer goes on", PATIENCE)
            terminal.key(ESC)
            terminal.until(lambda: "first token" in terminal.text(), "the end of the answer", PATIENCE)
            terminal.until(lambda: count(terminal) > 0, "the tokens in the context", PATIENCE)
            tokens = count(terminal) + 20
            workers = terminal.children()
            terminal.key(CTRL_Q)
            terminal.ended()
        (moved,) = kept(env)
        wanted = unmoved(model, device, env, tokens)
    told = moved[:-1]  # the last one may be half of a character
    common = next((place for place, pair in enumerate(zip(told, wanted, strict=False)) if pair[0] != pair[1]), None)
    common = min(len(told), len(wanted)) if common is None else common
    same.values.append(float(common))
    other.values.append(float(len(told) - common))
    different.values.append(float(len(set(moved))))
    left.values.append(float(len([pid for pid in workers if Path(f"/proc/{pid}").exists()])))
    return [same, other, different, left]
