"""What is read belongs together, whatever another offtui does to the file between two queries."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from offtui.store.chats.changes import Purge, PutChat, SetDeleted
from offtui.store.chats.opening import connected, open_chats
from offtui.store.chats.shelf import Library, Shelf
from tests.store.chats.talk import chat

TALK = chat("Flowers", "Where do orchids grow?", "On trees.", tags=("plants",))


def opened(library: Library) -> object:
    found = library.chat(TALK.row.id)
    return found and (found.row.tags, found.row.messages, [entry.content for entry in found.branch()])


def found(library: Library) -> object:
    return [row.excerpt for row in library.rows("orchids")]


def read_while_deleted(file: Path, read: Callable[[Library], object], place: int) -> tuple[object, bool]:
    """What is read when another offtui deletes the chat before statement ``place``; whether it came to that."""
    connection = open_chats(file).connection
    assert connection is not None
    PutChat(TALK.row.id, TALK).apply(connection, 1.0)
    other = connected(str(file))
    places = itertools.count()

    def delete(_: str) -> None:
        if next(places) == place:
            SetDeleted(TALK.row.id, True).apply(other, 2.0)
            Purge(TALK.row.id).apply(other, 2.0)

    connection.set_trace_callback(delete)
    result = read(Library(Shelf(connection)))
    connection.set_trace_callback(None)
    is_gone = other.execute("SELECT count(*) FROM chats").fetchone() == (0,)
    connection.close()
    other.close()
    return result, is_gone


@pytest.mark.parametrize(
    ("read", "nothing", "all_of_it"),
    [
        (opened, None, (("plants",), 2, ["Where do orchids grow?", "On trees."])),
        (found, [], ["Where do orchids grow?"]),
    ],
)
def test_a_chat_that_is_deleted_meanwhile_is_there_as_a_whole_or_not_at_all(
    tmp_path: Path, read: Callable[[Library], object], nothing: object, all_of_it: object
) -> None:
    results: list[object] = []
    is_gone = True
    while is_gone:
        result, is_gone = read_while_deleted(tmp_path / f"{len(results)}.db", read, len(results))
        assert result in (nothing, all_of_it)
        results.append(result)
    assert results[0] == nothing
    assert results[-1] == all_of_it
    assert len(results) > 2
