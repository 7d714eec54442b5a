import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from offtui.engine.state import LoadWanted, Phase, SessionState
from offtui.models.entries import Entry
from offtui.models.shelf import Shelf, ShelfView
from offtui.planner.learning import BANDWIDTH
from offtui.protocol.events import DeviceMemory, Loaded
from offtui.protocol.spec import LoadSpec
from offtui.store.catalogue import Catalogue
from offtui.store.measurements import Store
from tests.fakes import gguf_shapes
from tests.gguf.test_library import put
from tests.ui.harness import loaded


class Watcher:
    """Keeps what a shelf tells."""

    def __init__(self, folder: Path, poll: float = 0.05) -> None:
        self.views: list[ShelfView] = []
        self.news = threading.Condition()
        self.shelf = Shelf(lambda: [folder], self.hear, poll=poll)

    def hear(self, view: ShelfView) -> None:
        with self.news:
            self.views.append(view)
            self.news.notify_all()

    def until(self, predicate: Callable[[ShelfView], bool], seconds: float = 60.0) -> ShelfView:
        deadline = time.monotonic() + seconds
        with self.news:
            while not (self.views and predicate(self.views[-1])):
                if not self.news.wait(deadline - time.monotonic()):
                    raise AssertionError(f"never: {self.views[-1:]}")
            return self.views[-1]

    def entry(self, name: str) -> Entry:
        return next(entry for entry in self.views[-1].entries if entry.file.name == name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "models"
    made.mkdir()
    gguf_shapes.write_sparse(made / "qwen3-8b-Q4_K_M.gguf", gguf_shapes.qwen3_8b())
    return made


@pytest.fixture
def watcher(folder: Path) -> Iterator[Watcher]:
    made = Watcher(folder)
    yield made
    made.shelf.close()


def up(path: Path, *, device: bool = True) -> tuple[SessionState, Loaded]:
    fact = loaded(LoadSpec(model=str(path)), 4, 13, device=device)
    return SessionState(phase=Phase.READY, loaded=fact), fact


def test_files_are_listed_at_once_then_read_and_planned_when_seen(watcher: Watcher, folder: Path) -> None:
    first = watcher.until(lambda view: bool(view.entries))
    assert first.entries[0].file.name == "qwen3-8b-Q4_K_M"
    view = watcher.until(lambda view: view.unread == 0 and view.entries[0].facts is not None)
    assert view.entries[0].fitting is None, "the machine is not known yet"
    watcher.shelf.look([folder / "qwen3-8b-Q4_K_M.gguf"])
    watcher.shelf.hear(*up(Path("/m/other.gguf")))
    view = watcher.until(lambda view: view.entries[0].fitting is not None)
    fitting = view.entries[0].fitting
    assert fitting is not None
    assert fitting.most == 37
    assert fitting.line.startswith(f"{fitting.n_gpu_layers}/37 layers · ")
    assert "~" in fitting.speed


def test_what_the_dial_has_measured_meanwhile_counts_when_the_list_is_looked_at_again(
    watcher: Watcher, folder: Path
) -> None:
    path = folder / "qwen3-8b-Q4_K_M.gguf"
    watcher.until(lambda view: view.unread == 0 and bool(view.entries))
    watcher.shelf.look([path])
    watcher.shelf.hear(*up(Path("/m/other.gguf"), device=False))
    before = watcher.until(lambda view: view.entries[0].fitting is not None).entries[0].fitting
    assert before is not None
    store = Store()
    store.set_constant("RAM", BANDWIDTH, 2e9)
    store.close()
    watcher.shelf.look([path])
    watcher.until(lambda view: (now := view.entries[0].fitting) is not None and now.tps < before.tps / 2)


def test_a_budget_holds_for_the_list_too(watcher: Watcher, folder: Path) -> None:
    path = folder / "qwen3-8b-Q4_K_M.gguf"
    watcher.until(lambda view: view.unread == 0 and bool(view.entries))
    watcher.shelf.look([path])
    _, fact = up(Path("/m/other.gguf"))
    fact = msgspec.structs.replace(fact, spec=msgspec.structs.replace(fact.spec, vram_budget=3 << 30))
    watcher.shelf.hear(SessionState(phase=Phase.READY, loaded=fact), fact)
    fitting = watcher.until(lambda view: view.entries[0].fitting is not None).entries[0].fitting
    assert fitting is not None
    assert 0 < fitting.n_gpu_layers < fitting.most
    assert fitting.vram <= 3 << 30


def test_new_files_appear_and_deleted_ones_go(watcher: Watcher, folder: Path) -> None:
    watcher.until(lambda view: view.unread == 0)
    put(folder / "sub/new.gguf")
    watcher.until(lambda view: {entry.file.name for entry in view.entries} == {"new", "qwen3-8b-Q4_K_M"})
    watcher.shelf.remove(watcher.entry("new").file)
    said = watcher.until(lambda view: any("Deleted new" in notice for notice in view.notices) or len(view.entries) == 1)
    watcher.until(lambda view: len(view.entries) == 1)
    assert said
    assert not (folder / "sub/new.gguf").exists()


def test_a_session_that_talks_all_the_time_does_not_keep_new_files_out(folder: Path) -> None:
    watcher = Watcher(folder, poll=0.3)
    watcher.until(lambda view: view.unread == 0)
    state, fact = up(Path("/m/other.gguf"))
    put(folder / "new.gguf")
    deadline = time.monotonic() + 30
    while len(watcher.views[-1].entries) < 2:
        assert time.monotonic() < deadline
        watcher.shelf.hear(state, DeviceMemory(fact.memory, 1.0))
        time.sleep(0.02)
    watcher.shelf.close()


def test_what_is_loaded_and_favoured_is_remembered(watcher: Watcher, folder: Path) -> None:
    path = folder / "qwen3-8b-Q4_K_M.gguf"
    watcher.until(lambda view: view.unread == 0)
    watcher.shelf.hear(*up(path))
    watcher.until(lambda view: view.entries[0].used is not None)
    watcher.shelf.favour(path, True)
    watcher.until(lambda view: view.entries[0].favourite)
    watcher.shelf.close()
    again = Watcher(folder)
    view = again.until(lambda view: bool(view.entries))
    assert view.entries[0].favourite
    assert view.entries[0].used is not None
    assert view.entries[0].facts is not None, "the header is not read again"
    again.shelf.close()


def test_a_file_that_is_not_the_recorded_one_is_said_before_it_is_loaded(watcher: Watcher, folder: Path) -> None:
    path = put(folder / "m.gguf", 100)
    watcher.shelf.hear(*up(path))
    watcher.until(lambda view: len(view.entries) == 2)
    deadline = time.monotonic() + 60
    with contextlib.closing(Catalogue()) as catalogue:
        while catalogue.hash(str(path)) is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    put(path, 200)
    spec = LoadSpec(model=str(path))
    watcher.shelf.hear(SessionState(wanted=spec), LoadWanted(spec))
    watcher.until(lambda view: any("not the file whose" in notice for notice in view.notices))


@pytest.mark.timeout(600)
def test_a_file_of_two_gigabytes_is_listed_hashed_beside_the_session_and_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    path = gguf_shapes.write_random(folder / "large-Q4_0.gguf", gguf_shapes.bench_tiny())
    size = (2 << 30) + 4096
    os.truncate(path, size)
    watcher = Watcher(folder)
    view = watcher.until(lambda view: view.unread == 0 and bool(view.entries))
    (entry,) = view.entries
    assert (entry.file.bytes, entry.kind, entry.is_loadable) == (size, "model", True)
    watcher.shelf.hear(*up(path))
    with path.open("rb") as file:
        expected = hashlib.file_digest(file, "sha256").hexdigest()
    deadline = time.monotonic() + 500
    with contextlib.closing(Catalogue()) as catalogue:
        while (recorded := catalogue.hash(str(path))) is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert (recorded.file.size, recorded.sha256) == (size, expected)
        watcher.shelf.remove(entry.file)
        watcher.until(lambda view: not view.entries)
        assert not path.exists()
        assert catalogue.hash(str(path)) is None
    watcher.shelf.close()
