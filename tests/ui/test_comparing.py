"""An answer written again with another split, and both seen beside one another."""

from msgspec.structs import replace

from offtui.engine.state import Phase
from offtui.protocol.facts import LayerCount
from offtui.ui.comparing import head_lines, verdict
from offtui.ui.conversation import Said
from offtui.ui.screens.compare import CompareScreen
from offtui.ui.transcript import Transcript
from offtui.ui.widgets.line import Line
from tests.store.chats.talk import STAMP
from tests.ui.harness import Recorder, Screen, with_recorder
from tests.ui.test_chats import answered, ready, talk, texts, to_the_messages


def answer(text: str, **stamp: object) -> Said:
    said = Said("assistant", Said("user", None, text="q"), text=text)
    said.stamp = replace(STAMP, **stamp)
    return said


def test_what_came_of_it_is_said_in_ratios_and_words() -> None:
    one = answer("one two three four", tps=10.0, ttft_seconds=0.2)
    other = answer("one two three five", tps=15.0, ttft_seconds=0.1)
    assert verdict(one, other) == "2 against 1: 1.50× t/s · first token 0.50× · the same for 3 words"
    assert verdict(one, one).endswith("· the same text")
    assert verdict(answer("a", tps=None), answer("b", tps=None)) == "other words"
    heads = head_lines(answer("a", n_gpu_layers=LayerCount(4, 4, 13), tps=31.4), 2, "tiny Q8_0")
    assert [line.plain for line in heads] == [
        " 2  4/13 layers · 31.4 t/s · tiny Q8_0",
        "    9 tokens · ctx 2.0k",
    ]


async def compared(screen: Screen) -> CompareScreen:
    await screen.until(lambda: isinstance(screen.app.screen, CompareScreen))
    shown = screen.app.screen
    assert isinstance(shown, CompareScreen)
    await screen.until(lambda: all(len(transcript.entries) == 1 for transcript in shown.query(Transcript)))
    return shown


def seen(shown: CompareScreen) -> list[str]:
    return [transcript.entries[0].text for transcript in shown.query(Transcript)]


async def with_two(screen: Screen, engine: Recorder) -> CompareScreen:
    """One answer with 4 layers, and the same question with 9."""
    await ready(screen, engine)
    await talk(screen, engine, "one?", "a1")
    await screen.ask("/compare 9")
    await screen.until(lambda: engine.wanted[-1].n_gpu_layers == 9)
    engine.load(9)
    await screen.until(lambda: len(engine.submitted) == 2)
    assert [message.content for message in engine.submitted[1][1]] == ["one?"]
    engine.piece("a2")
    engine.end()
    return await compared(screen)


async def test_an_answer_is_written_again_with_other_layers_and_both_are_seen_with_their_stamps() -> None:
    async with with_recorder(size=(80, 24)) as (screen, engine):
        shown = await with_two(screen, engine)
        assert seen(shown) == ["a1", "a2"]
        heads = [shown.query_one(f"#compare-{id}-head", Line).text for id in ("one", "other")]
        assert "4/13 layers" in heads[0]
        assert "9/13 layers" in heads[1]
        one, other = (shown.query_one(f"#compare-{id}") for id in ("one", "other"))
        assert one.region.y < other.region.y, "one above the other at 80 columns"
        assert one.region.x == other.region.x
        await screen.pilot.resize_terminal(140, 40)
        await screen.until(lambda: one.region.y == other.region.y and one.region.x < other.region.x)
        await screen.press("1")
        await screen.until(lambda: not isinstance(screen.app.screen, CompareScreen))
        assert texts(screen)[:2] == ["one?", "a1"]


async def test_versions_are_turned_in_the_second_place_and_escape_changes_nothing() -> None:
    async with with_recorder() as (screen, engine):
        shown = await with_two(screen, engine)
        await screen.press("escape")
        await to_the_messages(screen, "r")
        await screen.until(lambda: len(engine.submitted) == 3)
        await answered(screen, engine, "a3")
        await to_the_messages(screen, "b")
        shown = await compared(screen)
        assert seen(shown) == ["a2", "a3"]
        await screen.press("less_than_sign")
        await screen.until(lambda: seen(shown) == ["a2", "a1"])
        await screen.press("less_than_sign", "greater_than_sign")
        await screen.until(lambda: seen(shown) == ["a2", "a3"])
        await screen.press("escape")
        await screen.until(lambda: not isinstance(screen.app.screen, CompareScreen))
        assert texts(screen)[1] == "a3"


async def test_what_cannot_be_compared_is_said() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.ask("/compare 4")
        await screen.until(lambda: "no answer to compare" in screen.line("footer"))
        await talk(screen, engine, "one?", "a1")
        await screen.ask("/compare")
        await screen.until(lambda: "has one version" in screen.line("footer"))
        for wrong in ("auto", "99"):
            await screen.ask(f"/compare {wrong}")
            await screen.until(lambda: "takes a number" in screen.line("footer") or "too many" in screen.line("footer"))
        assert len(engine.wanted) == 1
        await screen.ask("/compare +0")
        await screen.until(lambda: len(engine.submitted) == 2)
        engine.end("cancelled")
        await screen.until(lambda: screen.phase is Phase.READY)
        assert not isinstance(screen.app.screen, CompareScreen), "one that was stopped is not compared"
        assert len(engine.wanted) == 1, "the same split needs no load"
