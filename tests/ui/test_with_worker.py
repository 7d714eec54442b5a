"""The screen over a real session and the fake worker, which dies, stalls and lies on order."""

from offtui.engine.state import Phase
from offtui.options import Options
from tests.ui.harness import with_worker


async def test_load_ask_answer() -> None:
    async with with_worker("--pieces", "30") as screen:
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("hello")
        await screen.until(lambda: len(screen.app.main.answers) == 1)
        await screen.until(lambda: screen.phase is Phase.READY)
        assert screen.said() == [("user", "hello"), ("assistant", "".join(f"word{i} " for i in range(30)))]
        assert "13/13 layers" in screen.status


async def test_esc_gives_up_a_load_and_the_guide_is_one_key_away() -> None:
    async with with_worker("--pause", "0.3") as screen:
        await screen.until(lambda: screen.app.main.session.progress is not None)
        assert "loading: weights" in screen.status
        await screen.press("escape")
        await screen.until(lambda: screen.phase is Phase.CRASHED)
        assert any("cancelled" in text and "^L loads the guide" in text for _, text in screen.said())
        await screen.press("ctrl+l")
        await screen.until(lambda: screen.phase is Phase.READY)


async def test_a_worker_that_dies_while_answering_leaves_everything_there() -> None:
    async with with_worker("--do", "piece:abort") as screen:
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("hello")
        await screen.until(lambda: screen.phase is Phase.CRASHED)
        roles = [role for role, _ in screen.said()]
        assert roles[:3] == ["user", "assistant", "error"]
        assert screen.said()[1][1].startswith("word0")
        assert screen.app.main.chat.transcript.entries[1].state == "broken"
        assert screen.app.main.chat.conversation.open is None
        await screen.press("ctrl+l")
        await screen.until(lambda: screen.phase is Phase.READY)
        assert [role for role, _ in screen.said()][:3] == roles[:3]


async def test_every_way_of_failing_to_load_is_told_once() -> None:
    for order in ("load:oom", "load:truncated", "loaded:kill", "start:exit", "progress:garble"):
        async with with_worker("--do", order) as screen:
            await screen.until(lambda screen=screen: screen.phase is Phase.CRASHED)
            await screen.until(lambda screen=screen: bool(screen.said()))
            await screen.pilot.pause(0.1)
            errors = [text for role, text in screen.said() if role == "error"]
            assert len(errors) == 1, (order, errors)
            assert "\x1b" not in errors[0]
            assert "^L" in errors[0]


async def test_a_question_that_is_too_long_leaves_the_model_up() -> None:
    async with with_worker() as screen:
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("too long")
        await screen.until(lambda: any(role == "error" for role, _ in screen.said()))
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("short")
        await screen.until(lambda: len(screen.app.main.answers) == 1)


async def test_an_answer_goes_on_under_another_split() -> None:
    async with with_worker("--pieces", "2000", "--pause", "0.02", size=(80, 24)) as screen:
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("hello")
        await screen.until(lambda: any(text for role, text in screen.said() if role == "assistant"))
        await screen.ask("/ngl 4")
        await screen.until(lambda: "4/13 layers" in screen.status)
        assert screen.app.main.chat.transcript.entries[1].state == "streaming"
        turn = screen.app.main.chat.conversation.branch[1]
        so_far = turn.text
        await screen.until(lambda: len(turn.text) > len(so_far) + 20)
        assert turn.text.split() == [f"word{number}" for number in range(len(turn.text.split()))]


async def test_what_acts_on_a_terminal_never_reaches_the_screen() -> None:
    async with with_worker(options=Options(model="/m/[b]\x1b]52;c;QQ==\x07[@click=app.quit]x.gguf")) as screen:
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("dirty")
        await screen.until(lambda: len(screen.app.main.answers) == 1)
        shown = "\n".join("".join(seg.text for seg in strip) for strip in screen.app.main._compositor.render_strips())
        assert "word0" in shown
        assert not {"\x1b", "\x07", "\u202e"} & set(shown)
