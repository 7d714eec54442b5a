"""Writing on the screen: files, counts, presets, values, what is copied, a full context."""

from pathlib import Path

import pytest

from offtui.config import Config
from offtui.engine.state import Phase, SessionState, TurnState
from offtui.options import Options
from offtui.protocol.events import TurnFailed, TurnStarted
from offtui.protocol.facts import Failure
from offtui.protocol.spec import Sampling
from offtui.ui.screens.manner import MannerScreen
from offtui.ui.transcript.marking import MarkableTranscript
from tests.ui.harness import Recorder, Screen, with_recorder

CODE = "First:\n\n```sh\nls\n```\n\nthen\n\n```python\nprint(1)\n```"


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copies go to a file of the test's own."""
    for name in ("TMUX", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def copied(folder: Path) -> str:
    return (folder / "state" / "offtui" / "copied.txt").read_text(encoding="utf-8")


async def answered(screen: Screen, engine: Recorder, answer: str, stop: str = "end") -> None:
    engine.load()
    await screen.until(lambda: screen.phase is Phase.READY)
    await screen.ask("hello")
    await screen.until(lambda: bool(engine.submitted))
    engine.piece(answer)
    engine.end(stop)
    await screen.until(lambda: screen.phase is Phase.READY)


async def test_a_file_goes_along_and_is_weighed_before_it_is_sent(desk: Path) -> None:
    (desk / "notes.md").write_text("one two three\n")
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.press(*"see @no", "tab")
        assert screen.app.main.chat.prompt.text == "see @notes.md"
        await screen.until(lambda: "goes along: notes.md 14 B, 3 tokens" in screen.line("above"))
        border = str(screen.app.main.chat.prompt.border_subtitle)
        assert "8 tokens" in border
        assert "left" in border
        await screen.press("enter")
        await screen.until(lambda: bool(engine.submitted))
        assert engine.submitted[0][1][-1].content == "see @notes.md\n\nnotes.md:\n\n```md\none two three\n```"
        assert screen.app.main.chat.prompt.past == ("see @notes.md",)


async def test_a_file_that_cannot_go_along_leaves_the_question_where_it_is(desk: Path) -> None:
    (desk / "photo").write_bytes(b"\0\1")
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("what is @photo")
        await screen.until(lambda: "is not text" in screen.line("footer"))
        assert engine.submitted == []
        assert screen.app.main.chat.prompt.text == "what is @photo"


async def test_a_file_that_is_not_there_is_said_before_the_question_is_sent_once(desk: Path) -> None:
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("read @nowhere.py")
        assert "@nowhere.py is not there · Enter again" in screen.line("above")
        await screen.ask("read @nowhere/x.py")
        assert "nowhere/x.py is not there" in screen.line("above"), "another text is looked at anew"
        assert engine.submitted == []
        screen.app.main.chat.prompt.action_submit()
        await screen.until(lambda: len(engine.submitted) == 1)
        assert engine.submitted[0][1][-1].content == "read @nowhere/x.py"
        engine.end()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("who is @user, me@here.org?")
        await screen.until(lambda: len(engine.submitted) == 2)


async def test_values_are_set_by_name_for_this_chat_and_taken_from_presets() -> None:
    options = Options(model="/models/first.gguf", sampling=Sampling(top_k=7), config=Config(system_prompt="Base."))
    async with with_recorder(options=options) as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        for command in ("/set temperature 0.2", "/temp 0.3", '/set stop "###"', "/set think off", "/system Be brief."):
            await screen.ask(command)
        await screen.ask("hello")
        await screen.until(lambda: bool(engine.submitted))
        _, said, sampling = engine.submitted[0]
        assert (sampling.temperature, sampling.top_k, sampling.stop, sampling.think) == (0.3, 7, ("###",), False)
        assert [message.content for message in said] == ["Be brief.", "hello"]
        engine.end()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("/set temperature warm")
        await screen.until(lambda: "temperature takes" in screen.line("footer"))
        await screen.ask("/preset nobody")
        await screen.until(lambda: "There is no preset" in screen.line("footer"))
        await screen.press("ctrl+n")
        await screen.ask("again")
        await screen.until(lambda: len(engine.submitted) == 2)
        assert engine.submitted[1][2].temperature is None, "another chat has its own values"
        assert engine.submitted[1][1][0].content == "Base."


async def test_the_panel_changes_values_without_a_load_and_keeps_presets() -> None:
    async with with_recorder(size=(80, 24)) as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        loads = len(engine.wanted)
        await screen.press("f8")
        await screen.until(lambda: isinstance(screen.app.screen, MannerScreen))
        await screen.press(*"0.25", "tab", *"33")
        await screen.press("ctrl+s", *"cold", "enter", "f8")
        await screen.until(lambda: not isinstance(screen.app.screen, MannerScreen))
        await screen.ask("hello")
        await screen.until(lambda: bool(engine.submitted))
        assert (engine.submitted[0][2].temperature, engine.submitted[0][2].top_k) == (0.25, 33)
        assert len(engine.wanted) == loads
        await screen.press("ctrl+n")
        engine.end()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("/preset cold")
        await screen.ask("once more")
        await screen.until(lambda: len(engine.submitted) == 2)
        assert engine.submitted[1][2].temperature == 0.25


async def test_the_panel_refuses_what_cannot_be_meant_and_escape_changes_nothing() -> None:
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.press("f8")
        await screen.until(lambda: isinstance(screen.app.screen, MannerScreen))
        await screen.press(*"hot", "enter")
        assert isinstance(screen.app.screen, MannerScreen)
        about = screen.app.screen.query_one("#manner-about")
        assert "temperature takes" in about.text
        await screen.press("escape")
        await screen.until(lambda: not isinstance(screen.app.screen, MannerScreen))
        await screen.ask("hello")
        await screen.until(lambda: bool(engine.submitted))
        assert engine.submitted[0][2].temperature is None


async def test_blocks_of_code_are_copied_by_number(desk: Path) -> None:
    async with with_recorder() as (screen, engine):
        await answered(screen, engine, CODE)
        await screen.ask("/code 2")
        assert copied(desk) == "print(1)"
        await screen.ask("/code")
        await screen.press("1")
        assert copied(desk) == "ls"
        await screen.ask("/code 3")
        await screen.until(lambda: "there are 2" in screen.line("footer"))


async def test_text_is_selected_and_copied_by_keys(desk: Path) -> None:
    async with with_recorder() as (screen, engine):
        await answered(screen, engine, "alpha beta gamma")
        await screen.ask("/select")
        transcript = screen.app.main.query_one(MarkableTranscript)
        await screen.until(lambda: transcript.marking is not None)
        assert "v selects" in screen.line("above")
        await screen.press("k", "0", "w", "v", "$", "y")
        assert copied(desk) == "beta gamma"
        assert screen.line("above") == ""


async def test_what_is_left_out_of_a_full_context_is_said_once() -> None:
    async with with_recorder() as (screen, engine):
        await answered(screen, engine, "one")
        for number, dropped in ((2, 4), (3, 4), (4, 8)):
            await screen.ask("more")
            await screen.until(lambda number=number: len(engine.submitted) == number)
            turn = engine.submitted[-1][0]
            engine.say(engine.with_phase(Phase.GENERATING, turn=TurnState(turn)), TurnStarted(turn, 20, 0, dropped))
            engine.end()
            await screen.until(lambda: screen.phase is Phase.READY)
        said = [text for role, text in screen.said() if role == "notice" and "left out" in text]
        assert len(said) == 2
        assert "oldest 4 messages" in said[0]


async def test_an_answer_that_filled_the_context_goes_on_where_turns_are_left_out() -> None:
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("/set when_full drop")
        await screen.ask("write")
        await screen.until(lambda: bool(engine.submitted))
        assert engine.submitted[0][2].drop_oldest
        engine.piece("begun", tokens=3000)
        engine.end("context_full", tokens=3000)
        await screen.until(lambda: bool(engine.resumed))
        assert engine.resumed[0][1][-1].content == "begun"


async def test_a_full_context_stops_where_nothing_else_was_chosen() -> None:
    async with with_recorder() as (screen, engine):
        await answered(screen, engine, "begun", "context_full")
        assert engine.resumed == []
        assert "context is full" in screen.app.main.chat.transcript.entries[-1].stamp


def near_full(engine: Recorder) -> SessionState:
    state = engine.with_phase(Phase.GENERATING, turn=TurnState(engine.submitted[-1][0]))
    assert state.loaded is not None
    return SessionState(
        phase=state.phase, wanted=state.wanted, loaded=state.loaded, last_good=state.last_good, turn=state.turn,
        n_past=state.loaded.n_ctx - 10, memory=state.memory,
    )  # fmt: skip


async def test_where_no_larger_context_fits_that_is_said_once() -> None:
    options = Options(model="/models/first.gguf", config=Config(when_full="larger"))
    async with with_recorder(options=options) as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("write")
        await screen.until(lambda: bool(engine.submitted))
        loads = len(engine.wanted)
        turn = engine.submitted[-1][0]
        for _ in range(3):
            engine.say(near_full(engine), TurnStarted(turn, 20, 0))
        await screen.until(lambda: any("no larger one fits" in text for _, text in screen.said()))
        assert len([text for _, text in screen.said() if "no larger one fits" in text]) == 1
        assert len(engine.wanted) == loads


async def test_a_failure_is_no_reason_to_load_where_that_was_not_chosen() -> None:
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("x")
        await screen.until(lambda: bool(engine.submitted))
        loads = len(engine.wanted)
        failure = Failure("prompt_too_long", "The conversation is 9000 tokens long.")
        engine.say(engine.with_phase(Phase.READY), TurnFailed(engine.submitted[0][0], failure))
        await screen.until(lambda: any(role == "error" for role, _ in screen.said()))
        assert len(engine.wanted) == loads
