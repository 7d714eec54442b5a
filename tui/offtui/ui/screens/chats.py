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
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from offtui.store.chats.changes import Change, SetDeleted, SetPinned, SetTags, SetTitle
from offtui.store.chats.titles import UNTITLED
from offtui.text import clean_line
from offtui.ui.keeping import Keeping
from offtui.ui.widgets.line import Line
from offtui.ui.wording import when_text

if TYPE_CHECKING:
    from offtui.store.chats.keeper import Keeper
    from offtui.store.chats.values import ChatRow

SHOWN = 500
"""Rows of the list at most; searching finds the others."""
_FINDS = "/ searches titles and text"
Doing = Literal["finding", "naming", "tagging"]


class ChatsList(OptionList):
    """The rows; letters act on the screen around it."""


class ChatsScreen(ModalScreen[tuple[str, int | None] | None]):
    """Gives the chat chosen, and the message found in it; ``None``: none."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "leave", "Back"),
        ("slash,ctrl+f", "find", "Search"),
        ("down", "move(1)", "Down"),
        ("up", "move(-1)", "Up"),
        ("j", "move(1)", "Down"),
        ("k", "move(-1)", "Up"),
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
        self._rows: list[ChatRow] = []
        self._doing: Doing = "finding"
        self._query = ""
        self._deleted: list[tuple[str, str]] = []
        """Ids and titles, the newest last."""

    def compose(self) -> ComposeResult:
        """A box with a field, rows, and what the keys do."""
        with Vertical(id="chats-box") as box:
            box.border_title = "Chats"
            yield Input(placeholder=_FINDS, id="chats-field", select_on_focus=False)
            yield ChatsList(id="chats-list", markup=False)
            yield Line(id="chats-note")

    def on_mount(self) -> None:
        """The newest first; typing searches."""
        self._say_keys()
        self.query_one(ChatsList).focus()
        self._fill()

    def on_resize(self) -> None:
        """Fit the columns."""
        self.call_after_refresh(self._draw)

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
            self._change(
                SetTags(chosen.id, tuple(dict.fromkeys(tag.lstrip("#") for tag in text.split() if tag != "#")))
            )
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
                self._rows = [row for row in rows if row.messages][:SHOWN]
                self._draw(keep)

        self.run_worker(ask(), group="rows", exclusive=True)

    def _draw(self, keep: str | None = None) -> None:
        listed = self.query_one(ChatsList)
        place = listed.highlighted or 0
        width = max(listed.content_size.width - 1, 20)
        now = time.time()
        listed.clear_options()
        listed.add_options([Option(row_content(row, width, now, current=self._current.chat)) for row in self._rows])
        if keep is not None:
            place = next((number for number, row in enumerate(self._rows) if row.id == keep), place)
        listed.highlighted = min(place, len(self._rows) - 1) if self._rows else None
        if not self._rows:
            self._say("Nothing is found." if self._query.strip() else "No chat has been kept yet.", "$quiet")
        else:
            self._say_keys()

    # One chat

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
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
        listed = self.query_one(ChatsList)
        if by > 0:
            listed.action_cursor_down()
        else:
            listed.action_cursor_up()

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
        place = self.query_one(ChatsList).highlighted
        return self._rows[place] if place is not None and place < len(self._rows) else None

    def _use_field(self, doing: Doing, text: str, placeholder: str) -> None:
        self._doing = doing
        field = self.query_one(Input)
        field.placeholder = placeholder
        field.value = text
        field.cursor_position = len(text)
        field.focus()
        if doing == "finding":
            self._say("↑ ↓ choose · Enter opens · Esc ends the search", "$quiet")
        if doing != "finding":
            self._say("Enter takes it · Esc leaves it as it was", "$quiet")

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
        keys = ["Enter opens", "/ search", "r rename", "p pin", "t tags", "d delete"]
        if self._deleted:
            keys.append(f"u undo: {clean_line(self._deleted[-1][1] or UNTITLED, 24)}")
        self._say(" · ".join(keys), "$quiet")

    def _say(self, text: str, style: str) -> None:
        with contextlib.suppress(LookupError):  # nothing is there yet, or no longer
            self.query_one("#chats-note", Line).show(Content.styled(text, style))


def row_content(row: "ChatRow", width: int, now: float, *, current: str = "") -> Content:
    """A chat in a list: title and tags, then when and by which model; below, where the words were found."""
    when = when_text(row.updated, now)
    model = clean_line(row.model, 24) if width >= 60 else ""
    note = "  ".join(part for part in (model, f"{when:>10}") if part)
    mark = ("▲ ", "$accent") if row.pinned else ("● ", "$primary") if row.id == current else ("  ", "")
    tags = " ".join(f"#{tag}" for tag in row.tags)
    title = Content.assemble(
        mark, clean_line(row.title) or UNTITLED, (f"  {clean_line(tags, 40)}" if tags else "", "$accent")
    )
    room = max(width - len(note) - 2, 8)
    title = title.truncate(room, ellipsis=True)
    parts: list[Content | tuple[str, str] | str] = [title, " " * (room - title.cell_length + 2), (note, "$quiet")]
    if row.excerpt:
        found = Content(clean_line(row.excerpt)).truncate(max(width - 4, 8), ellipsis=True)
        parts += ["\n    ", found.stylize("$quiet")]
    return Content.assemble(*parts)
