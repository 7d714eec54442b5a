"""Chats on the screen: kept by themselves, gone on with, found, changed, and their messages as versions."""

import time
from pathlib import Path

import pytest

from offtui.config import Config
from offtui.engine.state import Phase
from offtui.options import Options
from offtui.protocol.facts import LayerCount
from offtui.store.chats.changes import PutChat
from offtui.store.chats.exporting import to_json, to_markdown
from offtui.store.chats.importing import read_chats
from offtui.store.chats.opening import open_chats
from offtui.store.chats.shelf import Library, Shelf
from offtui.store.chats.values import Chat, ChatRow
from offtui.ui.screens.chats import ChatsScreen, row_lines
from offtui.ui.transcript import Messages
from offtui.ui.widgets.line import Line
from offtui.ui.widgets.prompt import Prompt
from tests.recorder.scenes import card, sample
from tests.store.chats.talk import chat
from tests.ui.harness import Recorder, Screen, with_recorder


def resumed(which: str) -> Options:
    return Options(model="/models/first.gguf", config=Config(), chat=which)


def keep(*chats: Chat) -> None:
    opened = open_chats()
    assert opened.connection is not None
    for entry in chats:
        PutChat(entry.row.id, entry).apply(opened.connection, 1.0)
    opened.connection.close()


def kept() -> list[Chat]:
    opened = open_chats()
    assert opened.connection is not None
    library = Library(Shelf(opened.connection))
    found = [library.chat(row.id) for row in library.rows()]
    opened.connection.close()
    return [entry for entry in found if entry is not None]


def texts(screen: Screen) -> list[str]:
    return [text for _, text in screen.said()]


async def ready(screen: Screen, engine: Recorder) -> None:
    engine.load()
    await screen.until(lambda: screen.phase is Phase.READY)


async def talk(screen: Screen, engine: Recorder, question: str, answer: str) -> None:
    before = len(engine.submitted)
    await screen.ask(question)
    await screen.until(lambda: len(engine.submitted) == before + 1)
    await answered(screen, engine, answer)


async def answered(screen: Screen, engine: Recorder, answer: str) -> None:
    engine.piece(answer)
    engine.end()
    await screen.until(lambda: screen.phase is Phase.READY and screen.app.main.chat.conversation.open is None)


async def to_the_messages(screen: Screen, *keys: str) -> Messages:
    screen.app.main.set_focus(screen.app.main.chat.transcript)
    await screen.press(*keys)
    return screen.app.main.chat.transcript


def rows(screen: Screen) -> list[str]:
    """What the list says, a text per chat."""
    shown = screen.app.screen
    assert isinstance(shown, ChatsScreen)
    return ["\n".join(line.plain for line in row_lines(row, 80, 1.0)) for row in shown.rows]


async def test_what_an_answer_took_is_kept_with_it() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        screen.app._sampled(sample(time.monotonic() - 5.0, card(power_w=100.0)))
        await talk(screen, engine, "What are orchids?", "Flowers.")
        screen.app._sampled(sample(time.monotonic() + 4.0, card(power_w=100.0)))
        await screen.until(lambda: "J/token" in screen.app.main.chat.transcript.entries[1].stamp)
        stamp = screen.app.main.chat.conversation.branch[1].stamp
        assert stamp is not None
        assert stamp.energy_j is not None
        answer = screen.app.main.tape.answers()[0]
        assert stamp.energy_j == pytest.approx(100.0 * (answer.ended - answer.began))
    (whole,) = kept()
    assert whole.branch()[1].stamp == stamp
    assert stamp.joules_per_token == pytest.approx(stamp.energy_j / 41)
    assert f"{stamp.joules_per_token:.3g} J/token" in stamp.details()


async def test_a_chat_is_kept_and_gone_on_with(tmp_path: Path) -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await talk(screen, engine, "What are orchids?", "Flowers.")
    (whole,) = kept()
    assert whole.row.title == "What are orchids?"
    assert [message.content for message in whole.branch()] == ["What are orchids?", "Flowers."]
    stamp = whole.branch()[1].stamp
    assert stamp is not None
    assert (stamp.model, stamp.quant, stamp.n_gpu_layers, stamp.n_ctx) == (
        "model",
        "Q4_K_M",
        LayerCount(4, 4, 13),
        8192,
    )
    assert (stamp.tokens, stamp.tps, stamp.ttft_seconds, stamp.prompt_tps, stamp.stop) == (41, 20.0, 0.6, 30.0, "end")
    async with with_recorder(options=resumed("last")) as (screen, engine):
        await screen.until(lambda: texts(screen)[:2] == ["What are orchids?", "Flowers."])
        assert screen.app.main.chat.transcript.entries[1].stamp.startswith("4/13 layers · 20.0 t/s")
        await ready(screen, engine)
        await talk(screen, engine, "And roses?", "Flowers too.")
        assert [message.content for message in engine.submitted[-1][1]] == [
            "What are orchids?",
            "Flowers.",
            "And roses?",
        ]
    (whole,) = kept()
    assert [message.content for message in whole.branch()][2:] == ["And roses?", "Flowers too."]


async def test_the_question_is_there_before_it_is_answered_and_a_quit_keeps_what_came() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.ask("why?")
        await screen.until(lambda: bool(engine.submitted))
        await screen.until(lambda: bool(kept()))
        assert [(message.content, message.state) for message in kept()[0].messages] == [("why?", "done"), ("", "open")]
        engine.piece("because ")
        engine.piece("it ")
    assert [(message.content, message.state) for message in kept()[0].messages][1] == ("because it ", "stopped")


async def test_drafts_are_kept_per_chat() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await talk(screen, engine, "one?", "1")
        screen.app.main.chat.prompt.replace_text("half a thou")
        await screen.pilot.pause()
    async with with_recorder() as (screen, _):
        screen.app.main.chat.prompt.replace_text("of no chat")
        await screen.pilot.pause()
    async with with_recorder() as (screen, _):
        await screen.until(lambda: screen.app.main.chat.prompt.text == "of no chat")
        screen.app.main.open_chat("last")
        await screen.until(lambda: screen.app.main.chat.prompt.text == "half a thou")
    async with with_recorder(options=resumed("last")) as (screen, _):
        await screen.until(lambda: screen.app.main.chat.prompt.text == "half a thou")


async def test_the_list_finds_opens_names_pins_tags_and_deletes() -> None:
    keep(chat("Orchids", "q", "They grow on trees.", updated=5.0), chat("Roses", "q", "thorns", updated=9.0))
    async with with_recorder(options=resumed("choose")) as (screen, _):
        await screen.until(lambda: isinstance(screen.app.screen, ChatsScreen))
        await screen.until(lambda: len(rows(screen)) == 2)
        assert [row.split()[0] for row in rows(screen)] == ["Roses", "Orchids"]
        await screen.press("down", "p")
        await screen.until(lambda: "▲ Orchids" in rows(screen)[0])
        await screen.press("r", "!", "enter")
        await screen.until(lambda: "Orchids!" in rows(screen)[0])
        await screen.press("t", *"gpu,#rpc", "enter")
        await screen.until(lambda: "#gpu  #rpc" in rows(screen)[0] and "," not in rows(screen)[0])
        await screen.press("down", "d")
        await screen.until(lambda: len(rows(screen)) == 1)
        await screen.press("u")
        await screen.until(lambda: len(rows(screen)) == 2)
        await screen.press("slash", *"tree")
        await screen.until(lambda: len(rows(screen)) == 1 and "grow on trees" in rows(screen)[0])
        await screen.press("enter")
        await screen.until(lambda: texts(screen) == ["q", "They grow on trees."])
        transcript = screen.app.main.chat.transcript
        assert transcript.chosen == transcript.entries[1].id
        assert isinstance(screen.app.focused, Messages)
    assert sorted(entry.row.title for entry in kept()) == ["Orchids!", "Roses"]


async def test_esc_leaves_the_field_then_the_search_then_the_list() -> None:
    keep(chat("One", "q"), chat("Two", "q"))
    async with with_recorder() as (screen, _):
        await screen.press("ctrl+s")
        await screen.until(lambda: isinstance(screen.app.screen, ChatsScreen))
        await screen.until(lambda: len(rows(screen)) == 2)
        await screen.press("r", "x", "escape", "slash", *"one")
        await screen.until(lambda: len(rows(screen)) == 1)
        await screen.press("escape")
        await screen.until(lambda: len(rows(screen)) == 2)
        await screen.press("escape")
        await screen.until(lambda: not isinstance(screen.app.screen, ChatsScreen))
        assert isinstance(screen.app.focused, Prompt)
        assert screen.said() == []


async def test_another_answer_is_another_version() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await talk(screen, engine, "one?", "a1")
        await talk(screen, engine, "two?", "b1")
        transcript = await to_the_messages(screen, "k", "k", "k")
        assert transcript.entry(transcript.chosen or 0).text == "a1"
        await screen.press("r")
        await screen.until(lambda: len(engine.submitted) == 3)
        assert [message.content for message in engine.submitted[-1][1]] == ["one?"]
        await answered(screen, engine, "a2")
        assert texts(screen) == ["one?", "a2"]
        assert transcript.entries[1].name.endswith("‹ 2/2 ›")
        await screen.press("less_than_sign")
        assert texts(screen) == ["one?", "a1", "two?", "b1"]
        assert transcript.entries[1].name.endswith("‹ 1/2 ›")
        await screen.press("less_than_sign")
        assert texts(screen) == ["one?", "a1", "two?", "b1"]
    async with with_recorder(options=resumed("last")) as (screen, engine):
        await screen.until(lambda: texts(screen) == ["one?", "a1", "two?", "b1"])
        await to_the_messages(screen, "right")
        assert texts(screen) == ["one?", "a2"]


async def test_a_question_is_changed_in_the_prompt_and_what_was_typed_comes_back() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await talk(screen, engine, "one?", "a1")
        await talk(screen, engine, "two?", "b1")
        prompt = screen.app.main.chat.prompt
        prompt.replace_text("typed before")
        transcript = await to_the_messages(screen, "k", "k", "e")
        assert prompt.text == "two?"
        assert "Editing" in screen.line("above")
        await screen.press("escape")
        assert (prompt.text, screen.line("above")) == ("typed before", "")
        await to_the_messages(screen, "e")
        prompt.replace_text("zwei?")
        prompt.action_submit()
        await screen.until(lambda: len(engine.submitted) == 3)
        assert [message.content for message in engine.submitted[-1][1]] == ["one?", "a1", "zwei?"]
        await answered(screen, engine, "b2")
        assert texts(screen) == ["one?", "a1", "zwei?", "b2"]
        assert transcript.entries[2].name == "you  ‹ 2/2 ›"
        assert prompt.text == "typed before"


async def test_an_empty_answer_that_is_asked_again_takes_nothing_along_that_follows_it() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.ask("one?")
        await screen.until(lambda: len(engine.submitted) == 1)
        await answered(screen, engine, "")
        await talk(screen, engine, "two?", "b1")
        await to_the_messages(screen, "k", "k", "k", "r")
        await screen.until(lambda: len(engine.submitted) == 3)
        await answered(screen, engine, "a2")
        assert texts(screen) == ["one?", "a2"]
        await screen.press("less_than_sign")
        assert texts(screen) == ["one?", "", "two?", "b1"]
    (chat,) = kept()
    assert sorted(message.content for message in chat.messages) == ["", "a2", "b1", "one?", "two?"]


async def test_a_question_that_is_no_longer_shown_can_still_be_changed() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await talk(screen, engine, "one?", "a1")
        await talk(screen, engine, "two?", "b1")
        await to_the_messages(screen, "k", "k", "e")
        await to_the_messages(screen, "k", "k", "r")
        await screen.until(lambda: len(engine.submitted) == 3)
        await answered(screen, engine, "a2")
        assert texts(screen) == ["one?", "a2"]
        prompt = screen.app.main.chat.prompt
        prompt.focus()
        prompt.replace_text("zwei?")
        prompt.action_submit()
        await screen.until(lambda: len(engine.submitted) == 4)
        await answered(screen, engine, "b2")
        assert texts(screen) == ["one?", "a1", "zwei?", "b2"]


async def test_a_message_is_deleted_with_what_follows_and_comes_back() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await talk(screen, engine, "one?", "a1")
        await talk(screen, engine, "two?", "b1")
        await to_the_messages(screen, "d")
        assert len(texts(screen)) == 4
        await screen.press("k", "k", "d")
        assert texts(screen) == ["one?", "a1"]
        await screen.press("u")
        assert texts(screen) == ["one?", "a1", "two?", "b1"]
        await screen.press("d")
    assert [message.content for message in kept()[0].messages] == ["one?", "a1"]


async def test_an_answer_that_was_stopped_goes_on() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.ask("one?")
        await screen.until(lambda: bool(engine.submitted))
        engine.piece("half ")
        engine.end("cancelled")
        await screen.until(lambda: screen.phase is Phase.READY)
        await to_the_messages(screen, "c")
        await screen.until(lambda: len(engine.resumed) == 1)
        assert [message.content for message in engine.resumed[0][1]] == ["one?", "half "]
        await answered(screen, engine, "and half")
        assert texts(screen) == ["one?", "half and half"]
        await screen.press("c")
        assert len(engine.resumed) == 1
    assert kept()[0].messages[1].content == "half and half"


async def test_the_keys_of_the_list_are_seen_at_80_columns_and_what_was_deleted_is_named() -> None:
    keep(chat("Orchids", "q", "a"))
    async with with_recorder(size=(80, 24)) as (screen, _):
        await screen.press("ctrl+s")
        await screen.until(lambda: isinstance(screen.app.screen, ChatsScreen))
        await screen.until(lambda: len(rows(screen)) == 1)
        note = screen.app.screen.query_one("#chats-note", Line)
        assert note.text == "Enter open  / find  r rename  p pin  t tags  d delete  u undo  Esc back"
        assert len(note.text) <= note.content_size.width
        await screen.press("d")
        await screen.until(lambda: not rows(screen))
        await screen.until(lambda: note.text.startswith("u has Orchids back"))
        await screen.press("u")
        await screen.until(lambda: len(rows(screen)) == 1)


async def test_a_chat_gone_on_with_says_that_another_model_wrote_it() -> None:
    keep(chat("Orchids", "q", "a"))
    async with with_recorder(options=resumed("last")) as (screen, engine):
        await screen.until(lambda: texts(screen) == ["q", "a"])
        await ready(screen, engine)
        await screen.until(lambda: len(texts(screen)) >= 3)
        (said,) = [text for text in texts(screen) if text.startswith("tiny Q8_0 wrote")]
        assert "model Q4_K_M goes on" in said
        await talk(screen, engine, "and?", "b")
        assert sum(text.startswith("tiny Q8_0 wrote") for text in texts(screen)) == 1
    async with with_recorder(options=resumed("last")) as (screen, engine):
        await ready(screen, engine)
        await screen.until(lambda: texts(screen)[:1] == ["q"])
        await screen.press("x")
        assert not any("wrote this chat" in text for text in texts(screen)), "its own model wrote the last answer"


async def test_the_system_prompt_of_a_chat_is_kept_with_it_and_comes_back_by_export_and_import() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.ask("/system In one word.")
        await talk(screen, engine, "one?", "a1")
    (whole,) = kept()
    assert whole.system_prompt == "In one word."
    for body in (to_json(whole), to_markdown(whole).encode()):
        (back,) = read_chats(body)
        keep(back)
        async with with_recorder(options=resumed(back.row.id)) as (screen, engine):
            await ready(screen, engine)
            await screen.until(lambda: texts(screen)[:2] == ["one?", "a1"])
            await screen.ask("two?")
            await screen.until(lambda: len(engine.submitted) == 1)
            assert [message.content for message in engine.submitted[0][1]] == ["In one word.", "one?", "a1", "two?"]


async def test_a_chat_is_named_written_to_a_file_and_its_answers_explained(tmp_path: Path) -> None:
    async with with_recorder(size=(160, 36)) as (screen, engine):
        await ready(screen, engine)
        await screen.ask("/title too early")
        assert "no chat to name" in screen.line("footer")
        await talk(screen, engine, "one?", "a1")
        await screen.ask("/title Of one")
        file = tmp_path / "one.json"
        for name in (file, tmp_path / "one.md"):
            await screen.ask(f"/save {name}")
        assert b'"title": "Of one"' in file.read_bytes()
        assert "# Of one" in (tmp_path / "one.md").read_text()
        await screen.ask(f"/save {file}")
        assert "is there already" in screen.line("footer")
        await screen.ask("/save /no/such/folder/x.md")
        assert "cannot be written" in screen.line("footer")
        await to_the_messages(screen, "i")
        assert "4/13 layers · ctx 8.2k · 41 tokens · 20.0 t/s · prompt 20, 5 reused, 30.0 t/s" in screen.line("footer")
    assert kept()[0].row.title == "Of one"


async def test_words_are_found_in_the_chat() -> None:
    keep(chat("t", "about orchids", "Orchids?", "else", "else", "ORCHID farms", "none"))
    async with with_recorder(options=resumed("last")) as (screen, engine):
        await screen.until(lambda: len(texts(screen)) == 6)
        await ready(screen, engine)
        transcript = screen.app.main.chat.transcript
        await screen.ask("/find orchid")
        found = []
        for key in ("n", "n", "n", "N"):
            found.append(transcript.entry(transcript.chosen or 0).text)
            await screen.press(key)
        assert found == ["ORCHID farms", "Orchids?", "about orchids", "about orchids"]
        assert transcript.entry(transcript.chosen or 0).text == "Orchids?"
        await screen.ask("/find nothing of it")
        assert "No earlier message" in screen.line("footer")
        assert engine.submitted == []


async def test_a_chat_that_another_offtui_deleted_is_kept_once_more() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await talk(screen, engine, "one?", "a1")
        await screen.until(lambda: len(kept()) == 1)
        opened = open_chats()
        assert opened.connection is not None
        opened.connection.execute("DELETE FROM chats")
        opened.connection.execute("DELETE FROM messages")
        opened.connection.close()
        await talk(screen, engine, "two?", "b1")
        await screen.until(lambda: len(kept()) == 1)
    assert [message.content for message in kept()[0].branch()] == ["one?", "a1", "two?", "b1"]


async def test_a_long_chat_is_opened_at_its_end_and_walked_by_keys() -> None:
    long = chat("long", *(f"text {n} " + "word " * (n % 90) for n in range(3000)))
    keep(long)
    async with with_recorder(options=resumed("last")) as (screen, _):
        await screen.until(lambda: len(screen.said()) == 3000)
        transcript = await to_the_messages(screen)
        assert transcript.following
        await screen.press(*["k"] * 30)
        assert transcript.chosen is not None
        assert transcript.chosen != transcript.entries[-1].id
        assert not transcript.following
        await screen.press("g", "home", "j", "k", *["j"] * 3)
        assert transcript.chosen in {entry.id for entry in transcript.entries[:8]}


def test_names_in_the_list_are_only_text() -> None:
    row = ChatRow(
        id="a", title="[b]x[/b]\x1b]52;c;QQ==\x07\n[@click=app.quit]y", created=0.0, updated=0.0, excerpt="[/]"
    )
    for width in (10, 40, 100):
        lines = row_lines(row, width, 1.0)
        assert not any({"\x1b", "\x07", "\n"} & set(line.plain) for line in lines)
        assert max(line.cell_length for line in lines) <= max(width, 22)
