"""The chats: opening and searching one of 10 000 messages, its memory, and what a kill at any moment loses.

Opening is from Enter in the list until the last message is on the screen; searching is from the question to the keeper
until its answer, as the list asks at every key.
"""

import os
import random
import sys
import tempfile
import time
from pathlib import Path

from offtui.store.chats.changes import PutChat
from offtui.store.chats.keeper import Keeper
from offtui.store.chats.values import Chat
from tests.bench.report import Figure
from tests.bench.terminal import Terminal
from tests.fakes.worker import MARKDOWN
from tests.store.chats.talk import chat
from tests.ui.killing import LAUNCH, seconds_lost

MESSAGES = 10_000
KILLS_PER_RUN = 20
QUERIES = ("orchid", "t", "the", "layers of the", "budg", "last message", "100%", "nothing of it")


def long_chat() -> Chat:
    """Questions of a line, answers of Markdown of all kinds; every hundredth is about orchids."""
    chance = random.Random(1)
    words = MARKDOWN.split()
    texts: list[str] = []
    for number in range(MESSAGES):
        question = " ".join(chance.choices(words, k=12))
        texts.append(f"{'orchid ' if number % 100 == 0 else ''}{question}" if number % 2 == 0 else MARKDOWN)
    return chat("The long one", *texts[:-1], "This is the last message.", updated=2000.0)


def run(runs: int) -> list[Figure]:
    """All of it."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["XDG_DATA_HOME"] = str(root / "XDG_DATA_HOME")
        file = root / "XDG_DATA_HOME" / "offtui" / "chats.db"
        keeper = Keeper(print, file=file)
        whole = long_chat()
        small = [chat(f"small {n}", f"question {n}", "answer", updated=float(n)) for n in range(300)]
        keeper.put(*(PutChat(entry.row.id, entry) for entry in (whole, *small)))
        keeper.ask(lambda library: library.last()).result(120)
        figures += searches(keeper, runs)
        keeper.close(30)
        figures += openings(root, runs)
    figures += kills(runs)
    return figures


def searches(keeper: Keeper, runs: int) -> list[Figure]:
    """Each query ``runs`` times; the slowest median counts."""
    figures: list[Figure] = []
    for query in QUERIES:
        figure = Figure(f"search {MESSAGES} messages and 300 chats for {query!r}", "ms", [], "≤ 50 ms")
        for _ in range(max(runs, 5)):
            started = time.perf_counter()
            keeper.ask(lambda library, query=query: library.rows(query)).result(60)
            figure.values.append((time.perf_counter() - started) * 1000)
        figures.append(figure)
    return figures


def openings(root: Path, runs: int) -> list[Figure]:
    """From Enter to the picture, and what it takes of memory."""
    opening = Figure(f"open a chat of {MESSAGES} messages", "s", [], "≤ 0.5 s")
    memory = Figure("memory of the screen's process per 1000 messages", "MB", [], "≤ 10 MB")
    for _ in range(runs):
        terminal = Terminal([sys.executable, LAUNCH, str(root / "modules"), "/m/model.gguf"])
        try:
            terminal.until(lambda text: "13/13 layers" in text)
            settle(terminal, 1.5)
            before = resident(terminal.process.pid)
            terminal.type("\x13")
            terminal.until(lambda text: "The long one" in text)
            settle(terminal, 0.5)
            started = time.perf_counter()
            terminal.type("\r")
            opening.values.append(terminal.until(lambda text: "This is the last message." in text) - started)
            settle(terminal, 2.0)
            memory.values.append((resident(terminal.process.pid) - before) / 1e6 / (MESSAGES / 1000))
        finally:
            terminal.close()
    return [opening, memory]


def kills(runs: int) -> list[Figure]:
    """How long the oldest word that a kill lost had been on the screen."""
    chance = random.Random(3)
    figure = Figure("killed while an answer is written: seconds lost", "s", [], "≤ 1 s")
    for _ in range(runs * KILLS_PER_RUN):
        with tempfile.TemporaryDirectory() as folder:
            figure.values.append(seconds_lost(Path(folder), chance.uniform(0.0, 3.0)))
    return [figure]


def settle(terminal: Terminal, seconds: float) -> None:
    """Read for a while."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        terminal.pump(0.05)


def resident(pid: int) -> int:
    """Bytes of a process in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
