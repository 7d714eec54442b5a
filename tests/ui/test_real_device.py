"""The main job through the screen: llama.cpp for real, over a real second device."""

from pathlib import Path

from offtui.engine.session import Session
from offtui.engine.state import Phase
from offtui.options import Options
from offtui.protocol.spec import Sampling
from offtui.ui.panes.dial import DialPane
from offtui.ui.ports import Engine, Listener
from offtui.ui.widgets.line import Line
from tests.fakes.device import RunningDevice
from tests.ui.harness import Screen, opened


def session(listener: Listener) -> Engine:
    return Session(listener)


def on_device(screen: Screen) -> tuple[int, int]:
    """Layers and bytes of weights on the RPC device, by the ledger."""
    loaded = screen.app.main.session.loaded
    assert loaded is not None
    entries = [entry for entry in loaded.devices if entry.kind == "rpc"]
    return sum(entry.layers for entry in entries), sum(entry.weights for entry in entries)


async def test_the_dial_puts_none_some_and_all_of_the_weights_on_the_device(
    tiny_model: Path, device: RunningDevice
) -> None:
    options = Options(
        model=str(tiny_model),
        n_gpu_layers=4,
        n_ctx=512,
        rpc=(device.endpoint,),
        sampling=Sampling(temperature=0.0, max_tokens=12),
    )
    async with opened(session, options=options) as screen:
        weights: dict[int, int] = {}
        texts: dict[int, str] = {}
        for key, layers in ((None, 4), ("plus", 5), ("minus", 4), ("home", 0), ("end", 13)):
            if key in ("plus", "minus"):
                screen.app.main.set_focus(screen.app.main.chat.transcript)
                await screen.press(key)
            elif key is not None:
                await screen.press("ctrl+r", key, "enter", "escape")
            await screen.until(lambda layers=layers: f"· {layers}/13 layers" in screen.status, 60)
            assert screen.app.main.query_one(DialPane).draft is None
            got, weights[layers] = on_device(screen)
            assert got == layers
            assert f"asked {layers}, got {layers} of 13" in screen.app.main.query_one("#ledger Line", Line).text
            answers = len(screen.app.main.answers)
            await screen.press("ctrl+n")
            await screen.ask("hello")
            await screen.until(lambda answers=answers: len(screen.app.main.answers) > answers, 60)
            await screen.until(lambda: screen.phase is Phase.READY)
            texts[layers] = screen.said()[-1][1]
        assert weights[0] == 0 < weights[4] < weights[5] < weights[13]
        assert len(set(texts.values())) == 1


async def device_dies_in_an_answer(screen: Screen, device: RunningDevice) -> None:
    await screen.until(lambda: screen.phase is Phase.READY, 60)
    await screen.ask("hello")
    await screen.until(lambda: any(text for role, text in screen.said() if role == "assistant"), 60)
    device.kill()
    await screen.until(lambda: screen.phase is Phase.CRASHED, 60)


async def test_the_device_dies_and_the_answer_goes_on_without_it(tiny_model: Path) -> None:
    with RunningDevice(slots=1) as device:
        options = Options(
            model=str(tiny_model), n_gpu_layers=13, n_ctx=4096, rpc=(device.endpoint,), sampling=Sampling(temperature=0)
        )
        async with opened(session, options=options) as screen:
            await device_dies_in_an_answer(screen, device)
            assert [role for role, _ in screen.said()] == ["user", "assistant", "error", "notice"]
            assert "without RPC devices" in screen.said()[-2][1]
            assert f"/rpc {device.endpoint} tries with the device again" in screen.said()[-2][1]
            assert "F5 goes on with it without the RPC device" in screen.said()[-1][1]
            answer = screen.app.main.chat.transcript.entries[1]
            assert (answer.state, "a device was lost" in answer.stamp) == ("broken", True)
            begun = len(answer.text)
            await screen.press("f5")
            await screen.until(lambda: "· 0/13 layers" in screen.status, 60)
            await screen.until(lambda: len(screen.app.main.chat.transcript.entries[1].text) > begun, 60)
            assert screen.app.main.chat.transcript.entries[1].text.startswith(answer.text)


async def test_the_device_dies_and_the_same_model_comes_back_without_it(tiny_model: Path) -> None:
    with RunningDevice(slots=1) as device:
        options = Options(model=str(tiny_model), n_gpu_layers=13, n_ctx=4096, rpc=(device.endpoint,))
        async with opened(session, options=options) as screen:
            await device_dies_in_an_answer(screen, device)
            await screen.press("ctrl+l")
            await screen.until(lambda: "· 0/13 layers" in screen.status, 60)
            await screen.ask(f"/rpc {device.endpoint}")
            await screen.until(lambda: "Nobody answers" in screen.said()[-1][1], 60)
            assert "What was up before" in screen.said()[-1][1]
            await screen.until(lambda: screen.phase is Phase.READY and "· 0/13 layers" in screen.status, 60)
