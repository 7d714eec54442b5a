"""An answer whose worker died, and the key that has it go on."""

import os
import signal

from offtui.engine.state import Phase
from tests.ui.harness import Screen, with_worker

COUNT = 120
WHOLE = " ".join(f"word{i}" for i in range(COUNT))
SLOW = ("--pieces", str(COUNT), "--pause", "0.02")


async def broken_off(screen: Screen, words: int = 25) -> None:
    """The worker is killed in its answer."""
    await screen.until(lambda: screen.phase is Phase.READY)
    await screen.ask("hello")
    await screen.until(lambda: f"word{words}" in screen.said()[-1][1])
    pid = screen.app._worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await screen.until(lambda: screen.phase is Phase.CRASHED)


async def test_one_key_loads_the_model_and_goes_on_with_the_sentence() -> None:
    async with with_worker(*SLOW) as screen:
        await broken_off(screen)
        await screen.until(lambda: "F5 goes on with it: " in screen.said()[-1][1])
        assert "tokens are kept" in screen.said()[-1][1]
        await screen.until(lambda: "F5 go on" in screen.line("footer"))
        assert screen.app.main.chat.conversation.branch[-1].state == "stopped"
        await screen.press("f5")
        await screen.until(lambda: screen.app.main.chat.conversation.branch[-1].state == "done")
        answers = [text for role, text in screen.said() if role == "assistant"]
        assert [text.strip() for text in answers] == [WHOLE]
        assert "F5" not in screen.line("footer")


async def test_esc_while_it_loads_leaves_it_for_another_time() -> None:
    async with with_worker(*SLOW, "--do-layers", "13:progress:slow") as screen:
        await broken_off(screen)
        await screen.until(lambda: "F5 go on" in screen.line("footer"))
        await screen.ask("/continue")
        await screen.until(lambda: screen.phase is Phase.LOADING)
        await screen.press("escape")
        await screen.until(lambda: screen.phase is Phase.CRASHED)
        assert screen.app.main.chat.conversation.branch[-1].state == "stopped"
        await screen.until(lambda: "F5 go on" in screen.line("footer"))
        await screen.press("f5")
        await screen.until(lambda: screen.app.main.chat.conversation.branch[-1].state == "done")
        answers = [text for role, text in screen.said() if role == "assistant"]
        assert [text.strip() for text in answers] == [WHOLE]
