"""What is read of the chats: lists, searches, whole chats. Of one connection, or of two laid over one another."""

import contextlib
import sqlite3
from collections.abc import Generator, Iterable, Sequence
from typing import Any

import msgspec

from offtui.store.chats.excerpts import excerpt, fts_query, like_patterns
from offtui.store.chats.values import Chat, ChatRow, Stamp, StoredMessage

HITS = 200
"""Chats found by their text, newest first."""
_STAMPS = msgspec.json.Decoder(Stamp)
_ROW = (
    "SELECT id, title, named, created, updated, pinned, model, "
    "(SELECT count(*) FROM messages WHERE messages.chat = chats.id) FROM chats"
)


class Shelf:
    """Reads one database. Every method raises ``sqlite3.Error`` where that cannot be done."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    @contextlib.contextmanager
    def _as_of_now(self) -> Generator[None]:
        """What is read meanwhile belongs together: another offtui may write or delete between two queries."""
        if self.connection.in_transaction:
            yield
            return
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            with contextlib.suppress(sqlite3.Error):
                self.connection.execute("ROLLBACK")

    def rows(self) -> list[ChatRow]:
        """All chats: pinned ones first, then the newest."""
        tags: dict[str, list[str]] = {}
        for chat, tag in self.connection.execute("SELECT chat, tag FROM tags ORDER BY tag"):
            tags.setdefault(chat, []).append(tag)
        found = self.connection.execute(f"{_ROW} WHERE deleted IS NULL").fetchall()
        return in_order(_row(values, tags.get(values[0], ())) for values in found)

    def row(self, chat: str) -> ChatRow | None:
        """One chat, deleted or not."""
        values = self.connection.execute(f"{_ROW} WHERE id = ?", (chat,)).fetchone()
        if values is None:
            return None
        tags = self.connection.execute("SELECT tag FROM tags WHERE chat = ? ORDER BY tag", (chat,)).fetchall()
        return _row(values, [tag for (tag,) in tags])

    def hits(self, query: str) -> dict[str, tuple[int, str]]:
        """The newest message of each chat with all the words of ``query``, words begun too, and an excerpt of it."""
        words, patterns = fts_query(query), like_patterns(query)
        if not words and not patterns:
            return {}
        likes = "".join(" AND content LIKE ? ESCAPE '\\'" for _ in patterns)
        inner = (
            "SELECT rowid FROM words WHERE words MATCH ?" if words else "SELECT id FROM messages WHERE state <> 'open'"
        )
        newest = self.connection.execute(
            "SELECT found.chat, found.newest, messages.content FROM "
            f"(SELECT chat, max(id) AS newest FROM messages WHERE id IN ({inner}){likes} "
            "GROUP BY chat ORDER BY newest DESC LIMIT ?) AS found JOIN messages ON messages.id = found.newest",
            (*([words] if words else []), *patterns, HITS),
        )
        return {chat: (id, excerpt(content, query)) for chat, id, content in newest}

    def chat(self, chat: str) -> Chat | None:
        """A whole chat, deleted or not; ``None``: there is none of that id."""
        with self._as_of_now():
            return self._chat(chat)

    def _chat(self, chat: str) -> Chat | None:
        row = self.row(chat)
        if row is None:
            return None
        system_prompt, draft, shown = self.connection.execute(
            "SELECT system_prompt, draft, shown FROM chats WHERE id = ?", (chat,)
        ).fetchone()
        messages = [
            StoredMessage(
                id=id, chat=chat, parent=parent, shown=child, role=role, state=state, created=created,
                stamp=_stamp(stamp), content=content, reasoning=reasoning,
            )
            for id, parent, child, role, state, created, stamp, content, reasoning in self.connection.execute(
                "SELECT id, parent, shown, role, state, created, stamp, content, reasoning FROM messages "
                "WHERE chat = ? ORDER BY id", (chat,),
            )
        ]  # fmt: skip
        return Chat(row=row, system_prompt=system_prompt, draft=draft, shown=shown, messages=tuple(messages))

    def ids(self) -> list[str]:
        """Of all chats, deleted or not."""
        return [id for (id,) in self.connection.execute("SELECT id FROM chats")]

    def deleted(self) -> list[str]:
        """Chats that wait to be purged."""
        return [id for (id,) in self.connection.execute("SELECT id FROM chats WHERE deleted IS NOT NULL")]

    def remembered(self, name: str) -> str:
        """Something small that is kept; ``""``: nothing."""
        row = self.connection.execute("SELECT value FROM remembered WHERE name = ?", (name,)).fetchone()
        return "" if row is None else row[0]


class Library:
    """The chats as they are: those in ``over``, where writing is possible, hide those of the same id in ``under``."""

    def __init__(self, under: Shelf | None, over: Shelf | None = None) -> None:
        self._shelves: Sequence[Shelf] = [shelf for shelf in (over, under) if shelf is not None]

    def rows(self, query: str = "") -> list[ChatRow]:
        """The chats with all words of ``query`` in their title, tags and model, or in one message of theirs."""
        query = query.encode("utf-8", "replace").decode()  # half a pair, as of a name that is no text, is in no message
        known: set[str] = set()
        rows: dict[str, ChatRow] = {}
        hits: dict[str, tuple[int, str]] = {}
        for shelf in self._shelves:
            fresh = {row.id: row for row in shelf.rows() if row.id not in known}
            rows |= fresh
            hits |= {chat: hit for chat, hit in shelf.hits(query).items() if chat in fresh} if query.strip() else {}
            known.update(shelf.ids())
        words = query.casefold().split()
        found: list[ChatRow] = []
        for row in rows.values():
            id, text = hits.get(row.id, (None, ""))
            if id is not None:
                found.append(msgspec.structs.replace(row, hit=id, excerpt=text))
            elif all(word in f"{row.title} {' '.join(row.tags)} {row.model}".casefold() for word in words):
                found.append(row)
        return in_order(found)

    def chat(self, chat: str) -> Chat | None:
        """A whole chat."""
        return next((found for shelf in self._shelves if (found := shelf.chat(chat)) is not None), None)

    def named(self, name: str) -> Chat | None:
        """The chat by id, by an unmistakable beginning of one, or ``last``."""
        last = self.last() if name == "last" else None
        known = [row.id for row in self.rows() if row.id.startswith(name)]
        id = last or (name if name in known else known[0] if len(known) == 1 else None)
        return self.chat(id) if id is not None else None

    def last(self) -> str | None:
        """The chat that was talked in last; ``None``: there is none."""
        rows = [row for row in self.rows() if row.messages]
        return max(rows, key=lambda row: row.updated).id if rows else None

    def new_draft(self) -> str:
        """What was typed in a chat that was never begun."""
        return next((text for shelf in self._shelves if (text := shelf.remembered("draft"))), "")

    def deleted(self) -> list[str]:
        """Chats that wait to be purged."""
        return [chat for shelf in self._shelves for chat in shelf.deleted()]


def in_order(rows: Iterable[ChatRow]) -> list[ChatRow]:
    """Pinned ones first, then the newest."""
    return sorted(rows, key=lambda row: (not row.pinned, -row.updated, row.id))


def _row(values: Sequence[Any], tags: Iterable[str]) -> ChatRow:
    id, title, named, created, updated, pinned, model, messages = values
    return ChatRow(
        id=id, title=title, named=bool(named), created=created, updated=updated, pinned=bool(pinned), model=model,
        tags=tuple(tags), messages=messages,
    )  # fmt: skip


def _stamp(body: bytes | None) -> Stamp | None:
    if body is None:
        return None
    try:
        return _STAMPS.decode(body)
    except msgspec.MsgspecError:  # of an offtui whose stamps were others
        return None
