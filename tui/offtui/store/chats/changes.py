"""Changes to the chats, as values: each can be written at once, later, or once more."""

from abc import abstractmethod
from typing import TYPE_CHECKING

import msgspec

from offtui.store.chats.values import Chat, StoredMessage

if TYPE_CHECKING:  # takes 8 ms, and the first picture does not need it
    import sqlite3

NEW_CHAT = ""
"""Instead of a chat's id: the one that has not been begun; only a draft of it is kept."""


class ChatGone(Exception):
    """The chat of a change is not in the file: another offtui deleted it, or the file is another one."""

    def __init__(self, chat: str) -> None:
        super().__init__(chat)
        self.chat = chat


class Change(msgspec.Struct, frozen=True):
    """What shall be different in the file."""

    chat: str

    @abstractmethod
    def apply(self, connection: "sqlite3.Connection", now: float) -> None:
        """Write it; ``now``: seconds since 1970.

        Raises:
            ChatGone: there is no such chat.
            sqlite3.Error: it cannot be written.
        """

    def key(self) -> object:
        """A later change of the same key makes this one superfluous."""
        return (type(self), self.chat)


class PutChat(Change, frozen=True):
    """There is this chat, with these messages; those it has already stay."""

    whole: Chat

    def apply(self, connection: "sqlite3.Connection", now: float) -> None:
        """Write it."""
        row, whole = self.whole.row, self.whole
        connection.execute(
            "INSERT INTO chats VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT DO UPDATE SET title = "
            "excluded.title, named = excluded.named, pinned = excluded.pinned, draft = excluded.draft, "
            "system_prompt = excluded.system_prompt, shown = excluded.shown, deleted = NULL",
            (row.id, row.title, row.named, row.created, row.updated, row.pinned, row.model, whole.system_prompt,
             whole.draft, whole.shown),
        )  # fmt: skip
        SetTags(self.chat, row.tags).apply(connection, now)
        for message in whole.messages:
            PutMessage(self.chat, message).apply(connection, now)


class PutMessage(Change, frozen=True):
    """There is this message, with this text."""

    message: StoredMessage

    def key(self) -> object:
        """By message."""
        return (PutMessage, self.message.id)

    def apply(self, connection: "sqlite3.Connection", now: float) -> None:
        """Write it."""
        message = self.message
        stamp = msgspec.json.encode(message.stamp) if message.stamp is not None else None
        model = message.stamp.model if message.stamp is not None else ""
        done = connection.execute(
            "UPDATE chats SET updated = max(updated, ?), model = CASE ? WHEN '' THEN model ELSE ? END WHERE id = ?",
            (message.created, model, model, self.chat),
        )
        if not done.rowcount:
            raise ChatGone(self.chat)
        connection.execute(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET state = "
            "excluded.state, updated = excluded.updated, stamp = excluded.stamp, content = excluded.content, "
            "reasoning = excluded.reasoning",
            (message.id, self.chat, message.parent, message.shown, message.role, message.state, message.created, now,
             stamp, _text(message.content), _text(message.reasoning)),
        )  # fmt: skip


class Show(Change, frozen=True):
    """Of the versions that follow ``parent``, this one is shown."""

    parent: int | None
    child: int

    def key(self) -> object:
        """By the place in the tree."""
        return (Show, self.chat, self.parent)

    def apply(self, connection: "sqlite3.Connection", now: float) -> None:
        """Write it."""
        if self.parent is None:
            connection.execute("UPDATE chats SET shown = ? WHERE id = ?", (self.child, self.chat))
        else:
            connection.execute("UPDATE messages SET shown = ? WHERE id = ?", (self.child, self.parent))


class DropMessages(Change, frozen=True):
    """These messages are no more."""

    ids: tuple[int, ...]

    def key(self) -> object:
        """Each counts by itself."""
        return self

    def apply(self, connection: "sqlite3.Connection", now: float) -> None:
        """Write it."""
        connection.executemany("DELETE FROM messages WHERE id = ?", [(id,) for id in self.ids])


class SetTitle(Change, frozen=True):
    """The title; ``named``: given by the user."""

    title: str
    named: bool = True

    def apply(self, connection: "sqlite3.Connection", now: float) -> None:
        """Write it."""
        values = (_text(self.title), self.named, self.chat)
        connection.execute("UPDATE chats SET title = ?, named = ? WHERE id = ?", values)


class SetSystemPrompt(Change, frozen=True):
    """What the model gets before the conversation; ``None``: the config's."""

    text: str | None

    def apply(self, connection: "sqlite3.Connection", now: float) -> None:
        """Write it."""
        text = _text(self.text) if self.text is not None else None
        connection.execute("UPDATE chats SET system_prompt = ? WHERE id = ?", (text, self.chat))


class SetPinned(Change, frozen=True):
    """Whether it stands before the others."""

    pinned: bool

    def apply(self, connection: "sqlite3.Connection", now: float) -> None:
        """Write it."""
        connection.execute("UPDATE chats SET pinned = ? WHERE id = ?", (self.pinned, self.chat))


class SetTags(Change, frozen=True):
    """The words it can be found by."""

    tags: tuple[str, ...]

    def apply(self, connection: "sqlite3.Connection", now: float) -> None:
        """Write it."""
        connection.execute("DELETE FROM tags WHERE chat = ?", (self.chat,))
        rows = [(self.chat, _text(tag)) for tag in dict.fromkeys(self.tags)]
        connection.executemany("INSERT INTO tags VALUES (?, ?)", rows)


class SetDraft(Change, frozen=True):
    """What is typed and not sent."""

    text: str

    def apply(self, connection: "sqlite3.Connection", now: float) -> None:
        """Write it."""
        if self.chat == NEW_CHAT:
            connection.execute("INSERT OR REPLACE INTO remembered VALUES ('draft', ?)", (_text(self.text),))
        else:
            connection.execute("UPDATE chats SET draft = ? WHERE id = ?", (_text(self.text), self.chat))


class SetDeleted(Change, frozen=True):
    """Whether it is gone from all lists; it is there until it is purged."""

    deleted: bool

    def apply(self, connection: "sqlite3.Connection", now: float) -> None:
        """Write it."""
        connection.execute("UPDATE chats SET deleted = ? WHERE id = ?", (now if self.deleted else None, self.chat))


class Purge(Change, frozen=True):
    """The chat is really gone, if it is deleted still."""

    def apply(self, connection: "sqlite3.Connection", now: float) -> None:
        """Write it."""
        gone = connection.execute("DELETE FROM chats WHERE id = ? AND deleted IS NOT NULL", (self.chat,))
        if gone.rowcount:
            connection.execute("DELETE FROM messages WHERE chat = ?", (self.chat,))
            connection.execute("DELETE FROM tags WHERE chat = ?", (self.chat,))


def _text(text: str) -> str:
    """As UTF-8 can hold it: lone halves of a pair, which no cleaned text has, are replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
