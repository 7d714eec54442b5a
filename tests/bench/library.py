"""A thousand known model files: from the search of the folders to what a list shows of them."""

import tempfile
import time
from pathlib import Path

from offtui.gguf.facts import FileFacts
from offtui.gguf.library import search
from offtui.models.entries import known
from offtui.store.catalogue import Catalogue
from offtui.ui.panes.model_rows import model_lines
from tests.bench.report import Figure

COUNT = 1000
ROWS = 50
"""Seen at once."""


def run(runs: int) -> list[Figure]:
    """Search, look up, and make the rows of one screen."""
    found, rows, whole = (Figure(name, "ms", []) for name in ("search", "look up", f"list of {COUNT} files"))
    whole.reach = "≤ 100 ms"
    with tempfile.TemporaryDirectory(prefix="offtui-bench-") as folder:
        root = Path(folder)
        for number in range(COUNT):
            place = root / f"owner{number % 40}" / f"repo{number % 200}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"model-{number}-Q4_K_M.gguf").touch()
        catalogue = Catalogue(root / "models.db")
        facts = FileFacts(kind="model", name="x", arch="qwen3", n_layer=36, n_params=8 * 10**9, has_template=True)
        catalogue.keep_facts((str(f.path), f.bytes, f.mtime_ns, facts) for f in search([root]).models)
        for index in range(runs + 1):
            begun = time.perf_counter()
            models = search([root]).models
            searched = time.perf_counter()
            entries = known(models, catalogue)
            looked_up = time.perf_counter()
            for entry in entries[:ROWS]:
                model_lines(entry, 100, up=False)
            done = time.perf_counter()
            assert len(entries) == COUNT
            assert all(entry.facts for entry in entries)
            if index:
                found.values.append(1000 * (searched - begun))
                rows.values.append(1000 * (looked_up - searched))
                whole.values.append(1000 * (done - begun))
        catalogue.close()
    return [found, rows, whole]
