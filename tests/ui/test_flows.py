"""What a person does, over an engine that writes down what it is asked."""

from pathlib import Path

import pytest

from offtui.config import Config
from offtui.engine.state import Phase, SessionState, StopWanted
from offtui.gguf.library import ModelFile
from offtui.options import Options
from offtui.protocol.events import LoadFailed
from offtui.protocol.facts import Failure
from offtui.ui import arming
from offtui.ui.panes.dial import DialPane
from offtui.ui.panes.models import ModelList
from offtui.ui.widgets.prompt import Prompt
from tests.ui.harness import Recorder, Screen, with_recorder

OOM = Failure("out_of_memory", "CUDA0 has too little memory.", "cudaMalloc failed", "Offload fewer layers.")


async def ready(screen: Screen, engine: Recorder, **load: object) -> None:
    engine.load(**load)  # type: ignore[arg-type]
    await screen.until(lambda: screen.phase is Phase.READY)


async def test_it_opens_loading_and_invites() -> None:
    async with with_recorder() as (screen, engine):
        assert engine.wanted[0].model == "/models/first.gguf"
        assert screen.phase is Phase.LOADING
        assert "What is GPU offloading?" in screen.app.main.chat.transcript.empty
        await ready(screen, engine)
        assert "4/13 layers" in screen.app.main.chat.transcript.empty
        assert isinstance(screen.app.focused, Prompt)


async def test_a_question_is_answered_and_stamped() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.ask("why?")
        await screen.until(lambda: len(engine.submitted) == 1)
        assert engine.submitted[0][1][-1].content == "why?"
        engine.piece("because ")
        engine.piece("[/b]so", tokens=2)
        engine.end()
        await screen.until(lambda: screen.phase is Phase.READY)
        assert screen.said() == [("user", "why?"), ("assistant", "because [/b]so")]
        assert screen.app.main.chat.transcript.entries[-1].stamp.startswith("4/13 layers · 20.0 t/s")
        assert screen.app.main.chat.prompt.text == ""


async def test_what_is_typed_ahead_waits_its_turn() -> None:
    async with with_recorder() as (screen, engine):
        await screen.ask("while loading")
        assert engine.submitted == []
        assert "1 waiting" in screen.line("above")
        await ready_after(screen, engine)
        await screen.until(lambda: len(engine.submitted) == 1)
        await screen.ask("while answering")
        engine.piece("one")
        engine.end()
        await screen.until(lambda: len(engine.submitted) == 2)
        assert [message.content for message in engine.submitted[1][1]] == ["while loading", "one", "while answering"]


async def ready_after(screen: Screen, engine: Recorder) -> None:
    engine.load()
    await screen.until(lambda: screen.phase is not Phase.LOADING)


async def test_esc_stops_and_the_partial_answer_stays() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.ask("why?")
        engine.piece("half")
        await screen.until(lambda: screen.phase is Phase.GENERATING)
        await screen.press("escape")
        assert engine.stops == 1
        engine.end("cancelled")
        await screen.until(lambda: screen.phase is Phase.READY)
        entry = screen.app.main.chat.transcript.entries[-1]
        assert (entry.text, entry.state) == ("half", "stopped")
        assert [message.content for message in screen.app.main.chat.conversation.messages()] == ["why?", "half"]


async def test_stopping_takes_back_what_waits() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.ask("one")
        await screen.until(lambda: screen.phase is Phase.GENERATING)
        await screen.ask("two")
        await screen.ask("three")
        await screen.press("x", "escape")
        engine.end("cancelled")
        await screen.until(lambda: screen.phase is Phase.READY)
        assert screen.app.main.chat.prompt.text == "two\nthree\nx"
        assert len(engine.submitted) == 1


async def test_a_long_complaint_is_said_in_the_chat_where_the_last_row_is_too_short() -> None:
    async with with_recorder(size=(58, 20)) as (screen, engine):
        await ready(screen, engine)
        await screen.ask("/ngl 99")
        assert screen.said()[-1][0] == "error"
        assert "99 is too many" in screen.said()[-1][1]


async def test_esc_never_clears_what_is_typed_and_never_quits() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.press("h", "i", "escape", "escape")
        assert screen.app.main.chat.prompt.text == "hi"
        assert screen.app.is_running


async def test_the_dial_asks_once_after_a_quiet() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        screen.app.main.query_one(DialPane)._quiet = 600.0  # a busy machine may take long from key to key
        await screen.press("ctrl+r", "right", "right")
        assert screen.app.main.draft == 6
        assert "4→6/13 layers" in screen.status
        assert len(engine.wanted) == 1
        screen.app.main.query_one(DialPane)._quiet = 0.1
        await screen.press("right")
        await screen.until(lambda: len(engine.wanted) == 2)
        assert engine.wanted[1].n_gpu_layers == 7
        assert screen.app.main.draft is None


@pytest.mark.parametrize(
    ("keys", "layers"),
    [(["end"], 13), (["home"], 0), (["1", "2"], 12), (["9", "9"], 9), (["left"], 3), (["a"], None)],
)
async def test_the_dial_takes_every_way_of_turning(keys: list[str], layers: int | None) -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        screen.app.main.query_one(DialPane)._quiet = 600.0
        await screen.press("ctrl+r", *keys, "enter")
        await screen.until(lambda: len(engine.wanted) == 2)
        assert engine.wanted[1].n_gpu_layers == layers


async def test_esc_reverts_the_dial_and_then_leaves_it() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        screen.app.main.query_one(DialPane)._quiet = 600.0
        await screen.press("ctrl+r", "right", "escape")
        assert screen.app.main.draft is None
        assert isinstance(screen.app.focused, DialPane)
        await screen.press("escape")
        assert isinstance(screen.app.focused, Prompt)
        assert len(engine.wanted) == 1


async def test_plus_types_in_the_prompt_and_turns_outside_it() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.press("plus", "minus")
        assert screen.app.main.chat.prompt.text == "+-"
        screen.app.main.set_focus(screen.app.main.chat.transcript)
        await screen.press("plus")
        await screen.until(lambda: len(engine.wanted) == 2)
        assert engine.wanted[1].n_gpu_layers == 5


async def test_without_a_device_the_dial_says_so_and_stays() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine, got=0, device=False)
        await screen.press("ctrl+r", "right", "end", "enter")
        assert screen.app.main.draft is None
        assert len(engine.wanted) == 1
        assert "No GPU device: 0 of 13 layers can be offloaded" in screen.line("dial-hint").replace("\n", " ")


async def test_a_failed_load_says_what_and_how_to_go_back() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.ask("why?")
        engine.piece("answer")
        engine.end()
        await screen.press("ctrl+r", "end", "enter")
        await screen.until(lambda: len(engine.wanted) == 2)
        engine.say(
            SessionState(phase=Phase.CRASHED, wanted=engine.wanted[1], last_good=engine.state.last_good, failure=OOM),
            LoadFailed(OOM),
        )
        await screen.until(lambda: screen.phase is Phase.CRASHED)
        role, text = screen.said()[-1]
        assert role == "error"
        assert text.splitlines() == [
            OOM.message,
            OOM.advice,
            OOM.evidence,
            "F6 loads what fits of it. ^L loads first with 4 layers.",
        ]
        assert screen.said()[:2] == [("user", "why?"), ("assistant", "answer")]
        await screen.press("ctrl+l")
        assert engine.wanted[2].n_gpu_layers == 4


async def test_after_a_failed_load_the_dial_turns_from_what_was_wanted() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.press("ctrl+r", "end", "enter")
        await screen.until(lambda: len(engine.wanted) == 2)
        engine.say(SessionState(phase=Phase.CRASHED, wanted=engine.wanted[1], failure=OOM), LoadFailed(OOM))
        await screen.until(lambda: screen.phase is Phase.CRASHED)
        await screen.press("left", "left", "enter")
        await screen.until(lambda: len(engine.wanted) == 3)
        assert engine.wanted[2].n_gpu_layers == 11


async def test_with_no_model_the_question_stays_and_the_list_opens() -> None:
    async with with_recorder(size=(80, 24)) as (screen, engine):
        engine.say(SessionState(phase=Phase.CRASHED, wanted=engine.wanted[0], failure=OOM), LoadFailed(OOM))
        await screen.until(lambda: screen.phase is Phase.CRASHED)
        await screen.ask("my long question")
        await screen.until(lambda: screen.app.main.open_pane == "models")
        assert screen.app.main.chat.prompt.text == "my long question"
        assert engine.submitted == []


async def test_ctrl_c_by_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arming, "TWICE", 600.0)  # a slow machine must not take longer between two keys than a person
    async with with_recorder() as (screen, engine):
        await screen.press("ctrl+c")
        assert engine.stops == 1, "it gives up the load"
        await ready(screen, engine)
        await screen.ask("why?")
        await screen.until(lambda: screen.phase is Phase.GENERATING)
        await screen.press("ctrl+c")
        assert engine.stops == 2, "it stops the answer"
        engine.end("cancelled")
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.press("x", "ctrl+c")
        assert screen.app.main.chat.prompt.text == "", "it clears the prompt"
        await screen.press("ctrl+c")
        assert "quits" in screen.line("footer")
        assert screen.app.is_running
        await screen.press("ctrl+c")
        await screen.until(lambda: not screen.app.is_running)


async def test_another_key_between_two_ctrl_c_keeps_it_open() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.press("ctrl+c")
        assert "quits" in screen.line("footer")
        await screen.press("x")
        assert "quits" not in screen.line("footer")
        await screen.press("backspace", "ctrl+c")
        assert screen.app.is_running
        assert "quits" in screen.line("footer")


async def test_ctrl_c_while_stopping_leaves_the_prompt() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.press("h", "i")
        engine.say(engine.with_phase(Phase.STOPPING), StopWanted())
        await screen.until(lambda: screen.phase is Phase.STOPPING)
        await screen.press("ctrl+c")
        assert screen.app.main.chat.prompt.text == "hi"


async def test_a_complaint_goes_when_the_next_thing_happens() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.ask("/temp hot")
        assert "temperature takes" in screen.line("footer")
        screen.app.main.chat.prompt.load_text("")
        engine.say(SessionState(phase=Phase.CRASHED, wanted=engine.wanted[0], failure=OOM), LoadFailed(OOM))
        await screen.until(lambda: screen.phase is Phase.CRASHED)
        assert "temperature" not in screen.line("footer")
        await screen.ask("/temp hot")
        await screen.ask("/ctx 2048")
        assert "temperature" not in screen.line("footer")


async def test_ctrl_c_copies_a_selection_first(tmp_path: Path) -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.press("a", "b", "shift+left", "ctrl+c")
        assert screen.app.main.chat.prompt.text == "ab"
        assert "copied" in screen.line("footer")
        assert [file.read_text() for file in tmp_path.rglob("copied.txt")] == ["b"]


async def test_slash_commands() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.ask("/ngl +3")
        assert engine.wanted[-1].n_gpu_layers == 7
        await screen.ask("/ctx 2048")
        assert (engine.wanted[-1].n_ctx, engine.wanted[-1].n_gpu_layers) == (2048, 7)
        engine.load()
        await screen.ask("/temp 0")
        await screen.ask("/seed 7")
        await screen.ask("/model '/other/m [x].gguf'")
        assert engine.wanted[-1].model == "/other/m [x].gguf"
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("hello")
        await screen.until(lambda: len(engine.submitted) == 1)
        assert (engine.submitted[0][2].temperature, engine.submitted[0][2].seed) == (0.0, 7)
        await screen.ask("/theme paper")
        assert screen.app.theme == "paper"
        await screen.ask("/new")
        await screen.until(lambda: screen.said() == [])


async def test_commands_are_named_while_they_are_typed() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.press("slash", "t")
        await screen.until(lambda: screen.line("above").startswith("/temp T | auto  /theme [NAME]  /threads"))
        await screen.press("e", "space", "1")
        await screen.until(lambda: not screen.app.main.query_one("#above").display)


@pytest.mark.parametrize("text", ["/ngl 99", "/ngl x", "/nope", "/theme nope", "/temp hot", "/quit now"])
async def test_a_mistake_in_a_command_is_said_and_the_text_stays(text: str) -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.ask(text)
        assert screen.app.main.chat.prompt.text == text
        assert len(screen.line("footer")) > 20 or screen.said()[-1][0] == "error"
        assert len(engine.wanted) == 1
        assert screen.app.is_running


async def test_a_file_is_chosen_from_the_list_and_names_are_only_text() -> None:
    names = ["plain", "evil [/x][@click=app.quit]q[/]", "other"]
    files = [ModelFile(path=Path(f"/m/{i}.gguf"), name=name, bytes=7, quant="Q8_0") for i, name in enumerate(names)]
    async with with_recorder(size=(80, 24), files=files) as (screen, engine):
        await ready(screen, engine)
        await screen.press("f2")
        rows = screen.app.main.query_one(ModelList)
        await screen.until(lambda: rows.count == 3)
        await screen.press("slash", "e", "v", "i", "l", "enter", "i")
        assert rows.count == 1
        assert "/m/1.gguf" in screen.line("models-details")
        await screen.press("enter")
        await screen.until(lambda: len(engine.wanted) == 2)
        assert engine.wanted[1].model == "/m/1.gguf"
        assert isinstance(screen.app.focused, Prompt)


async def test_the_palette_runs_commands_by_name() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.press("ctrl+p", *"offloaded", "enter")
        await screen.until(lambda: isinstance(screen.app.focused, DialPane))
        await screen.press("escape", "ctrl+p", *"temperature", "enter")
        await screen.until(lambda: screen.app.main.chat.prompt.text == "/temp ")


async def test_help_opens_and_closes() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.press("f1")
        assert screen.app.screen is not screen.app.main
        await screen.press("escape")
        assert screen.app.screen is screen.app.main


async def test_keys_are_remapped_by_id() -> None:
    options = Options(model="/m.gguf", config=Config(keys={"models.open": "f5", "dial.open": "none"}))
    async with with_recorder(options=options) as (screen, engine):
        await ready(screen, engine)
        await screen.press("ctrl+r")
        assert isinstance(screen.app.focused, Prompt)
        await screen.press("f5")
        assert isinstance(screen.app.focused, ModelList)
        await screen.press("f2")
        assert "F5" not in screen.line("footer")
        await screen.press("escape")
        assert "F5 models" in screen.line("footer")
        assert "^R" not in screen.line("footer")


async def test_ctrl_n_begins_anew_and_late_pieces_are_dropped() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.ask("old?")
        await screen.until(lambda: len(engine.submitted) == 1)
        await screen.press("ctrl+n")
        assert engine.stops == 1
        engine.piece("late")
        engine.end("cancelled")
        await screen.until(lambda: screen.phase is Phase.READY)
        assert screen.said() == []
        await screen.ask("new?")
        await screen.until(lambda: len(engine.submitted) == 2)
        assert [message.content for message in engine.submitted[1][1]] == ["new?"]


async def test_the_last_question_is_answered_again() -> None:
    async with with_recorder() as (screen, engine):
        await ready(screen, engine)
        await screen.ask("why?")
        await screen.until(lambda: len(engine.submitted) == 1)
        engine.piece("first")
        engine.end()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("/again")
        await screen.until(lambda: len(engine.submitted) == 2)
        assert [message.content for message in engine.submitted[1][1]] == ["why?"]


@pytest.mark.parametrize("size", [(40, 10), (59, 14), (80, 24), (120, 36), (200, 50)])
async def test_the_essentials_are_seen_at_every_size(size: tuple[int, int]) -> None:
    async with with_recorder(size=size) as (screen, engine):
        await ready(screen, engine)
        main = screen.app.main
        for id in ("chat", "prompt", "transcript", "status"):
            region = main.query_one(f"#{id}").region
            assert region.area > 0, id
            assert main.region.contains_region(region), id
        assert main.query_one("#side").display is (size[0] >= 110)
        assert main.query_one("#models").display is (size[0] >= 160)
        for key in ("f2", "f3", "ctrl+r"):
            await screen.press(key)
            assert screen.app.focused is not None
            assert screen.app.focused.region.area > 0
        await screen.press("escape")
        assert isinstance(screen.app.focused, Prompt)
        assert main.chat.display


async def test_resizing_keeps_the_open_pane_and_the_draft() -> None:
    async with with_recorder(size=(80, 24)) as (screen, engine):
        await ready(screen, engine)
        await screen.press("h", "i", "f2")
        for width, height in ((200, 50), (120, 36), (30, 8), (80, 24)):
            await screen.pilot.resize_terminal(width, height)
            await screen.pilot.pause()
            assert screen.app.focused is not None
            assert screen.app.focused.region.area > 0, (width, height)
        assert screen.app.main.chat.prompt.text == "hi"
        await screen.press("escape")
        assert screen.app.main.chat.display
