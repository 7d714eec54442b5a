"""What a change costs, said before it is made; and the settings of the last time."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from offtui.config import Config
from offtui.engine.state import Phase, SessionState
from offtui.options import Options
from offtui.protocol.spec import LoadSpec
from offtui.store.remembered import LoadTime, Remembered
from offtui.ui.panes.dial import DialPane
from offtui.ui.price import price_text, rough_time
from offtui.ui.widgets.line import Line
from tests.ui.harness import loaded, timings, with_recorder

UP = replace(loaded(LoadSpec(model="/m/a.gguf"), 4, 13, device=True), ladder=tuple(10**8 * k for k in range(14)))
TALK = SessionState(phase=Phase.READY, loaded=UP, n_past=3100, last_timings=timings())
TIMED = (LoadTime(4, 4 * 10**8, 2.0), LoadTime(13, 13 * 10**8, 6.5))
WANTED = replace(UP.spec, n_gpu_layers=12)


def test_the_seconds_and_what_becomes_of_the_conversation() -> None:
    assert price_text(TALK, WANTED, TIMED) == "about 6 s · conversation kept (3.1k tokens)"
    assert price_text(replace(TALK, n_past=0), WANTED, TIMED) == "about 6 s"
    assert price_text(replace(TALK, loaded=None), WANTED, TIMED) == ""
    assert price_text(TALK, replace(WANTED, model="/m/b.gguf"), TIMED) == ""


@pytest.mark.parametrize("change", [{"type_k": "q8_0"}, {"flash_attn": "off"}, {"n_ctx": 2048}])
def test_a_cache_of_another_kind_is_evaluated_again_and_takes_its_time(change: dict[str, object]) -> None:
    text = price_text(TALK, replace(WANTED, **change), TIMED)
    assert text == "about 6 s · 3.1k tokens evaluated again, about 2 min more"
    unknown = price_text(replace(TALK, last_timings=None), replace(WANTED, **change), TIMED)
    assert unknown == "about 6 s · 3.1k tokens evaluated again"


@pytest.mark.parametrize("change", [{"flash_attn": "on"}, {"n_ctx": 4096}, {"n_ubatch": 64}, {"n_threads": 3}])
def test_what_does_not_touch_the_cache_keeps_it(change: dict[str, object]) -> None:
    assert "kept" in price_text(TALK, replace(WANTED, **change), TIMED)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.01, "0.1 s"), (0.42, "0.4 s"), (0.97, "1 s"), (6.4, "6 s"), (89, "89 s"), (150, "2 min")]
)
def test_a_guess_has_few_digits(seconds: float, text: str) -> None:
    assert rough_time(seconds) == text


async def test_the_dial_says_the_price_of_its_draft(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"x")
    options = Options(model=str(tmp_path / "a.gguf"), config=Config())
    memory = Remembered(tmp_path / "models.json")
    async with with_recorder(options=options, memory=memory) as (screen, engine):
        engine.load(ladder=UP.ladder)
        await screen.until(lambda: screen.phase is Phase.READY)
        engine.say(replace(engine.state, n_past=312), UP)
        screen.app.main.query_one(DialPane)._quiet = 60.0
        await screen.press("ctrl+r", "right")
        await screen.until(lambda: "conversation kept (312" in screen.line("dial-hint"))
        assert "about " in screen.line("dial-hint")


async def test_a_model_comes_up_as_it_was_the_last_time_unless_told_otherwise(tmp_path: Path) -> None:
    model = tmp_path / "a.gguf"
    model.write_bytes(b"x")
    memory = Remembered(tmp_path / "models.json")
    options = Options(model=str(model), config=Config())
    async with with_recorder(options=options, memory=memory) as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("/kv q8_0")
        engine.load(5)
        await screen.ask("/ngl 5")
        engine.load(5)
        await screen.until(lambda: screen.app.main.session.wanted.n_gpu_layers == 5)
    async with with_recorder(options=options, memory=memory) as (screen, engine):
        assert (engine.wanted[-1].n_gpu_layers, engine.wanted[-1].type_k) == (5, "q8_0")
        engine.load(5)
        await screen.until(lambda: "As last time: 5 layers" in screen.app.main.chat.transcript.empty)
    told = replace(options, told=frozenset({"n_gpu_layers"}), n_gpu_layers=None)
    async with with_recorder(options=told, memory=memory) as (_, engine):
        assert (engine.wanted[-1].n_gpu_layers, engine.wanted[-1].type_k) == (None, "q8_0")


async def test_a_load_that_came_back_is_no_choice(tmp_path: Path) -> None:
    from offtui.engine.moves import MoveBegan, MoveFailed
    from offtui.protocol.facts import Failure

    model = tmp_path / "a.gguf"
    model.write_bytes(b"x")
    memory = Remembered(tmp_path / "models.json")
    options = Options(model=str(model), config=Config())
    async with with_recorder(options=options, memory=memory) as (screen, engine):
        engine.load(4)
        await screen.until(lambda: screen.phase is Phase.READY)
        up = engine.state
        await screen.ask("/ngl 9")
        target = engine.wanted[-1]
        engine.say(replace(up, wanted=target), MoveBegan(target, False))
        back = replace(up, wanted=up.loaded.spec)
        engine.say(back, MoveFailed(Failure("out_of_memory", "Too much.")))
        engine.say(back, up.loaded)
        await screen.until(lambda: screen.app.main.steering.settings.spec.n_gpu_layers == 4)
    assert memory.settings(LoadSpec(model=str(model))) == {}


async def test_a_budget_goes_to_the_load_and_the_truth_line_says_so() -> None:
    options = Options(model="/m/a.gguf", config=Config(), vram_budget=8 * 2**30)
    async with with_recorder(options=options) as (screen, engine):
        assert engine.wanted[-1].vram_budget == 8 * 2**30
        engine.load(4)
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("/budget 512MiB")
        assert engine.wanted[-1].vram_budget == 512 * 2**20
        up = loaded(engine.wanted[-1], 4, 13, device=True)
        up = replace(up, spec=replace(up.spec, vram_budget=512 * 2**20))
        engine.say(replace(engine.state, phase=Phase.READY, loaded=up), up)
        await screen.until(lambda: "budget 512" in screen.app.main.query_one("#ledger Line", Line).text)
        await screen.ask("/budget many")
        assert "is not a size" in screen.line("footer")
        await screen.ask("/budget off")
        assert engine.wanted[-1].vram_budget is None
