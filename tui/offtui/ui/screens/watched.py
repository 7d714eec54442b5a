"""What the main screen does with looks at the machine: holds the newest, opens the monitor in full."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual.app import App
from textual.reactive import var

from offtui.engine.state import SessionState
from offtui.monitor.sample import Sample
from offtui.options import Options
from offtui.recorder.tape import Answer, Tape
from offtui.text import clean_line
from offtui.ui.bridge import Mail
from offtui.ui.messages import AnswerPaid, PlanMade, SampleTaken
from offtui.ui.ports import Desk, Memory
from offtui.ui.rhythm import is_only_memory
from offtui.ui.screens.chatting import ChattingScreen

if TYPE_CHECKING:
    from offtui.ui.screens.monitor import MonitorScreen


class WatchedScreen(ChattingScreen):
    """A screen over a session that is recorded."""

    sample: var[Sample | None] = var[Sample | None](None)
    answer: var[Answer | None] = var[Answer | None](None)
    """Which is chosen in the chat, as far as the tape knows it."""

    def __init__(self, options: Options, tape: Tape, memory: Memory | None, desk: Desk) -> None:
        super().__init__(options, memory, desk)
        self.tape = tape
        self._full: MonitorScreen | None = None
        """The monitor that covers everything."""
        self._unseen: SessionState | None = None
        """The newest state, where only what devices have free is another since everything is covered."""
        self._plan_unseen: PlanMade | None = None

    def on_sample_taken(self, message: SampleTaken) -> None:
        """The machine was looked at; what is covered is not painted meanwhile."""
        if self._full is not None:
            self._full.sample = message.sample
            return
        self.sample = message.sample
        self._look_at_chosen()

    def is_covered_news(self, mail: Mail) -> bool:
        """Take in news of which nothing is seen but in the monitor that covers everything, if that is what they are."""
        self._unseen = None
        if self._full is None or mail.occurrences or not is_only_memory(self.session, mail.state):
            return False
        self._unseen = self._full.session = mail.state
        return True

    def on_plan_made(self, message: PlanMade) -> None:
        """A plan that has nothing to say but figures waits too; without a draft the monitor shows none of them."""
        has_news = self.plan is None or message.view.notices or message.view.bugs
        self._plan_unseen = None
        if self._full is not None and self.draft is None and self.study is None and not has_news:
            self._plan_unseen = message
            message.prevent_default()

    def on_messages_chosen(self) -> None:
        """The monitor shows the time of the answer that is chosen."""
        self._look_at_chosen()

    def _look_at_chosen(self) -> None:
        said = self.chat.talk.chosen()
        turn = None if said is None or said.role != "assistant" else self.chat.talk.turn_of(said)
        self.answer = None if turn is None else self.tape.answer_of(turn)

    def on_answer_paid(self, message: AnswerPaid) -> None:
        """What an answer took stands on its stamp."""
        self.chat.talk.paid(message.turn, message.joules)

    def action_full_monitor(self) -> None:
        """The monitor on the whole screen."""
        from offtui.ui.screens.monitor import MonitorScreen

        full = MonitorScreen(
            lambda: self.tape,
            self._keys,
            graph=self._options.config.graph,
            elsewhere=lambda action: self.call_later(self.run_action, action),
            answer=self.answer,
        )
        for name in ("session", "sample", "draft", "placement", "plan"):
            full.set_reactive(getattr(MonitorScreen, name), getattr(self, name))
            if name != "sample":
                full.watch(self, name, partial(setattr, full, name), init=False)
        if self.study is not None:  # its draft is none of the session's
            full.set_reactive(MonitorScreen.draft, None)
        app = cast("App[None]", self.app)  # pyright: ignore[reportUnknownMemberType] -- Textual leaves App[Unknown]

        def uncovered(_: None) -> None:
            self._full, self.sample = None, full.sample
            self._look_at_chosen()
            state, self._unseen = self._unseen, None
            plan, self._plan_unseen = self._plan_unseen, None
            if state is not None:
                self.session = state
            if plan is not None:
                self.post_message(PlanMade(plan.view))

        self._full = full
        app.push_screen(full, uncovered)

    def action_export_history(self, name: str = "") -> None:
        """Write the history to a file."""
        from offtui.recorder import export

        path = Path(name).expanduser() if name else Path.cwd() / export.default_name("csv")
        rows = export.write(self.tape, path)
        self.flash(f"{rows} rows written to {clean_line(str(path), 200)}", "$primary")
