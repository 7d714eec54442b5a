"""oterm, another chat on Textual, while it shows an answer of the same text at the same rate, in the same terminal.

It talks to a server of this process that speaks Ollama's protocol, and needs an environment of its own, whose Python
``OFFTUI_BENCH_OTERM`` names: ``python -m venv PEER && PEER/bin/pip install oterm``, then
``OFFTUI_BENCH_OTERM=PEER/bin/python python -m tests.bench peers``.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from tests.bench.ollama import MODEL, serving
from tests.bench.screen import SECONDS, SETTLE, streamed
from tests.bench.terminal import Terminal
from tests.fakes.worker import MARKDOWN

VARIABLE = "OFFTUI_BENCH_OTERM"
_SEED = """
import asyncio, sys
from oterm.store.store import Store
from oterm.types import ChatModel, MessageModel

async def main():
    store = await Store.get_store()
    chat = await store.save_chat(ChatModel(name="benchchat", model=sys.argv[1]))
    for number in range(int(sys.argv[2])):
        role = "assistant" if number % 2 else "user"
        text = sys.argv[3 + number % 2]
        await store.save_message(MessageModel(chat_id=chat, role=role, text=text))

asyncio.run(main())
"""


def python() -> tuple[Path | None, str]:
    """Its Python, or why there is none."""
    given = os.environ.get(VARIABLE)
    if not given:
        return None, f"not measured: {VARIABLE} names no Python that has it"
    asked = [given, "-c", "from importlib.metadata import version; print(version('oterm'))"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    return (Path(given), found.stdout.strip()) if found.returncode == 0 else (None, f"not measured: {given} has none")


def measured(python: Path, past: int, rate: int, *, keys: bool) -> dict[str, float]:
    """One run, as of ``tests.bench.screen``: CPU in percent, bytes per token, ``p50`` and ``p99`` in ms, RSS in MiB."""
    text = MARKDOWN * (1 + int(rate * 4 * (SECONDS + SETTLE + 20)) // len(MARKDOWN))
    with tempfile.TemporaryDirectory() as folder, serving(text, rate) as (url, asked):
        Path(folder, "config.json").write_text(json.dumps({"splash-screen": False}))
        # The proxy that is none keeps it from asking for newer versions of itself.
        away = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
        environment = {**os.environ, **away, "OTERM_DATA_DIR": folder, "OLLAMA_URL": url}
        environment.pop("PYTHONPATH", None)
        seed = [str(python), "-c", _SEED, MODEL, str(past), "What is that?", MARKDOWN]
        subprocess.run(seed, env=environment, check=True, capture_output=True)
        terminal = Terminal([str(python.parent / "oterm")], environment=environment)
        try:
            terminal.until(lambda text: "benchchat" in text and ("processor" in text or not past), 120)
            return streamed(terminal, rate, keys=keys, begun=asked.is_set)
        finally:
            terminal.close()
