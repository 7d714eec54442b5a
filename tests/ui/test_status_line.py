"""The line of status while an answer is written."""

import pytest

from offtui.engine.state import Phase, TurnState, TurnWanted
from offtui.ui.panes import status
from tests.ui.harness import with_recorder


async def test_a_question_that_was_read_is_not_being_read_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a short answer all tokens come before the figures are due again."""
    monkeypatch.setattr(status, "FIGURES", 600.0)
    async with with_recorder() as (screen, engine):
        engine.load()
        await screen.until(lambda: "4/13 layers" in screen.line("status"))
        await screen.ask("why?")
        await screen.until(lambda: bool(engine.submitted))
        turn = engine.submitted[-1][0]
        engine.say(engine.with_phase(Phase.GENERATING, turn=TurnState(turn)), TurnWanted(turn))
        await screen.until(lambda: "reading the question" in screen.line("status"))
        engine.piece("because", tokens=1)
        await screen.until(lambda: "reading" not in screen.line("status"))
        assert "4/13 layers" in screen.line("status")
