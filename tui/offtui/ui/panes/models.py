"""The models: files found on this machine, the built-in guide and the path that was given."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import var
from textual.widgets import Input

from offtui import paths
from offtui.engine.state import Phase, SessionState
from offtui.text import clean_line
from offtui.ui.commands import Where, bindings
from offtui.ui.messages import Flashed, LibraryRead, ModelChosen, ModelStudied, PaneLeft
from offtui.ui.ports import Shelving
from offtui.ui.widgets.line import Line
from offtui.ui.widgets.rowlist import RowList
from offtui.units import size_text

if TYPE_CHECKING:
    from offtui.gguf.header import Header
    from offtui.models.entries import Entry
    from offtui.models.fitting import Here
    from offtui.models.shelf import ShelfView

SORTS = ("name", "size", "speed", "used")
"""What the list can be sorted by; favourites and what was given come first in each."""


class ModelList(RowList):
    """The rows; letters act on the pane around it."""


class ModelsPane(Vertical):
    """A list with a filter and details; the file chosen goes up."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.MODELS), ("escape", "leave", "Back")]

    session: var[SessionState] = var(SessionState())

    def __init__(self, given: str | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = " Models "
        self._given = given
        self._shelf: Shelving | None = None
        self._view: ShelfView | None = None
        self._shown: list[Entry] = []
        self._details = False
        self._sort = SORTS[0]

    def compose(self) -> ComposeResult:
        """Filter, rows, details."""
        yield Input(placeholder="filter by name, quant, architecture", id="models-filter", select_on_focus=False)
        yield ModelList(id="models-list")
        yield Line(id="models-details")
        yield Line(id="models-note")

    @property
    def here(self) -> "Here | None":
        """The machine that plans are made for; ``None``: not known yet."""
        return self._view.here if self._view is not None else None

    def attach(self, shelf: Shelving) -> None:
        """Take the library over."""
        self._shelf = shelf

    # What is known

    def on_library_read(self, message: LibraryRead) -> None:
        """Take over what was found."""
        message.stop()
        before, self._view = self._view, message.view
        self._fill()
        for notice in message.view.notices:
            if before is None or notice not in before.notices:
                self.post_message(Flashed(notice))

    def watch_session(self, before: SessionState, after: SessionState) -> None:
        """Mark the row that is up."""
        if self.is_mounted and _path_up(before) != _path_up(after):
            self._fill()

    # Keys

    def action_again(self) -> None:
        """Search the folders again."""
        if self._shelf is not None:
            self.query_one("#models-note", Line).show(Content.styled("searching…", "$quiet"))
            self._shelf.refresh()

    def action_filter(self) -> None:
        """Open the filter."""
        box = self.query_one("#models-filter", Input)
        box.display = True
        box.focus()

    def action_study(self) -> None:
        """The dial on the file under the cursor, without loading it."""
        entry = self._under_cursor
        if entry is not None:
            self.post_message(ModelStudied(entry.file.path))

    def action_details(self) -> None:
        """Show or hide what is known of the file under the cursor."""
        self._details = not self._details
        self._paint_details()

    def action_sort(self) -> None:
        """By the next of name, size, speed, use."""
        self._sort = SORTS[(SORTS.index(self._sort) + 1) % len(SORTS)]
        self._fill()

    def action_favour(self) -> None:
        """Mark the file under the cursor as a favourite, or take the mark away."""
        entry = self._under_cursor
        if entry is not None and self._shelf is not None:
            self._shelf.favour(entry.file.path, not entry.favourite)

    def action_metadata(self) -> None:
        """Everything the file under the cursor says of itself."""
        entry = self._under_cursor
        if entry is None or self._shelf is None:
            return
        self._shelf.describe(
            entry.file.path,
            lambda header: self.app.call_from_thread(self._open_metadata, entry, header),  # pyright: ignore[reportUnknownMemberType] -- App[Unknown]
        )

    def action_delete(self) -> None:
        """Delete the file under the cursor, after its name was typed."""
        entry = self._under_cursor
        if entry is None:
            return
        if str(entry.file.path) == _path_up(self.session):
            self.post_message(Flashed("This model is loaded; load another one before deleting it."))
            return
        if _identity(entry.file.path) == _identity(paths.guide_model()):
            self.post_message(Flashed("The guide belongs to offtui and stays."))
            return
        from offtui.ui.screens.typed import TypedScreen

        text = f"{size_text(entry.file.bytes)} in {clean_line(str(entry.file.path.parent))}"

        def typed(sure: bool | None) -> None:
            if sure and self._shelf is not None:
                self._shelf.remove(entry.file)

        self.app.push_screen(TypedScreen("Delete this model", text, entry.file.name), typed)  # pyright: ignore[reportUnknownMemberType] -- App[Unknown]

    def action_leave(self) -> None:
        """Close the filter; without one, leave the pane."""
        box = self.query_one("#models-filter", Input)
        if box.display:
            box.value = ""
            box.display = False
            self.query_one(ModelList).focus()
        else:
            self.post_message(PaneLeft())

    # Events

    def on_input_changed(self, message: Input.Changed) -> None:
        """Filter while typing."""
        message.stop()
        self._fill()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """To the rows."""
        message.stop()
        self.query_one(ModelList).focus()

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        """Follow with the details."""
        message.stop()
        self._paint_details()

    def on_row_list_seen(self, message: RowList.Seen) -> None:
        """Have what is seen planned."""
        message.stop()
        if self._shelf is not None and self.display:
            self._shelf.look([entry.file.path for entry in self._shown[message.first : message.last]])

    def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        """Load it, or say why it cannot be."""
        message.stop()
        entry = self._shown[message.index]
        if entry.kind in ("mmproj", "lora", "vocabulary", "unknown") or entry.file.missing:
            from offtui.ui.panes.model_rows import why_not

            self.post_message(Flashed(f"{clean_line(entry.file.name)} cannot be loaded: {why_not(entry)}."))
            return
        self.post_message(ModelChosen(entry.file.path))

    def on_resize(self) -> None:
        """Fit the columns."""
        self._fill()

    def on_show(self) -> None:
        """What is seen now was not planned while nobody saw it."""
        self.call_after_refresh(self._fill)

    # Drawing

    @property
    def _under_cursor(self) -> "Entry | None":
        index = self.query_one(ModelList).cursor
        return self._shown[index] if index is not None and index < len(self._shown) else None

    def _fill(self) -> None:
        if not self.is_mounted or self._view is None:
            return
        from offtui.ui.panes.model_rows import model_lines, row_height

        rows = self.query_one(ModelList)
        words = self.query_one("#models-filter", Input).value.casefold().split()
        under = self._under_cursor
        chosen = under.file.path if under is not None else None
        entries = self._view.entries
        shown = [entry for entry in entries if all(word in _searched(entry) for word in words)]
        self._shown = sorted(shown, key=self._order)
        up = _path_up(self.session)
        height = row_height(max(rows.scrollable_content_region.width, 16))
        index = next((i for i, entry in enumerate(self._shown) if entry.file.path == chosen), None)

        def make(row: int, width: int) -> list[Content]:
            entry = self._shown[row]
            return model_lines(entry, width, up=str(entry.file.path) == up)

        rows.show(len(self._shown), make, index, height=height)
        count = f"{len(shown)} of {len(entries)}" if words else f"{len(entries)}"
        noun = "model file" if count == "1" else "model files"
        unread = f" · {self._view.unread} to read" if self._view.unread else ""
        by = f" · by {self._sort}" if self._sort != "name" else ""
        self.query_one("#models-note", Line).show(Content.styled(f"{count} {noun}{by}{unread}", "$quiet"))
        self._paint_details()

    def _order(self, entry: "Entry") -> tuple[object, ...]:
        """Favourites, models that can be talked with, the rest; within them as chosen."""
        apart = 0 if entry.favourite else 2 if entry.kind in ("mmproj", "lora", "vocabulary") else 1
        name = entry.file.name.casefold()
        match self._sort:
            case "size":
                return apart, -entry.file.bytes, name
            case "speed":
                speed = entry.tps or (entry.fitting.tps if entry.fitting and entry.fitting.is_good else 0.0)
                return apart, -speed, name
            case "used":
                return apart, -(entry.used or 0.0), name
            case _:
                own = 0 if str(entry.file.path) in (self._given, str(paths.guide_model())) else 1
                return apart, own, name

    def _paint_details(self) -> None:
        line = self.query_one("#models-details", Line)
        entry = self._under_cursor
        if not self._details or entry is None:
            line.show_lines([])
            return
        from offtui.ui.panes.model_rows import details

        line.show_lines(details(entry, time.time(), self.content_size.width))

    def _open_metadata(self, entry: "Entry", header: "Header | None") -> None:
        from offtui.ui.screens.metadata import MetadataScreen

        if self._shelf is not None:
            self.app.push_screen(MetadataScreen(entry, header, self._shelf))  # pyright: ignore[reportUnknownMemberType] -- App[Unknown]


def _identity(path: Path) -> str:
    try:
        return str(path.resolve())
    except (OSError, ValueError, RuntimeError):  # a loop of links or a name the system refuses
        return str(path)


def _searched(entry: "Entry") -> str:
    arch = entry.facts.arch if entry.facts else ""
    return f"{entry.file.name} {entry.quant} {entry.file.repo} {arch}".casefold()


def _path_up(state: SessionState) -> str | None:
    if state.loaded is not None and state.phase is not Phase.CRASHED:
        return state.loaded.spec.model
    return None
