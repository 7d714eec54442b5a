"""What of the conversation is kept, and when: everything at once, what is typed a moment later."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from offtui.store.chats.changes import (
    NEW_CHAT,
    Change,
    DropMessages,
    PutChat,
    PutMessage,
    SetDraft,
    SetSystemPrompt,
    SetTitle,
    Show,
)
from offtui.store.chats.titles import title_of
from offtui.store.chats.values import Chat, ChatRow, new_chat_id
from offtui.ui.conversation import Conversation, Said

if TYPE_CHECKING:
    from offtui.store.chats.keeper import Keeper


class Keeping:
    """Tells the keeper what changes in one conversation; without a keeper it tells nobody."""

    def __init__(self) -> None:
        self._keeper: Keeper | None = None
        self._row: ChatRow | None = None
        self._system_prompt: str | None = None
        self._draft = ""

    def attach(self, keeper: "Keeper") -> None:
        """From now on this one keeps it."""
        self._keeper = keeper

    @property
    def chat(self) -> str:
        """The chat's id; ``NEW_CHAT`` until the first question."""
        return self._row.id if self._row is not None else NEW_CHAT

    @property
    def title(self) -> str:
        """The chat's title, as far as this conversation knows; ``""`` until the first question."""
        return self._row.title if self._row is not None else ""

    def begin_anew(self) -> None:
        """Another conversation, which is not begun yet."""
        self._row, self._system_prompt, self._draft = None, None, ""

    def take_over(self, chat: Chat) -> None:
        """Another conversation, which is kept already."""
        self._row, self._system_prompt, self._draft = chat.row, chat.system_prompt, chat.draft

    def asked(self, answer: Said, turn: int, *, begun: Sequence[Said] = ()) -> None:
        """An answer is open: it is kept with what it answers, before anything is generated.

        Args:
            answer: in which state it is now.
            turn: whose pieces belong to it.
            begun: questions that are new.
        """
        if self._row is None:
            now = time.time()
            title = title_of(begun[0].text) if begun else ""
            self._row = ChatRow(id=new_chat_id(), title=title, created=now, updated=now)
            self._put(
                PutChat(self.chat, Chat(row=self._row, system_prompt=self._system_prompt)), SetDraft(NEW_CHAT, "")
            )
        for said in (*begun, answer):
            self._put(PutMessage(self.chat, said.stored(self.chat)), *self._shown(said))
        if self._keeper is not None:
            self._keeper.follow(turn, answer.stored(self.chat))

    def ended(self, answer: Said, turn: int) -> None:
        """It is as it will be."""
        if self._keeper is not None:
            self._keeper.unfollow(turn)
        self._put(PutMessage(self.chat, answer.stored(self.chat)))

    def changed(self, said: Said) -> None:
        """More is known of it."""
        self._put(PutMessage(self.chat, said.stored(self.chat)))

    def shown(self, said: Said) -> None:
        """This version is shown, and what leads to it."""
        self._put(*(change for node in _path(said) for change in self._shown(node)))

    def removed(self, said: Said) -> None:
        """It and everything after it is gone."""
        self._put(DropMessages(self.chat, tuple(node.id for node in said.all_after())))

    def put_back(self, said: Said) -> None:
        """It is there again."""
        self._put(*(PutMessage(self.chat, node.stored(self.chat)) for node in said.all_after()))
        self.shown(said)

    def rename(self, title: str) -> bool:
        """Give this chat another title; whether there is one to name."""
        if self._row is None or not title:
            return False
        self.renamed(self.chat, title)
        self._put(SetTitle(self.chat, title))
        return True

    def whole(self, conversation: Conversation) -> Chat | None:
        """This chat as it is kept; ``None``: it is not begun."""
        if self._row is None:
            return None
        return conversation.whole(self._row, self._draft, self._system_prompt)

    @property
    def system_prompt(self) -> str | None:
        """This chat's own; ``None``: it has none."""
        return self._system_prompt

    def instruct(self, system_prompt: str | None) -> None:
        """The model gets this before the conversation; ``None``: what the config says."""
        if system_prompt != self._system_prompt:
            self._system_prompt = system_prompt
            if self._row is not None:
                self._put(SetSystemPrompt(self.chat, system_prompt))

    def renamed(self, chat: str, title: str) -> None:
        """The user has given a chat another title, perhaps this one."""
        if self._row is not None and chat == self._row.id:
            self._row = msgspec.structs.replace(self._row, title=title, named=True)

    def draft(self, text: str) -> None:
        """What is typed now."""
        if text != self._draft:
            self._draft = text
            self._put(SetDraft(self.chat, text))

    def lost(self, chat: str, conversation: Conversation) -> None:
        """The file does not have this chat: if it is this one, it is put there as a whole."""
        if self._row is not None and chat == self._row.id:
            self._put(PutChat(chat, conversation.whole(self._row, self._draft, self._system_prompt)))

    def _shown(self, said: Said) -> list[Change]:
        parent = said.parent
        if parent is None or len(parent.versions) < 2:
            return []
        return [Show(self.chat, parent.id if parent.parent is not None else None, said.id)]

    def _put(self, *changes: Change) -> None:
        if self._keeper is not None and changes:
            self._keeper.put(*changes)


def _path(said: Said) -> list[Said]:
    path = [said]
    while (parent := path[-1].parent) is not None and parent.parent is not None:
        path.append(parent)
    return path
