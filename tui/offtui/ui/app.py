"""``run`` opens the screen: the environment first, then Textual, then whatever takes time."""

import gc
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from offtui.options import Options
from offtui.units import rate_text

if TYPE_CHECKING:
    from offtui.config import Config
    from offtui.engine.state import SessionState
    from offtui.models.downloads import Job
    from offtui.models.hubdesk import HubDesk
    from offtui.models.shelf import ShelfView
    from offtui.monitor.sample import Sample
    from offtui.planner.view import NoPlan, PlanView
    from offtui.protocol.facts import Learned
    from offtui.recorder.tape import Tape
    from offtui.store.chats.keeper import Keeper
    from offtui.ui.application import OfftuiApp
    from offtui.ui.ports import Engine, Listener, Planning, Ports, Shelving, Telling, Watch

PATIENCE = 4.0
"""Seconds after a signal until the process is ended without the terminal's cooperation."""
_RESTORE = (
    b"\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[?1004l\x1b[<u\x1b[0m"
)
"""Leaves the alternate screen, shows the cursor, ends mouse, paste, focus and kitty modes."""


def run(options: Options, ports: "Ports | None" = None) -> int:
    """Show the app until the user quits; the exit status.

    Args:
        options: what to open with.
        ports: makers of the session, the sampler and the library; the real ones without it.

    Raises:
        UsageError: the config names a theme or a key that does not exist.
    """
    _prepare_environment()
    gc.disable()  # until the first picture: of what is made for it nothing is garbage
    from offtui.ui import pasting
    from offtui.ui.application import OfftuiApp

    pasting.install()
    app = OfftuiApp(options, ports or _ports(options))
    ended_by = _Signals(app)
    _watch_terminal()
    try:
        app.run()
    finally:
        # What is left takes a few seconds at most: an impatient Ctrl+C shall not tear it in the middle.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        app.close()
    if ended_by.number is not None:
        return 128 + ended_by.number
    if app.unkept:
        print("offtui: the last of the chats could not be saved.", file=sys.stderr)
    print(exit_line(app), file=sys.stderr if app.return_code else sys.stdout)
    return app.return_code or 0


def run_top(config: "Config", pid: int | None = None) -> int:
    """Show the monitor alone until the user quits; the exit status.

    Args:
        config: theme, keys and graph.
        pid: of the offtui to watch; without it the one that was started last.

    Raises:
        UsageError: the config names a theme or a key that does not exist, or no such process runs.
    """
    _prepare_environment()
    from offtui.ui import top

    _watch_terminal()
    return top.run(config, pid)


def exit_line(app: "OfftuiApp") -> str:
    """One line about the session that ended: answers, tokens, mean speed."""
    timings = [answer.timings for answer in app.main.answers]
    tokens = sum(timing.tokens for timing in timings)
    again = " `offtui -c` goes on with this chat." if app.main.chat_kept else ""
    if not tokens:
        return f"offtui: no tokens generated.{again}"
    seconds = sum(timing.eval_seconds for timing in timings)
    counted = sum(max(timing.tokens - 1, 0) for timing in timings)
    mean = f", mean {rate_text(counted / seconds)} t/s" if seconds > 0 and counted else ""
    answers = "1 answer" if len(timings) == 1 else f"{len(timings)} answers"
    return f"offtui: {answers}, {tokens} tokens{mean}.{again}"


def _prepare_environment() -> None:
    """Textual reads these when it is imported."""
    if any(name in os.environ for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")):
        # Its "report all keys" mode breaks input methods and stays on when the connection drops.
        os.environ.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
    os.environ.setdefault("ESCDELAY", "40")


def _ports(options: Options) -> "Ports":
    from offtui import paths
    from offtui.store.manners import Manners
    from offtui.store.remembered import Remembered
    from offtui.ui.ports import Ports

    def learned() -> "Learned":
        from offtui.planner.learning import learned_from

        return learned_from(options.config.vram_overhead_bytes)

    def engine(listener: "Listener") -> "Engine":
        from offtui.engine.session import Session

        return Session(listener, learned=learned)

    def watch(
        listener: "Callable[[Sample], None]",
        interval: Callable[[], float],
        worker: Callable[[], int | None],
        model: Callable[[], str | None],
    ) -> "Watch":
        from offtui.monitor.sampler import Sampler

        return Sampler(listener, interval, worker, model)

    def library(listener: "Callable[[ShelfView], None]") -> "Shelving":
        from offtui.gguf.library import default_folders
        from offtui.models.shelf import Shelf

        given = [Path(options.model)] if options.model else []
        return Shelf(
            lambda: [*(path for path in given if path.exists()), paths.guide_model(), *default_folders(options.config)],
            listener,
        )

    def planner(listener: "Callable[[PlanView | NoPlan], None]") -> "Planning":
        from offtui.planner.planner import Planner, Tools

        return Planner(listener, Tools(overhead=options.config.vram_overhead_bytes))

    def chats(say: Callable[[str], None], lost: Callable[[str], None]) -> "Keeper":
        from offtui.store.chats.keeper import Keeper

        return Keeper(say, lost)

    def telling(tape: "Tape", state: "Callable[[], tuple[SessionState, int | None]]") -> "Telling":
        from offtui.recorder.server import Server

        return Server(tape, state)

    def hub(listener: "Callable[[tuple[Job, ...]], None]") -> "HubDesk":
        from offtui.models.hubdesk import HubDesk

        return HubDesk(listener)

    manners = Manners(paths.data_dir() / "presets.json")
    return Ports(engine, watch, library, planner, Remembered(), chats, hub=hub, telling=telling, manners=manners)


class _Signals:
    """SIGHUP, SIGINT and SIGTERM end the app in order; where it cannot follow, the process is ended all the same."""

    def __init__(self, app: "OfftuiApp") -> None:
        self.number: int | None = None
        self._app = app
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda got, _frame: self._on_signal(got))

    def _on_signal(self, number: int) -> None:
        if self.number is not None:
            return
        self.number = number
        try:
            self._app.save()
            self._app.main.call_later(self._app.exit, return_code=128 + number)
        except Exception:  # noqa: BLE001 -- the screen may be half gone, and raising here would break off its end
            pass
        # The event loop may be stuck in a write to a terminal that is gone, so the last word is a thread's.
        threading.Thread(target=self._end, args=(number,), name="offtui last word", daemon=True).start()
        if number == signal.SIGHUP:
            _detach()

    def _end(self, number: int) -> None:
        deadline = time.monotonic() + PATIENCE
        self._app.close()
        time.sleep(max(0.0, deadline - time.monotonic()))
        _restore()
        os._exit(128 + number)


def _watch_terminal() -> None:
    """Have SIGHUP come from a terminal that hangs up, also where it does not control this process."""

    def wait() -> None:
        poll = select.poll()
        poll.register(0, 0)  # POLLHUP is told of unasked
        if any(events & select.POLLHUP for _, events in poll.poll()):
            os.kill(os.getpid(), signal.SIGHUP)

    threading.Thread(target=wait, name="offtui terminal", daemon=True).start()


def _detach() -> None:
    """Let reads and writes of a terminal that has hung up find nothing instead of failing for ever."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def _restore() -> None:
    try:
        terminal = os.open("/dev/tty", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        os.write(terminal, _RESTORE)
    except OSError:  # no terminal any more: nothing to restore
        return
