"""Chats to keep, and a keeper that remembers what it said."""

import time
from collections.abc import Callable
from pathlib import Path

from offtui.protocol.facts import LayerCount
from offtui.store.chats.changes import PutChat
from offtui.store.chats.keeper import Keeper
from offtui.store.chats.shelf import Library
from offtui.store.chats.values import Chat, ChatRow, Stamp, State, StoredMessage, new_chat_id, new_message_id

STAMP = Stamp(model="tiny", quant="Q8_0", n_gpu_layers=LayerCount(4, 4, 13), n_ctx=2048, tokens=9, tps=31.4, stop="end")


def message(
    chat: str, content: str, parent: StoredMessage | None = None, *, state: State = "done", stamp: Stamp | None = None
) -> StoredMessage:
    """The user's after an answer or at the beginning, an answer after the user's."""
    asks = parent is None or parent.role == "assistant"
    return StoredMessage(
        id=new_message_id(), chat=chat, parent=parent.id if parent else None, role="user" if asks else "assistant",
        content=content, state=state, created=time.time(), stamp=stamp if not asks else None,
    )  # fmt: skip


def chat(title: str, *texts: str, updated: float = 1000.0, pinned: bool = False, tags: tuple[str, ...] = ()) -> Chat:
    """Questions and answers, one after the other."""
    id = new_chat_id()
    said: list[StoredMessage] = []
    for text in texts:
        said.append(message(id, text, said[-1] if said else None, stamp=STAMP))
    row = ChatRow(id=id, title=title, created=1000.0, updated=updated, pinned=pinned, tags=tags)
    return Chat(row=row, messages=tuple(message_at(entry, updated) for entry in said))


def message_at(entry: StoredMessage, created: float) -> StoredMessage:
    import msgspec

    return msgspec.structs.replace(entry, created=created)


class Kept:
    """A keeper, and what it said and lost."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.said: list[str] = []
        self.lost: list[str] = []
        self.keeper = Keeper(self.said.append, self.lost.append, file=file)

    def __enter__(self) -> "Kept":
        return self

    def __exit__(self, *_: object) -> None:
        self.keeper.close(10.0)

    def put(self, *chats: Chat) -> None:
        self.keeper.put(*(PutChat(entry.row.id, entry) for entry in chats))

    def read(self, read: Callable[[Library], object]) -> object:
        return self.keeper.ask(read).result(10.0)

    def titles(self, query: str = "") -> list[str]:
        return [row.title for row in self.keeper.ask(lambda library: library.rows(query)).result(10.0)]

    def chat(self, id: str) -> Chat | None:
        return self.keeper.ask(lambda library: library.chat(id)).result(10.0)

    def texts(self, id: str) -> list[str]:
        found = self.chat(id)
        assert found is not None
        return [entry.content for entry in found.branch()]


def until(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)
