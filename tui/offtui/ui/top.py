"""``offtui top``: the monitor alone, of this machine and of the offtui that runs in another terminal."""

import contextlib
from typing import ClassVar

from textual.binding import BindingType

from offtui.config import Config
from offtui.engine.state import SessionState
from offtui.monitor.sample import Sample
from offtui.monitor.sampler import Sampler
from offtui.recorder.client import Follower
from offtui.recorder.devices import mapped_file
from offtui.recorder.news import News
from offtui.recorder.tape import Tape
from offtui.ui import themes
from offtui.ui.commands import everywhere
from offtui.ui.keys import keymap
from offtui.ui.messages import NewsArrived, SampleTaken
from offtui.ui.narrow import NarrowApp
from offtui.ui.rhythm import interval
from offtui.ui.screens.monitor import MonitorScreen


class TopApp(NarrowApp, inherit_bindings=False):
    """Has a sampler of its own; of the session it is told."""

    CSS_PATH = "offtui.tcss"
    TITLE = "offtui top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [everywhere("app.quit"), ("ctrl+c", "quit", "Quit")]

    def __init__(self, config: Config, pid: int | None = None) -> None:
        """Build it; nothing is opened before it is on the screen.

        Args:
            config: theme, keys and graph.
            pid: of the offtui to watch; without it the one that was started last.

        Raises:
            UsageError: the config names a theme or a key that does not exist.
        """
        super().__init__()
        self.set_keymap(keymap(config.keys))
        worn = themes.load(config.theme)
        self.register_theme(worn)
        self.theme = worn.name
        self._tape = Tape()
        self._state: SessionState | None = None
        self._worker: int | None = None
        self._page = MonitorScreen(lambda: self._tape, config.keys, graph=config.graph, leave="quit")
        self._sampler = Sampler(self._sampled, self._interval, lambda: self._worker, lambda: mapped_file(self._state))
        self._follower = Follower(self._told, self._complained, pid)

    def get_default_screen(self) -> MonitorScreen:
        """The monitor."""
        return self._page

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """offtui's own colours, for themes that do not name them."""
        return themes.variable_defaults()

    def on_ready(self) -> None:
        """The first picture is up."""
        self.call_after_refresh(self._open)

    def _open(self) -> None:
        self._sampler.start()
        self._follower.start()

    def close(self) -> None:
        """End the threads."""
        self._follower.stop()
        self._sampler.stop()

    # The sampler's and the follower's threads

    def _sampled(self, sample: Sample) -> None:
        self._tape.observe(sample, self._state or SessionState())
        self._post(SampleTaken(sample))

    def _told(self, news: News | None) -> None:
        before = self._state
        if news is None:
            self._state, self._worker = None, None
        else:
            self._state, self._worker = news.state, news.worker
            if news.backlog is not None:
                self._tape.take_over(news.backlog)
            self._tape.take(news.entries)
        if (before and before.phase) is not (self._state and self._state.phase):
            self._sampler.poke()
        self._post(NewsArrived(self._state, ""))

    def _complained(self, text: str) -> None:
        self._post(NewsArrived(None, text))

    def _post(self, message: SampleTaken | NewsArrived) -> None:
        # The loop may be closed already: then nobody is left to tell.
        with contextlib.suppress(RuntimeError):
            self.post_message(message)

    def _interval(self) -> float:
        return interval(self._state, looked_at=self.app_focus)

    # The screen's thread

    def watch_app_focus(self, focus: bool) -> None:
        """Look at once when somebody looks again."""
        if focus:
            self._sampler.poke()

    def on_sample_taken(self, message: SampleTaken) -> None:
        """The machine was looked at."""
        self._page.sample = message.sample

    def on_news_arrived(self, message: NewsArrived) -> None:
        """The session that is watched has changed, or has ended."""
        self._page.notice = message.problem
        self._page.session = message.state


def run(config: Config, pid: int | None = None) -> int:
    """Show it until the user quits; the exit status."""
    app = TopApp(config, pid)
    try:
        app.run()
    finally:
        app.close()
    return app.return_code or 0
