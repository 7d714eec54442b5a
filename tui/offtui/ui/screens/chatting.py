"""What the main screen does with the chat: messages, versions, the chats that were kept."""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from textual.app import App
from textual.reactive import var

from offtui.engine.state import Phase
from offtui.errors import UsageError
from offtui.store.chats.changes import NEW_CHAT
from offtui.text import clean_line
from offtui.ui import messages
from offtui.ui.keeping import Keeping
from offtui.ui.panes.chat import ChatPane
from offtui.ui.panes.footer import KeyFooter
from offtui.ui.screens.arrangement import Pane
from offtui.ui.screens.steered import SteeredScreen

if TYPE_CHECKING:
    from offtui.store.chats.keeper import Keeper

LAST, CHOOSE = "last", "choose"
"""Instead of a chat's id: the one that was talked in last; the list."""

T = TypeVar("T")


class ChattingScreen(SteeredScreen):
    """A screen with a chat that is kept."""

    open_pane: var[Pane] = var[Pane]("")
    """The pane that covers the chat."""
    keeper: "Keeper | None" = None
    _kept: Keeping | None = None
    _sought: tuple[str, ...] = ()

    @property
    def chat(self) -> ChatPane:
        """The chat."""
        return self.query_one(ChatPane)

    @property
    def chat_kept(self) -> bool:
        """There is something on the screen to go on with the next time."""
        return self._kept is not None and self._kept.chat != NEW_CHAT

    def keep(self, keeper: "Keeper", begin_with: str | None) -> None:
        """From now on the chats are kept.

        Args:
            keeper: who does that.
            begin_with: the chat to go on with, by id, ``LAST`` or ``CHOOSE``; ``None``: a new one.
        """
        self.keeper = keeper
        self._kept = self.chat.talk.keeping
        self._kept.attach(keeper)
        if begin_with == CHOOSE:
            self.action_chats()
        elif begin_with is None:
            self._when(keeper.ask(lambda library: library.new_draft()), self.chat.restore_draft)
        else:
            self.open_chat(begin_with)

    def open_chat(self, chat: str, hit: int | None = None) -> None:
        """Go on with a chat that was kept; ``hit``: a message of it to show."""
        if self.keeper is None:
            return

        def opened(found: object) -> None:
            from offtui.store.chats.values import Chat

            if isinstance(found, Chat):
                if self.session.phase is Phase.GENERATING:
                    self.steering.stop()
                self.chat.open_chat(found, hit)
                self.action_leave_pane()
                if hit is not None:
                    self.set_focus(self.chat.transcript)
            elif chat == LAST:
                self.flash("There is no chat to go on with; this is a new one.")
            else:
                self.chat.error(f"There is no chat {chat!r}; `offtui chats` lists them.")

        self._when(self.keeper.ask(lambda library: library.named(chat)), opened)

    def _when(self, future: "Future[T]", then: Callable[[T], object]) -> None:
        """Have ``then`` called with what the keeper answers; where it cannot, that is said."""

        async def wait() -> None:
            try:
                answer = await asyncio.wrap_future(future)
            except asyncio.CancelledError:
                return
            except Exception as error:  # noqa: BLE001 -- sqlite3's errors, without importing it for the first picture
                self.flash(f"The chats cannot be read: {error}", "$error")
                return
            then(answer)

        self.run_worker(wait(), exit_on_error=True)

    def on_chats_said(self, message: messages.ChatsSaid) -> None:
        """Saving does not work, or works again: said in the chat, for the last row forgets it."""
        self.chat.notice(message.text)

    def on_chat_lost(self, message: messages.ChatLost) -> None:
        """If it is the one on the screen, it is kept once more, as a whole."""
        self.chat.talk.keeping.lost(message.chat, self.chat.conversation)

    def on_turn_asked(self, message: messages.TurnAsked) -> None:
        """A question for the model, or an answer for it to go on with."""
        if message.broken is not None:
            self.steering.go_on(message.broken, message.turn)
            return
        said = self.chat.conversation.messages()
        (self.steering.resume if message.go_on else self.steering.submit)(message.turn, said)

    # Actions

    def action_leave_pane(self) -> None:
        """Uncover the chat and go to the prompt."""
        self.open_pane = ""
        self.set_focus(self.chat.prompt)

    def action_new_chat(self) -> None:
        """Begin a new chat; a running answer is stopped."""
        if self.session.phase is Phase.GENERATING:
            self.steering.stop()
        self.chat.begin_anew()
        self.action_leave_pane()

    def action_chats(self) -> None:
        """The chats that were kept, as a list."""
        if self.keeper is None:
            self.flash("Chats are not kept here.")
            return
        from offtui.ui.screens.chats import ChatsScreen

        self.chat.keep_draft()
        app = cast("App[None]", self.app)  # pyright: ignore[reportUnknownMemberType] -- Textual leaves App[Unknown]
        app.push_screen(ChatsScreen(self.keeper, self.chat.talk.keeping), self._chat_chosen)

    def _chat_chosen(self, chosen: tuple[str, int | None] | None) -> None:
        if chosen is not None:
            self.open_chat(*chosen)

    def action_name_chat(self) -> None:
        """Have a title typed."""
        self.chat.prompt.restore(f"/title {self.chat.talk.keeping.title}")
        self.action_leave_pane()

    def name_chat(self, title: str) -> None:
        """Another title for this chat."""
        title = clean_line(title, 200)
        if self.chat.talk.keeping.rename(title):
            self.flash(f"This chat is called {title}.", "$primary")
        else:
            self.flash("There is no chat to name yet.")

    def action_export_chat(self) -> None:
        """Write this chat as Markdown, under its title."""
        name = re.sub(r"[^\w-]+", "-", self.chat.talk.keeping.title).strip("-") or "chat"
        self.export_chat(f"{name[:60]}.md")

    def export_chat(self, name: str) -> None:
        """Write the branch that is shown to a file that is not there yet: JSON by its suffix, else Markdown.

        Raises:
            UsageError: it cannot be written.
        """
        from offtui.store.chats.exporting import to_json, to_markdown

        whole = self.chat.talk.keeping.whole(self.chat.conversation)
        if whole is None:
            raise UsageError("There is no chat to write yet.")
        try:
            file = Path(name).expanduser()
            with open(file, "xb") as out:
                out.write(to_json(whole) if file.suffix == ".json" else to_markdown(whole).encode("utf-8", "replace"))
        except FileExistsError:
            raise UsageError(f"{clean_line(name, 200)} is there already; give another name.") from None
        except (OSError, ValueError, RuntimeError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise UsageError(f"{clean_line(name, 200)} cannot be written: {clean_line(why)}.") from error
        self.flash(f"Written: {clean_line(str(file.absolute()), 300)}", "$primary")

    def action_details(self) -> None:
        """What the chosen answer, or the last one, was written with."""
        said = self.chat.talk.chosen() or self.chat.talk.last_answer()
        if said is not None and said.role == "user":
            said = said.next()
        stamp = said.stamp if said is not None else None
        text = stamp.details() if stamp is not None else ""
        if not text:
            self.flash("Nothing is known of how that was written.")
        elif not self.query_one(KeyFooter).say(text):
            self.chat.notice(text)

    def action_find(self) -> None:
        """Have words typed."""
        self.chat.prompt.restore("/find ")
        self.action_leave_pane()

    def find(self, text: str) -> None:
        """Choose the newest message of this chat with all these words."""
        self._sought = tuple(text.casefold().split())
        self.chat.transcript.choose(None)
        self.action_found(-1)

    def action_found(self, by: int) -> None:
        """The message with the words sought before or after the chosen one."""
        if not self._sought:
            self.flash("/find WORDS looks for them in this chat first.")
        elif self.chat.talk.find(self._sought, by):
            self.set_focus(self.chat.transcript)
        else:
            self.flash(f"No {'earlier' if by < 0 else 'later'} message has that.")

    def action_choose(self, by: int) -> None:
        """Choose the message before or after."""
        self.set_focus(self.chat.transcript)
        self.chat.transcript.choose_next(by)

    def action_regenerate(self) -> None:
        """Answer the chosen question, or the last one, again."""
        self.chat.regenerate()

    def action_edit(self) -> None:
        """Ask something else in the place of a question."""
        self.chat.edit()

    def action_version(self, by: int) -> None:
        """Another version of a message."""
        if not self.chat.turn_version(by):
            self.flash("There is no other version. r answers again, e asks something else.")

    def action_delete(self) -> None:
        """Take the chosen message and what follows it out."""
        count = self.chat.remove_chosen()
        if count:
            self.flash(f"{count} {'message' if count == 1 else 'messages'} deleted; u undoes it.")
        else:
            self.flash("Choose a message with j and k first.")

    def action_undo(self) -> None:
        """Put back what was deleted last."""
        self.flash("It is back." if self.chat.talk.undo() else "There is nothing to undo.")

    def action_continue(self) -> None:
        """Have the last answer, which broke off, written on."""
        if not self.chat.go_on():
            self.flash("There is no answer that broke off at the end of the chat.")

    def action_reasoning(self) -> None:
        """Fold or unfold reasoning."""
        self.chat.transcript.toggle_reasoning()

    def action_scroll_chat(self, rows: str) -> None:
        """Scroll the transcript while typing."""
        self.chat.scroll_transcript(rows)

    def action_copy_answer(self) -> None:
        """Copy the chosen message, else the newest answer, as it was written."""
        text = self.chat.chosen_text()
        if text:
            self.flash(self._desk.copy(text), "$primary")
