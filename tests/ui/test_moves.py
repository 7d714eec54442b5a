"""Moves to another load of the same model, as the screen tells them."""

import pytest
from msgspec.structs import replace

from offtui.engine.moves import Move, MoveBegan, Moved, MoveEnded, MoveFailed, MoveStep, MoveStepped, Progress
from offtui.engine.state import Phase, SessionState, TurnState
from offtui.protocol.events import LoadFailed
from offtui.protocol.facts import Failure
from offtui.protocol.spec import LoadSpec
from offtui.ui.moving import COMES_BACK, STILL_UP, MoveTale
from offtui.ui.panes.status import status
from tests.ui.harness import Screen, loaded, with_recorder, with_worker

OLD = LoadSpec(model="/m/model.gguf", n_gpu_layers=4, n_ctx=8192)
NEW = LoadSpec(model="/m/model.gguf", n_gpu_layers=9, n_ctx=8192)
ANSWERING = ("--pieces", "2000", "--pause", "0.02")


async def answering(screen: Screen) -> None:
    await screen.until(lambda: screen.phase is Phase.READY)
    await screen.ask("hello")
    await screen.until(lambda: any(text for role, text in screen.said() if role == "assistant"))


def told(screen: Screen, role: str) -> list[str]:
    return [text for said, text in screen.said() if said == role]


async def test_a_move_is_seen_while_it_runs_and_told_once_it_ended() -> None:
    async with with_worker("--pieces", "2000", "--pause", "0.1") as screen:
        await answering(screen)
        before = told(screen, "notice")
        await screen.ask("/ngl 4")
        await screen.until(lambda: "13→4/13 layers" in screen.status and "moving" in screen.status)
        await screen.until(lambda: len(told(screen, "notice")) > len(before))
        (notice,) = told(screen, "notice")[len(before) :]
        assert notice.startswith("4 of 13 layers in 25")
        assert "conversation kept (" in notice
        assert not told(screen, "error")
        await screen.until(lambda: "moving" not in screen.status and "4/13 layers" in screen.status)


async def test_a_conversation_that_does_not_fit_is_said_to_be_evaluated_again() -> None:
    async with with_worker(*ANSWERING) as screen:
        await answering(screen)
        await screen.ask("/ctx 16")
        await screen.until(lambda: any("evaluated again" in text for text in told(screen, "notice")))
        assert "context of 16 tokens" in told(screen, "notice")[-1]


async def test_a_move_that_fails_is_an_error_and_the_settings_are_those_of_what_is_up() -> None:
    async with with_worker(*ANSWERING, "--do-layers", "4:load:out_of_memory") as screen:
        await answering(screen)
        await screen.ask("/ngl 4")
        await screen.until(lambda: bool(told(screen, "error")))
        (error,) = told(screen, "error")
        assert error.startswith("It failed: out_of_memory")
        assert "What was up before is" in error
        await screen.until(lambda: screen.app.main.session.move is None)
        assert screen.app.main.steering.settings.spec.n_gpu_layers == 13
        assert screen.app.main.steering.settings.spec.n_ctx == 4096
        assert "13/13 layers" in screen.status
        answer = told(screen, "assistant")[0]
        await screen.until(lambda: len(told(screen, "assistant")[0]) > len(answer))


async def test_esc_gives_up_a_move_where_nothing_else_runs() -> None:
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("why?")
        await screen.until(lambda: bool(engine.submitted))
        engine.end()
        await screen.ask("/ngl 9")
        target = engine.wanted[-1]
        up = loaded(target, 4, 13, device=True)
        move = Move(origin=up.spec, target=target, beside=True, step=MoveStep.BESIDE)
        ready = SessionState(phase=Phase.READY, wanted=target, loaded=up, last_good=up.spec)
        engine.say(replace(ready, move=move), MoveBegan(target, True))
        await screen.until(lambda: "4→9/13 layers · moving" in screen.status)
        await screen.until(lambda: screen.line("footer").startswith("Esc cancel"))
        await screen.press("escape")
        assert engine.stops == 1
        back = replace(ready, wanted=up.spec)
        engine.say(replace(back, move=move), MoveFailed(Failure("cancelled", "The load was cancelled.")))
        engine.say(back, MoveEnded(Moved(origin=up.spec, target=target, beside=True)))
        await screen.until(lambda: "moving" not in screen.status)
        await screen.until(lambda: "cancel" not in screen.line("footer"))
        assert told(screen, "notice")[-1] == "The change was cancelled. What was up before is still up."
        assert screen.app.main.steering.settings.spec == up.spec


async def test_a_worker_that_dies_before_its_answer_has_failed() -> None:
    async with with_worker("--do", "started:kill") as screen:
        await screen.until(lambda: screen.phase is Phase.READY)
        await screen.ask("hello")
        await screen.until(lambda: screen.phase is Phase.CRASHED)
        assert screen.app.main.chat.transcript.entries[1].state == "failed"


def test_the_line_of_a_move_says_from_where_to_where_and_what_it_costs() -> None:
    turn = TurnState(1, tokens=3)
    beside = Move(origin=OLD, target=NEW, beside=True, step=MoveStep.BESIDE, progress=Progress("weights", 0.43))
    state = SessionState(phase=Phase.GENERATING, wanted=NEW, move=beside, turn=turn, n_past=312)
    text = status(state, None, None, 120, 13).plain
    assert text == "model · 4→9/13 layers · moving · weights 43 % · the answer goes on"
    saving = Move(origin=OLD, target=NEW, beside=False, step=MoveStep.SAVING)
    state = SessionState(phase=Phase.STOPPING, wanted=NEW, move=saving, turn=turn, n_past=312)
    assert status(state, None, None, 120, 13).plain == (
        "model · 4→9/13 layers · moving · saving 312 tokens · the answer waits"
    )
    assert "4→9/13 layers · moving" in status(state, None, None, 40, 13).plain


def test_room_for_the_cache_is_made_while_the_answer_goes_on() -> None:
    preparing = Move(origin=OLD, target=NEW, beside=False, step=MoveStep.PREPARING)
    state = SessionState(phase=Phase.GENERATING, wanted=NEW, move=preparing, turn=TurnState(1, tokens=3), n_past=312)
    text = status(state, None, None, 120, 13).plain
    assert text == "model · 4→9/13 layers · moving · room for 312 tokens · the answer goes on"


@pytest.mark.parametrize(
    ("step", "rest"),
    [(MoveStep.PREPARING, STILL_UP), (MoveStep.SAVING, STILL_UP), (MoveStep.LOADING, COMES_BACK)],
)
def test_it_is_said_whether_what_was_up_has_to_be_loaded_again(step: MoveStep, rest: str) -> None:
    tale = MoveTale()
    tale.hear(MoveBegan(NEW, False))
    tale.hear(MoveStepped(step))
    said = tale.hear(MoveFailed(Failure("out_of_memory", "Too little memory.")))
    assert said is not None
    assert said.text.endswith(rest)


def test_another_model_that_is_refused_before_it_takes_the_place_of_what_is_up_leaves_that() -> None:
    tale = MoveTale()
    for is_gone, rest in ((False, STILL_UP), (True, COMES_BACK)):
        if is_gone:
            tale.gone()
        said = tale.hear(MoveFailed(Failure("not_gguf", "It is no GGUF.")))
        assert said is not None
        assert said.text.endswith(rest)


async def test_the_kind_of_the_cache_changes_while_an_answer_is_written_and_the_latest_wish_wins() -> None:
    async with with_worker(*ANSWERING) as screen:
        await answering(screen)
        for wish in ("/kv q8_0", "/fa on", "/ubatch 64", "/threads 2"):
            await screen.ask(wish)
        await screen.until(
            lambda: screen.app.main.session.move is None and "KV q8_0" in "".join(told(screen, "notice"))
        )
        wanted = screen.app.main.session.wanted
        assert wanted is not None
        assert (wanted.type_k, wanted.flash_attn, wanted.n_ubatch, wanted.n_threads) == ("q8_0", "on", 64, 2)
        answer = told(screen, "assistant")[0]
        await screen.until(lambda: len(told(screen, "assistant")[0]) > len(answer))


async def test_what_did_not_fit_is_fitted_with_one_key() -> None:
    async with with_worker(*ANSWERING, "--do-layers", "9:load:out_of_memory") as screen:
        await answering(screen)
        await screen.ask("/ngl 9")
        await screen.until(lambda: bool(told(screen, "error")))
        assert told(screen, "error")[-1].endswith("F6 loads what fits of it.")
        await screen.until(lambda: screen.app.main.session.move is None)
        await screen.until(lambda: "F6 fit it" in screen.line("footer"))
        await screen.press("f6")
        await screen.until(lambda: any(text.startswith("Fitting: as many") for text in told(screen, "notice")))
        assert screen.app.main.steering.settings.spec.n_gpu_layers is None
        assert not screen.app.main.steering.can_fit
        await screen.until(lambda: "fit it" not in screen.line("footer"))


async def test_a_first_load_that_does_not_fit_is_fitted_too() -> None:
    async with with_recorder() as (screen, engine):
        failure = Failure("out_of_memory", "A device ran out of memory.")
        engine.say(SessionState(phase=Phase.CRASHED, wanted=engine.wanted[-1], failure=failure), LoadFailed(failure))
        await screen.until(lambda: bool(told(screen, "error")))
        assert "F6 loads what fits of it. ^L loads" in told(screen, "error")[-1]
        await screen.ask("/fit")
        await screen.until(lambda: len(engine.wanted) == 2)
        assert engine.wanted[-1].vram_margin == 2**30
        await screen.ask("/fit")
        assert len(engine.wanted) == 2
