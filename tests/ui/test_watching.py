"""How often the machine is looked at, and the full monitor over the app."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual import events

from offtui.config import Config
from offtui.engine.state import Phase, TurnState
from offtui.monitor.sample import Sample
from offtui.options import Options
from offtui.protocol.events import DeviceMemory, Piece, PromptProgress, Tokenized, TurnStarted
from offtui.protocol.facts import DeviceFacts
from offtui.ui import arming
from offtui.ui.application import OfftuiApp
from offtui.ui.interrupting import Word
from offtui.ui.panes.dial import DialPane
from offtui.ui.panes.models import ModelList
from offtui.ui.panes.monitor import MonitorPane
from offtui.ui.ports import Ports
from offtui.ui.screens.choice import ChoiceScreen
from offtui.ui.screens.help import HelpScreen
from offtui.ui.screens.main import MainScreen
from offtui.ui.screens.monitor import MonitorScreen
from offtui.ui.widgets.line import Line
from tests.recorder.scenes import Show, card, sample
from tests.ui.harness import GIB, Recorder, Screen, StillShelf, timings, with_recorder


class Watch:
    """A sampler that only keeps what it was told."""

    def __init__(
        self,
        listener: Callable[[Sample], None],
        interval: Callable[[], float],
        worker: Callable[[], int | None],
        model: Callable[[], str | None],
    ) -> None:
        self.listener, self.interval, self.worker, self.model = listener, interval, worker, model
        self.pokes = 0

    def start(self) -> None: ...

    def poke(self) -> None:
        self.pokes += 1

    def stop(self) -> None: ...


async def test_the_machine_is_looked_at_twice_a_second_while_busy_and_seldom_while_nobody_looks() -> None:
    watches: list[Watch] = []
    engines: list[Recorder] = []

    def watch(*given: object) -> Watch:
        watches.append(Watch(*given))  # type: ignore[arg-type]
        return watches[-1]

    def engine(listener: object) -> Recorder:
        engines.append(Recorder(listener))  # type: ignore[arg-type]
        return engines[-1]

    ports = Ports(engine, watch, lambda listener: StillShelf((), listener))
    app = OfftuiApp(Options(model="/models/first.gguf", config=Config()), ports)
    async with app.run_test(size=(120, 36)) as pilot:
        await Screen(app, pilot).until(lambda: bool(watches))
        (looking,), (session,) = watches, engines
        assert looking.interval() == 0.5, "while the first model loads"
        pokes = looking.pokes
        session.load()
        await pilot.pause()
        assert looking.interval() == 1.0
        assert looking.pokes > pokes, "what a load took is looked at"
        session.submit(1, (), None)  # type: ignore[arg-type]
        session.state = session.with_phase(Phase.GENERATING, turn=TurnState(1))
        assert looking.interval() == 0.5
        app.post_message(events.AppBlur())
        await Screen(app, pilot).until(lambda: looking.interval() == 5.0)
        pokes = looking.pokes
        app.post_message(events.AppFocus())
        await Screen(app, pilot).until(lambda: looking.interval() == 0.5)
        assert looking.pokes > pokes, "who comes back sees what is, and not what was five seconds ago"


def page(screen: Screen) -> str:
    return screen.app.screen.query_one("#full-page", Line).text


async def test_the_full_monitor_opens_over_the_chat_and_follows() -> None:
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.press("f4")
        await screen.until(lambda: isinstance(screen.app.screen, MonitorScreen))
        assert "4/13 layers" in page(screen)
        screen.app._sampled(sample(50.0, card(power_w=120.0)))
        await screen.until(lambda: "120 W" in page(screen))
        engine.load(9)
        await screen.until(lambda: "9/13 layers" in page(screen))
        await screen.press("minus")
        assert "5 min" in page(screen)
        await screen.press("plus", "plus")
        assert "1 min" in page(screen)
        assert "-30 s" in page(screen)
        await screen.press("left")
        assert "held" in page(screen)
        assert " ago" in page(screen)
        await screen.press("escape")
        assert "now" in page(screen)
        await screen.press("escape")
        assert screen.app.screen is screen.app.main


@pytest.mark.parametrize(
    ("key", "there"),
    [
        ("ctrl+p", lambda screen: isinstance(screen.app.screen, ChoiceScreen)),
        ("f1", lambda screen: isinstance(screen.app.screen, HelpScreen)),
        ("ctrl+r", lambda screen: isinstance(screen.app.focused, DialPane)),
        ("f2", lambda screen: isinstance(screen.app.focused, ModelList)),
        ("f3", lambda screen: isinstance(screen.app.focused, MonitorPane)),
    ],
)
async def test_the_keys_of_other_places_lead_there_from_the_full_monitor(
    key: str, there: Callable[[Screen], bool]
) -> None:
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.press("f4")
        screen.app._sampled(sample(50.0))
        await screen.until(lambda: "GiB" in page(screen))
        await screen.press("left", "escape", key)
        await screen.until(lambda: there(screen))
        assert not any(isinstance(each, MonitorScreen) for each in screen.app.screen_stack)


async def test_ctrl_c_stops_in_the_full_monitor_and_quits_the_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arming, "TWICE", 600.0)  # a slow machine must not take longer between two keys than a person
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("How much is it?")
        await screen.until(lambda: bool(engine.submitted))
        engine.piece("Not")
        await screen.until(lambda: screen.phase is Phase.GENERATING)
        screen.app.main.chat.prompt.text = "a draft"
        await screen.press("f4")
        await screen.until(lambda: isinstance(screen.app.screen, MonitorScreen))
        await screen.press("ctrl+c")
        assert engine.stops == 1
        engine.end(stop="cancelled")
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.press("ctrl+c")
        assert "Ctrl+C again" in screen.app.screen.query_one(Word).text
        await screen.press("minus", "ctrl+c")
        assert screen.app.main.chat.prompt.text == "a draft", "what is not seen is not cleared"
        assert screen.app.is_running
        await screen.press("ctrl+c")
        await screen.until(lambda: screen.app._exit)


async def test_the_monitor_tells_of_the_prompt_that_is_read_and_not_of_the_one_before() -> None:
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        engine.say(replace(engine.state, last_timings=timings()), Tokenized(0, 0))
        await screen.until(lambda: "5 of 20 tokens reused" in screen.line("monitor-turn"))
        await screen.ask("And this?")
        await screen.until(lambda: bool(engine.submitted))
        turn, tell = engine.submitted[-1][0], screen.app._sampled
        busy = engine.with_phase(Phase.GENERATING, turn=TurnState(turn, prompt_tokens=900, prompt_done=0))
        engine.say(busy, TurnStarted(turn, 900, 0))
        begun = time.monotonic() + 20.0
        for seconds, done in ((0.0, 100), (2.0, 400)):
            busy = replace(busy, turn=replace(busy.turn, prompt_done=done))
            engine.say(busy, PromptProgress(turn, done, 900))
            tell(sample(begun + seconds))
        await screen.until(lambda: "400 of 900 tokens" in screen.line("monitor-turn"))
        prompt, first = screen.line("monitor-turn").splitlines()
        assert "150 t/s" in prompt
        assert "–" in first
        assert "0 of 900 tokens reused" in first
        busy = replace(busy, turn=replace(busy.turn, tokens=1))
        engine.say(busy, Piece(turn, "answer", "Not", 1, 901, time.monotonic()))
        tell(sample(begun + 4.0))
        await screen.until(lambda: "400 of 900" not in screen.line("monitor-turn"))
        assert "–" not in screen.line("monitor-turn").splitlines()[1]


async def answered(screen: Screen, engine: Recorder, joules: float | None) -> None:
    """An answer, between two looks at the machine in which its card took so much more."""
    tell = screen.app._sampled
    energy = {} if joules is None else {"energy_j": 1000.0}
    tell(sample(time.monotonic() - 4.0, card(**energy)))
    asked = len(engine.submitted)
    await screen.ask("How much is it?")
    await screen.until(lambda: len(engine.submitted) > asked)
    engine.piece("Not much.")
    engine.end(tokens=41)
    energy = {} if joules is None else {"energy_j": 1000.0 + joules}
    tell(sample(time.monotonic() + 10.0, card(**energy, used=3 * GIB)))
    await screen.until(lambda: screen.app.main.chat.transcript.entries[-1].stamp != "")


async def test_an_answer_that_is_chosen_shows_its_time_and_what_it_took() -> None:
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        await answered(screen, engine, 4000.0)
        await screen.until(lambda: "J/token" in screen.app.main.chat.transcript.entries[-1].stamp)
        assert "Generation" in screen.line("monitor-speed")
        await screen.press("alt+up")
        await screen.until(lambda: "Answer 1 " in screen.line("monitor-speed"))
        assert "20.0 t/s" in screen.line("monitor-speed")
        vram, energy = screen.line("monitor-turn").splitlines()
        assert vram.split(" · ")[1] == "4/13 layers"
        assert "2.0 GiB" in vram
        assert "J/token" in energy
        await screen.press("f4")
        await screen.until(lambda: "answer 1 · 4/13 layers · 41 tokens · 20.0 t/s" in page(screen))
        assert "held" in page(screen)
        await screen.press("escape", "escape")
        assert screen.app.screen is screen.app.main
        await screen.press("escape")
        await screen.until(lambda: "Generation" in screen.line("monitor-speed"))


async def test_what_an_answer_took_is_unknown_where_no_card_tells() -> None:
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        await answered(screen, engine, None)
        await screen.press("alt+up")
        await screen.until(lambda: "Answer 1 " in screen.line("monitor-speed"))
        assert "J/token" not in screen.app.main.chat.transcript.entries[-1].stamp
        assert screen.line("monitor-turn").splitlines()[1].split()[:2] == ["Energy", "–"]
        said = screen.app.main.chat.conversation.branch[-1]
        assert said.stamp is not None
        assert said.stamp.energy_j is None


def seen(screen: Screen) -> float | None:
    """The time of the look at the machine that the screen in front has."""
    shown = screen.app.screen
    assert isinstance(shown, MonitorScreen | MainScreen)
    return shown.sample.time if shown.sample is not None else None


async def test_what_came_while_the_chat_was_covered_is_seen_when_it_is_not() -> None:
    async with with_recorder() as (screen, engine):
        engine.load()
        screen.app._sampled(sample(50.0, card(used=2 * GIB)))
        await screen.until(lambda: "2.0 / 8.0 GiB" in screen.line("monitor-memory"))
        await screen.press("f4")
        screen.app._sampled(sample(51.0, card(used=3 * GIB)))
        await screen.until(lambda: seen(screen) == 51.0)
        assert "2.0 / 8.0 GiB" in screen.line("monitor-memory"), "nobody sees it, so it is not painted"
        await screen.press("escape")
        await screen.until(lambda: "3.0 / 8.0 GiB" in screen.line("monitor-memory"))
        assert seen(screen) == 51.0
        screen.app._sampled(sample(52.0, card(used=4 * GIB)))
        await screen.until(lambda: "4.0 / 8.0 GiB" in screen.line("monitor-memory"))


async def test_memory_of_a_device_that_changed_while_covered_is_seen_in_front_and_later_behind() -> None:
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)

        def free(gib: int) -> None:
            cpu = DeviceFacts("CPU", "cpu", "a processor", 8 * GIB, 16 * GIB)
            gpu = DeviceFacts("CUDA0", "gpu", "A Card", gib * GIB, 8 * GIB)
            engine.say(replace(engine.state, memory=(cpu, gpu)), DeviceMemory((cpu, gpu), 1.0))

        free(6)
        await screen.until(lambda: "2.0 / 8.0 GiB" in screen.line("monitor-memory"))
        await screen.press("f4")
        await screen.until(lambda: isinstance(screen.app.screen, MonitorScreen))
        free(5)
        screen.app._sampled(sample(50.0))
        await screen.until(lambda: "3.0 / 8.0 GiB" in page(screen))
        assert screen.app.main.session.memory[1].free == 6 * GIB
        engine.load(9)
        await screen.until(lambda: "9/13 layers" in page(screen))
        await screen.press("escape")
        assert screen.app.screen is screen.app.main
        assert screen.app.main.session is engine.state, "what came later is not undone"
        await screen.press("f4")
        await screen.until(lambda: isinstance(screen.app.screen, MonitorScreen))
        free(4)
        free(3)
        await screen.press("escape")
        await screen.until(lambda: screen.app.main.session is engine.state)
        await screen.until(lambda: "5.0 / 8.0 GiB" in screen.line("monitor-memory"))


def drawn(screen: Screen) -> list[str]:
    """The rows in which a line is drawn."""
    return [row for row in page(screen).splitlines() if any("\u2801" <= character <= "\u28ff" for character in row)]


async def test_the_page_that_is_held_does_not_move() -> None:
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.press("f4")
        screen.app._sampled(sample(50.0))
        await screen.press("p")
        await screen.until(lambda: "held" in page(screen))
        rows = drawn(screen)
        screen.app._sampled(sample(90.0))
        await screen.until(lambda: seen(screen) == 90.0)
        await screen.pilot.pause()
        assert rows
        assert drawn(screen) == rows
        await screen.press("p")
        await screen.until(lambda: "now" in page(screen))
        assert drawn(screen) != rows


async def test_an_answer_is_read_though_the_machine_was_not_looked_at_yet() -> None:
    show = Show()
    show.load(0.0)
    show.answer(5.0)
    full = MonitorScreen(lambda: show.tape, {}, answer=show.tape.answers()[-1])
    full.set_reactive(MonitorScreen.session, show.state)
    async with with_recorder() as (screen, _):
        await screen.app.push_screen(full)
        await screen.until(lambda: "answer 1" in page(screen))
        await screen.press("left")
        assert " ago" in page(screen)


async def test_the_history_is_exported_by_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask(f"/history {tmp_path / 'mine.json'}")
        await screen.until(lambda: (tmp_path / "mine.json").exists())
        assert json.loads((tmp_path / "mine.json").read_text())["marks"]
        await screen.ask(f"/history {tmp_path / 'mine.json'}")
        await screen.until(lambda: "there already" in screen.line("footer") or bool(screen.said()))
        await screen.press("f4")
        await screen.press("e")
        await screen.until(lambda: bool(list(tmp_path.glob("offtui-*.csv"))))
