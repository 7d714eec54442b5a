"""Searching: words begun, without accents, signs, scripts without spaces; and the index agrees with the messages."""

import random
import sqlite3
from pathlib import Path

import msgspec
import pytest

from offtui.store.chats.changes import DropMessages, PutMessage, SetDeleted
from offtui.store.chats.excerpts import LENGTH, excerpt
from offtui.store.chats.titles import LONGEST, title_of
from tests.store.chats.talk import Kept, chat, message


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("kv", ["cache"]), ("KV CACHE", ["cache"]), ("cach", ["cache", "layers"]), ("cache layers", ["layers"]),
        ("café", ["coffee"]), ("CAFE", ["coffee"]), ("オフロード", ["japanese"]), ("ロード layer", ["japanese"]),
        ("++i", ["signs"]), ("100%", ["signs"]), ("%", ["signs"]), ("_", []), ('"', []), ("AND", ["cache"]),
        ("coff", ["coffee"]), ("cache*", []), ("tagged", ["coffee"]),
        ("nothing of it", []), ("NEAR(kv cache)", []), ("   ", None),
    ],
)  # fmt: skip
def test_what_is_found(file: Path, query: str, found: list[str] | None) -> None:
    chats = [
        chat("cache", "What is the KV cache?", "Keys and values.", updated=5.0),
        chat("layers", "Where do the layers go with a small cache?", "up", updated=4.0),
        chat("coffee", "Where is a CAFÉ?", "there", tags=("tagged",), updated=3.0),
        chat("japanese", "GPUオフロードとは何ですか layers", "はい", updated=2.0),
        chat("signs", "what does ++i cost? 100% of it", "x", updated=1.0),
    ]
    with Kept(file) as kept:
        kept.put(*chats)
        everything = ["cache", "layers", "coffee", "japanese", "signs"]
        assert kept.titles(query) == (everything if found is None else found)


def test_a_hit_is_the_newest_message_with_an_excerpt_around_the_word(file: Path) -> None:
    talk = chat("t", "orchids?", "none", "more " * 100 + "orchid farms " + "later " * 100, "none")
    with Kept(file) as kept:
        kept.put(talk)
        (row,) = kept.keeper.ask(lambda library: library.rows("ORCHID")).result(10.0)
        assert row.hit == talk.messages[2].id
        assert row.excerpt.startswith("…")
        assert "orchid farms" in row.excerpt
        kept.keeper.put(SetDeleted(talk.row.id, True))
        assert kept.titles("orchid") == []


def test_the_index_agrees_with_the_messages_whatever_was_done(file: Path) -> None:
    chance = random.Random(7)
    talk = chat("t", "q")
    known = list(talk.messages)
    with Kept(file) as kept:
        kept.put(talk)
        for n in range(300):
            entry = chance.choice(known)
            match chance.randrange(4):
                case 0:
                    known.append(message(talk.row.id, f"word{n}", entry, state=chance.choice(["open", "done"])))  # type: ignore[arg-type]
                    kept.keeper.put(PutMessage(talk.row.id, known[-1]))
                case 1:
                    changed = msgspec.structs.replace(
                        entry, content=f"other{n}", state=chance.choice(["open", "done", "stopped"])
                    )
                    known[known.index(entry)] = changed
                    kept.keeper.put(PutMessage(talk.row.id, changed))
                case 2 if len(known) > 3:
                    known.remove(entry)
                    kept.keeper.put(DropMessages(talk.row.id, (entry.id,)))
                case _:
                    kept.keeper.put(PutMessage(talk.row.id, entry))
    connection = sqlite3.connect(file)
    indexed = {id for entry in known if entry.state != "open" for id in [entry.id]}
    words = connection.execute("SELECT rowid FROM words WHERE words MATCH 'word* OR other* OR q'").fetchall()
    assert {id for (id,) in words} == indexed
    for entry in known:
        if entry.state != "open":
            hits = connection.execute("SELECT rowid FROM words WHERE words MATCH ?", (entry.content,)).fetchall()
            assert (entry.id,) in hits
    connection.close()


@pytest.mark.parametrize("query", ["a", "zzz", "", "é", "\0", "a" * 5000])
def test_an_excerpt_is_one_short_line(query: str) -> None:
    for text in ("", "a\nb\tc", "x" * 5000, "İ" * 300 + "a", "word " * 500 + "zzz"):
        found = excerpt(text, query)
        assert len(found) <= LENGTH + 1
        assert "\n" not in found


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("What is GPU offloading?", "What is GPU offloading?"),
        ("\n\n# Heading here\nmore", "Heading here"),
        ("```python\nprint(1)\n```", "python"),
        ("- first,\n- second", "first"),
        ("???", ""), ("", ""), ("\x1b]52;c;QQ==\x07evil\u202e", "]52;c;QQ==evil"),
        ("x" * 200, "x" * (LONGEST - 1) + "…"),
        ("one two three four five six seven eight nine ten eleven", "one two three four five six seven eight nine…"),
    ],
)  # fmt: skip
def test_a_title_is_the_first_words(question: str, title: str) -> None:
    assert title_of(question) == title
    assert len(title_of(question)) <= LONGEST
