"""The library beside the screen: finds, reads, plans and watches the model files, on a thread of its own."""

import contextlib
import queue
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from offtui import paths
from offtui.engine.prober import Leash, read_elements
from offtui.engine.state import LoadWanted, Occurrence, SessionState, TurnWanted
from offtui.errors import OfftuiError
from offtui.gguf.header import Header
from offtui.gguf.library import Found, ModelFile, search
from offtui.models.entries import Entry, header_of, known, read_unknown
from offtui.models.fitting import Fitting, Here, fitting_of, here_of
from offtui.models.integrity import Integrity
from offtui.models.removing import remove
from offtui.plan.probe import ElementsReply
from offtui.planner.learning import learned
from offtui.protocol.events import DeviceMemory, Loaded, TurnEnded
from offtui.store.catalogue import Catalogue
from offtui.store.measurements import Point, Store
from offtui.units import size_text

POLL = 3.0
"""Seconds between two looks at the folders."""
OFTEN = 0.2
"""Seconds at least between two pictures of work that goes on."""
LEAVE = 3.0
"""Seconds that closing waits for the thread."""


class ShelfView(msgspec.Struct, frozen=True):
    """The library as it is now."""

    entries: tuple[Entry, ...] = ()
    unread: int = 0
    """Files whose headers are still to be read."""
    notices: tuple[str, ...] = ()
    """What a person should know, a sentence each: folders that cannot be searched, files that have changed."""
    here: Here | None = None
    """The machine that plans are made for; ``None``: not known yet."""


Listener = Callable[[ShelfView], None]
"""Called on the shelf's thread with each new view; must not block long."""


class Shelf:
    """Has a thread of its own. All methods return at once, from any thread, but ``close``."""

    def __init__(self, folders: Callable[[], Sequence[Path]], listener: Listener, *, poll: float = POLL) -> None:
        """Begin to look.

        Args:
            folders: where to look, asked on the shelf's thread.
            listener: gets the views.
            poll: seconds between two looks at the folders.
        """
        self._todo: queue.SimpleQueue[Callable[[_Work], object] | None] = queue.SimpleQueue()
        self._leash = Leash()
        self._thread = threading.Thread(
            target=self._run, args=(folders, listener, poll), name="offtui-shelf", daemon=True
        )
        self._thread.start()

    def refresh(self) -> None:
        """Search the folders again."""
        self._todo.put(lambda work: work.search())

    def look(self, seen: Sequence[Path]) -> None:
        """These files are on the screen: plan them."""
        self._todo.put(lambda work: work.look(seen))

    def favour(self, path: Path, favourite: bool) -> None:
        """Mark a file as a favourite, or take the mark away."""
        self._todo.put(lambda work: work.favour(path, favourite))

    def remove(self, file: ModelFile) -> None:
        """Delete it."""
        self._todo.put(lambda work: work.remove(file))

    def describe(self, path: Path, tell: Callable[[Header | None], None]) -> None:
        """Read the whole header; ``tell`` is called on the shelf's thread."""
        self._todo.put(lambda work: tell(work.header(path)))

    def elements(self, path: Path, key: str, tell: Callable[[ElementsReply], None]) -> None:
        """Read one array of a file's metadata whole; ``tell`` is called on the shelf's thread."""
        self._todo.put(lambda work: tell(work.elements(path, key)))

    def hear(self, state: SessionState, occurrence: Occurrence) -> None:
        """What the session tells its listener."""
        if isinstance(occurrence, LoadWanted | Loaded | TurnWanted | TurnEnded) or (
            isinstance(occurrence, DeviceMemory) and state.loaded is not None
        ):
            self._todo.put(lambda work: work.hear(state, occurrence))

    def close(self) -> None:
        """End the thread and what it may be waiting for; may be called again."""
        self._todo.put(None)
        self._leash.cut()
        self._thread.join(LEAVE)

    def _run(self, folders: Callable[[], Sequence[Path]], listener: Listener, poll: float) -> None:
        work = _Work(folders, listener, self._leash)
        with contextlib.closing(work):
            self._attempt(work.search)
            due = time.monotonic() + poll
            while True:
                try:
                    # a session that tells something twice a second must not keep the folders from being looked at
                    todo = self._todo.get(timeout=0 if work.is_busy else max(0.0, due - time.monotonic()))
                except queue.Empty:
                    self._attempt(work.step)
                    due = time.monotonic() + poll
                    continue
                if todo is None:
                    return
                self._attempt(lambda do=todo: do(work))

    def _attempt(self, do: Callable[[], object]) -> None:
        """A list only helps: a mistake in it goes to the crash reports, and ends neither the thread nor the screen."""
        try:
            do()
        except Exception:  # noqa: BLE001 -- whatever a hostile file may bring about
            with contextlib.suppress(OSError):
                folder = paths.log_dir()
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "shelf.txt").write_text(traceback.format_exc(), "utf-8", "backslashreplace")


class _Work:
    """What the thread does; nothing here is touched by another."""

    def __init__(self, folders: Callable[[], Sequence[Path]], listener: Listener, leash: Leash) -> None:
        self._folders, self._listener, self._leash = folders, listener, leash
        self._catalogue = Catalogue()
        self._store = Store()
        self._integrity = Integrity(self._catalogue)
        self._found = Found()
        self._entries: dict[Path, Entry] = {}
        self._here: Here | None = None
        self._speeds: dict[str, Point] = {}
        """As they were when the list was looked at last."""
        self._fitted: dict[tuple[str, object], Fitting | None] = {}
        self._to_fit: list[Path] = []
        self._seen: tuple[Path, ...] = ()
        self._said: tuple[str, ...] = ()
        self._told = 0.0
        self._untold = False
        self._greeted = False

    def close(self) -> None:
        self._integrity.close()
        self._catalogue.close()
        self._store.close()

    @property
    def is_busy(self) -> bool:
        """Whether there is a next step of work."""
        return bool(self._unread or self._to_fit or self._untold)

    @property
    def _unread(self) -> list[Entry]:
        return [entry for entry in self._entries.values() if entry.facts is None and not entry.file.missing]

    def step(self) -> None:
        """Do the most urgent piece of work; without any, look whether the folders have changed."""
        if self._to_fit:
            self._fit(self._to_fit.pop(0))
            self._tell()
        elif unread := self._unread:
            for batch in read_unknown(unread[:16], self._catalogue, self._leash):
                self._entries.update((entry.file.path, entry) for entry in batch)
            self._look_again()
            self._tell()
        elif self._untold:
            self._tell(at_once=True)
        elif self._found.is_stale:
            self.search()
        elif notice := self._integrity.step():
            self._say(notice)

    def search(self) -> None:
        """Look into the folders."""
        self._found = search(self._folders())
        speeds = {path: point.tps for path, point in self._store.newest_speeds().items()}
        entries = known(self._found.models, self._catalogue, speeds)
        self._entries = {entry.file.path: entry for entry in entries}
        self._look_again()
        self._tell(at_once=True)
        if not self._greeted:
            self._greeted = True
            waiting = len(self._catalogue.downloads())
            if waiting:
                noun = "1 download is" if waiting == 1 else f"{waiting} downloads are"
                self._say(f"{noun} not done yet: F7 goes on.")

    def look(self, seen: Sequence[Path]) -> None:
        """Plan these."""
        self._seen = tuple(seen)
        if self._here is not None:  # what was measured since counts, as it does in the dial
            self._here = msgspec.structs.replace(self._here, bandwidth=learned(self._store).bandwidth)
            self._speeds = self._store.newest_speeds()
        self._look_again()

    def favour(self, path: Path, favourite: bool) -> None:
        self._catalogue.set_favourite(str(path), favourite)
        self._change(path, favourite=favourite)

    def remove(self, file: ModelFile) -> None:
        try:
            freed = remove(file)
        except OfftuiError as error:
            self._say(str(error))
            return
        self._catalogue.forget(str(file.path))
        self._say(f"Deleted {file.name}: {size_text(freed)} free again.")
        self.search()

    def header(self, path: Path) -> Header | None:
        entry = self._entries.get(path)
        return header_of(entry, self._catalogue, self._leash) if entry is not None else None

    def elements(self, path: Path, key: str) -> ElementsReply:
        return read_elements(str(path), key, leash=self._leash)

    def hear(self, state: SessionState, occurrence: Occurrence) -> None:
        match occurrence:
            case LoadWanted(spec=spec):
                if notice := self._integrity.check(Path(spec.model)):
                    self._say(notice)
            case Loaded():
                self._catalogue.set_used(occurrence.spec.model)
                self._integrity.loaded(Path(occurrence.spec.model))
                self._change(Path(occurrence.spec.model), used=time.time())
                self._note_here(occurrence, state)
            case TurnEnded(timings=timings) if state.loaded is not None and timings.tps:
                self._change(Path(state.loaded.spec.model), tps=timings.tps)
            case DeviceMemory() if state.loaded is not None and self._here is None:
                self._note_here(state.loaded, state)
            case _:
                pass
        self._integrity.is_quiet = state.turn is None

    def _note_here(self, loaded: Loaded, state: SessionState) -> None:
        here = here_of(loaded.memory or state.memory, self._store, loaded)
        if self._here is None or here.is_about != self._here.is_about:
            self._here = here
            self._look_again()
            self._tell()

    def _look_again(self) -> None:
        """Plan what is seen and has no plan for the machine as it is."""
        if self._here is None:
            return
        self._to_fit = []
        for path in self._seen:
            entry = self._entries.get(path)
            if entry is None or entry.facts is None or not entry.is_loadable:
                continue
            key = self._key(entry, self._here)
            if key not in self._fitted:
                self._to_fit.append(path)
            elif entry.fitting != self._fitted[key]:
                self._change(path, fitting=self._fitted[key])

    def _fit(self, path: Path) -> None:
        entry = self._entries.get(path)
        if entry is None or self._here is None:
            return
        header = header_of(entry, self._catalogue, self._leash)
        fitting = fitting_of(header, self._here, self._store) if header is not None else None
        self._fitted[self._key(entry, self._here)] = fitting
        self._change(path, fitting=fitting)

    def _key(self, entry: Entry, here: Here) -> tuple[str, object]:
        return entry.key, (here.is_about, self._speeds.get(str(entry.file.path)))

    def _change(self, path: Path, **changes: object) -> None:
        entry = self._entries.get(path)
        if entry is not None:
            self._entries[path] = msgspec.structs.replace(entry, **changes)
            self._untold = True

    def _say(self, notice: str) -> None:
        self._said = (notice,)
        self._tell(at_once=True)
        self._said = ()

    def _tell(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if not at_once and now - self._told < OFTEN:
            self._untold = True
            time.sleep(0.005)  # the screen's thread goes first
            return
        self._told, self._untold = now, False
        notices = (*self._found.problems, *self._catalogue.notices, *self._said)
        self._listener(ShelfView(tuple(self._entries.values()), len(self._unread), notices, self._here))
