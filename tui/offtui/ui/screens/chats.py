"""The chats that were kept, over the screen: find one, go on with it, name it, pin it, tag it, delete it."""

import asyncio
import contextlib
import time
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input

from offtui.store.chats.changes import Change, SetDeleted, SetPinned, SetTags, SetTitle
from offtui.store.chats.titles import UNTITLED
from offtui.text import clean_line
from offtui.ui.keeping import Keeping
from offtui.ui.key_line import key_line
from offtui.ui.widgets.line import Line
from offtui.ui.widgets.rowlist import RowList
from offtui.ui.wording import when_text

if TYPE_CHECKING:
    from offtui.store.chats.keeper import Keeper
    from offtui.store.chats.values import ChatRow

_FINDS = "/ searches titles and text"
Doing = Literal["finding", "naming", "tagging"]
_KEYS = (
    ("Enter", "open"), ("/", "find"), ("r", "rename"), ("p", "pin"), ("t", "tags"), ("d", "delete"), ("u", "undo"),
)  # fmt: skip
"""In the last row, with the way back no wider than the box in a terminal of 80 columns."""


class ChatsList(RowList):
    """The rows; letters act on the screen around it."""


class ChatsScreen(ModalScreen[tuple[str, int | None] | None]):
    """Gives the chat chosen, and the message found in it; ``None``: none."""

    AUTO_FOCUS = "#chats-list"
    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "leave", "Back"),
        ("slash,ctrl+f", "find", "Search"),
        ("down", "move(1)", "Down"),
        ("up", "move(-1)", "Up"),
        ("r,f2", "name", "Rename"),
        ("p", "pin", "Pin"),
        ("t", "tag", "Tags"),
        ("d,delete", "delete", "Delete"),
        ("u", "undo", "Undo"),
    ]

    def __init__(self, keeper: "Keeper", current: Keeping) -> None:
        super().__init__()
        self._keeper = keeper
        self._current = current
        self.rows: list[ChatRow] = []
        """What is listed."""
        self._doing: Doing = "finding"
        self._query = ""
        self._deleted: list[tuple[str, str]] = []
        """Ids and titles, the newest last."""

    def compose(self) -> ComposeResult:
        """A box with a field, rows, and what the keys do."""
        with Vertical(id="chats-box") as box:
            box.border_title = "Chats"
            yield Input(placeholder=_FINDS, id="chats-field", select_on_focus=False)
            yield ChatsList(id="chats-list")
            yield Line(id="chats-note")

    def on_mount(self) -> None:
        """The newest first; typing searches."""
        self._say_keys()
        self._fill()

    # Searching

    def action_find(self) -> None:
        """To the field."""
        self._use_field("finding", self._query, _FINDS)

    def on_input_changed(self, message: Input.Changed) -> None:
        """Search while it is typed."""
        if self._doing == "finding" and message.value != self._query:
            self._query = message.value
            self._fill()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Open what was found first, or take the name or the tags."""
        chosen, text = self._chosen(), clean_line(message.value, 200)
        if self._doing == "finding":
            self._open()
            return
        if chosen is not None and self._doing == "naming" and text:
            self._current.renamed(chosen.id, text)
            self._change(SetTitle(chosen.id, text))
        elif chosen is not None and self._doing == "tagging":
            tags = (word.lstrip("#") for word in text.replace(",", " ").split())
            self._change(SetTags(chosen.id, tuple(dict.fromkeys(tag for tag in tags if tag))))
        self._leave_field()

    def _fill(self, keep: str | None = None) -> None:
        """Ask for the rows; ``keep``: the chat that the cursor shall stay on."""
        query = self._query

        async def ask() -> None:
            try:
                rows = await asyncio.wrap_future(self._keeper.ask(lambda library: library.rows(query)))
            except (asyncio.CancelledError, CancelledError):
                return
            except Exception as error:  # noqa: BLE001 -- sqlite3's errors, without importing it for the first picture
                self._say(f"The chats cannot be read: {error}", "$error")
                return
            if query == self._query:
                self.rows = [row for row in rows if row.messages]
                self._draw(keep)

        self.run_worker(ask(), group="rows", exclusive=True)

    def _draw(self, keep: str | None = None) -> None:
        now, current = time.time(), self._current.chat
        place = next((number for number, row in enumerate(self.rows) if row.id == keep), None)
        has_excerpts = any(row.excerpt for row in self.rows)
        self.query_one(ChatsList).show(
            len(self.rows),
            lambda number, width: row_lines(self.rows[number], width, now, current=current),
            place,
            height=2 if has_excerpts else 1,
        )
        if not self.rows and not self._deleted:
            self._say("Nothing is found." if self._query.strip() else "No chat has been kept yet.", "$quiet")
        else:
            self._say_keys()

    # One chat

    def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        """Enter, or a click."""
        message.stop()
        self._open()

    def _open(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self.dismiss((chosen.id, chosen.hit))

    def action_name(self) -> None:
        """Another title."""
        chosen = self._chosen()
        if chosen is not None:
            self._use_field("naming", chosen.title, "a title")

    def action_tag(self) -> None:
        """Other tags."""
        chosen = self._chosen()
        if chosen is not None:
            self._use_field("tagging", " ".join(chosen.tags), "tags, with spaces between them")

    def action_pin(self) -> None:
        """Before the others, or no longer."""
        chosen = self._chosen()
        if chosen is not None:
            self._change(SetPinned(chosen.id, not chosen.pinned))

    def action_delete(self) -> None:
        """Away, until undone or until offtui ends."""
        chosen = self._chosen()
        if chosen is None:
            return
        if chosen.id == self._current.chat:
            self._say("This chat is on the screen; begin another one first.", "$warning")
            return
        self._deleted.append((chosen.id, chosen.title))
        self._keeper.put(SetDeleted(chosen.id, True))
        self._fill()

    def action_undo(self) -> None:
        """Have the chat deleted last back."""
        if self._deleted:
            id, _ = self._deleted.pop()
            self._change(SetDeleted(id, False), keep=id)

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self.query_one(ChatsList).action_move(by)

    def action_leave(self) -> None:
        """Out of the field; without it, out of the list."""
        if self._doing != "finding":
            self._leave_field()
        elif self._query:
            self._query = ""
            self._leave_field()
            self._fill()
        elif self.query_one(Input).has_focus:
            self._leave_field()
        else:
            self.dismiss(None)

    def _change(self, change: Change, *, keep: str | None = None) -> None:
        self._keeper.put(change)
        self._fill(keep or change.chat)

    def _chosen(self) -> "ChatRow | None":
        place = self.query_one(ChatsList).cursor
        return self.rows[place] if place is not None and place < len(self.rows) else None

    def _use_field(self, doing: Doing, text: str, placeholder: str) -> None:
        self._doing = doing
        field = self.query_one(Input)
        field.placeholder = placeholder
        field.value = text
        field.cursor_position = len(text)
        field.focus()
        if doing == "finding":
            self._say("↑ ↓ choose · Enter opens · Esc ends the search", "$quiet")
        else:
            self._say("Enter takes it · Esc leaves it as it was", "$quiet")

    def on_resize(self) -> None:
        """As many keys as there is room for."""
        self.call_after_refresh(self._say_keys)

    def _leave_field(self) -> None:
        self._doing = "finding"
        field = self.query_one(Input)
        field.placeholder = _FINDS
        with self.prevent(Input.Changed):
            field.value = self._query
        self.query_one(ChatsList).focus()
        self._say_keys()

    def _say_keys(self) -> None:
        if self.query_one(Input).has_focus:
            return
        keys = list(_KEYS)
        if self._deleted:
            title = clean_line(self._deleted[-1][1], 24) or UNTITLED
            keys = [("u", f"has {title} back"), *(pair for pair in keys if pair[0] != "u")]
        width = self.query_one("#chats-note", Line).content_size.width or self.size.width - 8
        self._show(key_line(keys, width, leave=("Esc", "back")))

    def _say(self, text: str, style: str) -> None:
        self._show(Content.styled(text, style))

    def _show(self, text: Content) -> None:
        with contextlib.suppress(LookupError):  # nothing is there yet, or no longer
            self.query_one("#chats-note", Line).show(text)


def row_lines(row: "ChatRow", width: int, now: float, *, current: str = "") -> list[Content]:
    """A chat in a list: title and tags, then by which model and when; below, where the words were found."""
    model = clean_line(row.model, 24) if width >= 60 else ""
    note = "  ".join(part for part in (model, f"{when_text(row.updated, now):>10}") if part)
    mark = ("▲ ", "$accent") if row.pinned else ("● ", "$primary") if row.id == current else ("  ", "")
    tags = clean_line("".join(f"  #{tag}" for tag in row.tags), 40)
    title = Content.assemble(mark, clean_line(row.title) or UNTITLED, (f"  {tags}" if tags else "", "$accent"))
    room = max(width - len(note) - 2, 8)
    title = title.truncate(room, ellipsis=True)
    lines = [Content.assemble(title, " " * (room - title.cell_length + 2), (note, "$quiet"))]
    if row.excerpt:
        found = Content(clean_line(row.excerpt)).truncate(max(width - 4, 8), ellipsis=True)
        lines.append(Content.assemble("    ", found.stylize("$quiet")))
    return lines
