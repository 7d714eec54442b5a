"""The models: files found on this machine, the built-in guide and the path that was given."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import var
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from offtui import paths
from offtui.engine.state import Phase, SessionState
from offtui.text import clean_line
from offtui.ui.commands import Where, bindings
from offtui.ui.messages import LibraryRead, ModelChosen, PaneLeft
from offtui.ui.ports import Search
from offtui.ui.widgets.line import Line
from offtui.units import size_text

if TYPE_CHECKING:
    from offtui.gguf.library import ModelFile

_SOURCES = {"folder": "folder", "huggingface": "Hugging Face", "lmstudio": "LM Studio", "llama.cpp": "llama.cpp"}


class ModelList(OptionList):
    """The rows; letters act on the pane around it."""


class ModelsPane(Vertical):
    """A list with a filter and details; the file chosen goes up."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.MODELS), ("escape", "leave", "Back")]

    session: var[SessionState] = var(SessionState())

    def __init__(self, search: Search, given: str | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = " Models "
        self._search = search
        self._given = given
        self._files: tuple[ModelFile, ...] = ()
        self._shown: list[ModelFile] = []
        self._details = False

    def compose(self) -> ComposeResult:
        """Filter, rows, details."""
        yield Input(placeholder="filter by name", id="models-filter", select_on_focus=False)
        yield ModelList(id="models-list", markup=False)
        yield Line(id="models-details")
        yield Line(id="models-note")

    def on_mount(self) -> None:
        """After the first picture, show what is known, and look for the rest in a thread."""
        self.call_after_refresh(self._begin)

    def action_again(self) -> None:
        """Search the folders again."""
        self.query_one("#models-note", Line).show(Content.styled("searching…", "$quiet"))
        self.run_worker(self._read, thread=True, exclusive=True, exit_on_error=False)

    def action_filter(self) -> None:
        """Open the filter."""
        box = self.query_one("#models-filter", Input)
        box.display = True
        box.focus()

    def action_details(self) -> None:
        """Show or hide what is known of the file under the cursor."""
        self._details = not self._details
        self._paint_details()

    def action_leave(self) -> None:
        """Close the filter; without one, leave the pane."""
        box = self.query_one("#models-filter", Input)
        if box.display:
            box.value = ""
            box.display = False
            self.query_one(ModelList).focus()
        else:
            self.post_message(PaneLeft())

    def watch_session(self, before: SessionState, after: SessionState) -> None:
        """Mark the row that is up."""
        if self.is_mounted and _path_up(before) != _path_up(after):
            self._fill()

    def on_library_read(self, message: LibraryRead) -> None:
        """Take over what was found."""
        message.stop()
        found = {_identity(file.path): file for file in message.files}
        own = [found.pop(_identity(file.path), file) for file in self._own_files()]
        self._files = (*own, *found.values())
        self._fill()

    def on_resize(self) -> None:
        """Fit the columns."""
        self._fill()

    def on_input_changed(self, message: Input.Changed) -> None:
        """Filter while typing."""
        message.stop()
        self._fill()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """To the rows."""
        message.stop()
        self.query_one(ModelList).focus()

    def on_option_list_option_highlighted(self, message: OptionList.OptionHighlighted) -> None:
        """Follow with the details."""
        message.stop()
        self._paint_details()

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Load it."""
        message.stop()
        self.post_message(ModelChosen(self._shown[message.option_index].path))

    def _begin(self) -> None:
        self._files = self._own_files()
        self._fill()
        self.action_again()

    def _read(self) -> None:
        self.post_message(LibraryRead(tuple(self._search())))

    def _own_files(self) -> "tuple[ModelFile, ...]":
        guide = paths.guide_model()
        files = [_file(guide, "guide (built in)")] if guide.is_file() else []
        if self._given is not None and _identity(Path(self._given)) != _identity(guide):
            given = Path(self._given)
            files.insert(0, _file(given, clean_line(given.name.removesuffix(".gguf")) or "(no name)"))
        return tuple(files)

    def _fill(self) -> None:
        if not self.is_mounted:
            return
        rows = self.query_one(ModelList)
        words = self.query_one("#models-filter", Input).value.casefold().split()
        chosen = self._shown[rows.highlighted].path if rows.highlighted is not None and self._shown else None
        self._shown = [file for file in self._files if all(word in _searched(file) for word in words)]
        up = _path_up(self.session)
        width = max(rows.size.width - 2, 16)
        rows.clear_options()
        rows.add_options([Option(model_row(file, width, up=str(file.path) == up)) for file in self._shown])
        index = next((i for i, file in enumerate(self._shown) if file.path == chosen), 0 if self._shown else None)
        rows.highlighted = index
        count = f"{len(self._shown)} of {len(self._files)}" if words else f"{len(self._files)}"
        noun = "model file" if count == "1" else "model files"
        self.query_one("#models-note", Line).show(Content.styled(f"{count} {noun}", "$quiet"))
        self._paint_details()

    def _paint_details(self) -> None:
        line = self.query_one("#models-details", Line)
        rows = self.query_one(ModelList)
        shown = self._details and rows.highlighted is not None
        line.show_lines(details(self._shown[rows.highlighted]) if shown and rows.highlighted is not None else [])


def model_row(file: "ModelFile", width: int, *, up: bool) -> Content:
    """Name at the left, quantisation and size at the right."""
    size = size_text(file.bytes)
    tail = f"{file.quant[:8]:<8}{size:>9}" if width >= 34 else f"{size:>9}"
    room = max(width - len(tail) - 3, 4)
    name = _bare_name(file) if width >= 34 else clean_line(file.name)
    shown = Content(name).truncate(room, ellipsis=True)
    style = "$error" if file.missing else "$quiet"
    return Content.assemble(
        ("● " if up else "  ", "$success"),
        shown,
        " " * (room - shown.cell_length + 1),
        (tail, style),
    )


def _bare_name(file: "ModelFile") -> str:
    """The name without the quantisation at its end, which stands in a column of its own."""
    name = clean_line(file.name)
    if file.quant and name.casefold().endswith(file.quant.casefold()):
        return name[: -len(file.quant)].rstrip("-_. ") or name
    return name


def details(file: "ModelFile") -> list[Content]:
    """Where it lies, how big it is, what its name says."""
    rows = [
        ("file", clean_line(str(file.path))),
        ("size", f"{size_text(file.bytes)}" + (f" in {len(file.parts)} parts" if len(file.parts) > 1 else "")),
        ("from", _SOURCES.get(file.source, file.source) + (f" · {clean_line(file.repo)}" if file.repo else "")),
    ]
    if file.missing:
        rows.append(("lacks", f"{file.missing} parts; it cannot be loaded"))
    return [Content.assemble((f"{key:<6}", "$quiet"), value) for key, value in rows]


def _file(path: Path, name: str) -> "ModelFile":
    try:
        size = path.stat().st_size
    except (OSError, ValueError):  # missing, or a name the system refuses: loading it will say so
        size = 0
    from offtui.gguf.library import ModelFile  # takes 7 ms, and the first picture does not need it

    return ModelFile(path=path, name=name, bytes=size, quant="")


def _identity(path: Path) -> str:
    try:
        return str(path.resolve())
    except (OSError, ValueError, RuntimeError):  # a loop of links or a name the system refuses
        return str(path)


def _searched(file: "ModelFile") -> str:
    return f"{file.name} {file.quant} {file.repo}".casefold()


def _path_up(state: SessionState) -> str | None:
    if state.loaded is not None and state.phase is not Phase.CRASHED:
        return state.loaded.spec.model
    return None
