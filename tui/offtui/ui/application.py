"""The Textual app: it owns the terminal, the session and the sampler, and knows nothing of panes."""

import contextlib
import gc
import time
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.theme import Theme

from offtui.engine.moves import MoveBegan
from offtui.engine.state import LoadWanted, Occurrence, Phase, SessionState, TurnWanted, WorkerSpawned
from offtui.monitor.sample import Sample
from offtui.options import Options
from offtui.protocol.events import Hello, Loaded, Piece, TurnEnded
from offtui.protocol.spec import LoadSpec, Placement
from offtui.recorder.devices import mapped_file
from offtui.recorder.tape import Tape
from offtui.ui import attention, clipboard, themes
from offtui.ui.bridge import Mailbox
from offtui.ui.commands import everywhere
from offtui.ui.keys import keymap, keys_under
from offtui.ui.messages import (
    AnswerPaid,
    ChatLost,
    ChatsSaid,
    JobsChanged,
    LibraryRead,
    MailArrived,
    PlanMade,
    PlanRefused,
    SampleTaken,
)
from offtui.ui.narrow import NarrowApp
from offtui.ui.ports import Engine, Planning, Ports, Shelving, Telling, Watch
from offtui.ui.rhythm import interval
from offtui.ui.screens.main import MainScreen

if TYPE_CHECKING:
    from offtui.models.downloads import Job
    from offtui.models.hubdesk import HubDesk
    from offtui.models.shelf import ShelfView
    from offtui.planner.view import NoPlan, PlanView
    from offtui.store.chats.keeper import Keeper

_WORTH_A_LOOK = LoadWanted | MoveBegan | WorkerSpawned | Loaded | TurnWanted | TurnEnded
"""After which the machine is looked at at once: what an answer took, for instance, is read at its begin and end."""


class OfftuiApp(NarrowApp, inherit_bindings=False):
    """Opens the main screen, then the session and the sampler, and brings them together."""

    CSS_PATH = "offtui.tcss"
    TITLE = "offtui"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [everywhere("app.quit"), everywhere("app.interrupt")]

    def __init__(self, options: Options, ports: Ports, *, theme: Theme | None = None) -> None:
        """Build the app; nothing is opened before it is on the screen.

        Raises:
            UsageError: the config names a theme or a command that does not exist.
        """
        super().__init__()
        self._options = options
        self._ports = ports
        self._mailbox = Mailbox(self._ring)
        self._engine: Engine | None = None
        self._watch: Watch | None = None
        self._planner: Planning | None = None
        self._shelf: Shelving | None = None
        self._hub: HubDesk | None = None
        self._keeper: Keeper | None = None
        self._telling: Telling | None = None
        self._tape = Tape()
        self._state = SessionState(phase=Phase.LOADING)
        self._worker_pid: int | None = None
        self._interrupting = keys_under("app.interrupt", options.config.keys)
        self.set_keymap(keymap(options.config.keys))
        worn = theme or themes.load(options.config.theme)
        self.register_theme(worn)
        self.theme = worn.name
        self.main = MainScreen(options, self, self._mailbox.take, self._tape, ports.memory, ports.manners)

    def get_default_screen(self) -> MainScreen:
        """The main screen."""
        return self.main

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """offtui's own colours, for themes that do not name them."""
        return themes.variable_defaults()

    def on_mount(self) -> None:
        """After Ctrl+Z and fg the terminal is empty: draw everything."""
        self.app_resume_signal.subscribe(self, self._draw_all)  # pyright: ignore[reportUnknownMemberType] -- App[Unknown]

    def _draw_all(self, _app: object) -> None:
        self.screen.refresh()

    def on_ready(self) -> None:
        """The first picture is up: now whatever takes time."""
        self.call_after_refresh(self._open)

    def refresh_css(self, animate: bool = True) -> None:
        """Parse the style sheets anew for another theme; before the first picture they are parsed anyway."""
        if self.main.is_mounted:
            super().refresh_css(animate)
        else:
            self.stylesheet.set_variables(self.get_css_variables())

    def _open(self) -> None:
        gc.freeze()  # what was made until now stays
        gc.enable()
        if self._ports.planner is not None:
            self._planner = self._ports.planner(self._planned)
        if self._ports.chats is not None:
            self._keeper = self._ports.chats(self._chats_said, self._chat_lost)
            self.main.keep(self._keeper, self._options.chat)
        self._engine = self._ports.engine(self._listen)
        self.main.attach(self._engine)
        self._shelf = self._ports.library(self._read)
        self.main.attach_shelf(self._shelf)
        if (wanted := self._state.wanted) is not None:  # before there was a library to be told
            self._shelf.hear(self._state, LoadWanted(wanted))
        self._watch = self._ports.watch(
            self._sampled, self._interval, lambda: self._worker_pid, lambda: mapped_file(self._state)
        )
        self._watch.start()
        if self._ports.telling is not None:
            self._telling = self._ports.telling(self._tape, lambda: (self._state, self._worker_pid))
            if problem := self._telling.start():
                self.main.flash(problem, "$warning")

    @property
    def unkept(self) -> int:
        """Changes to chats that could not be saved."""
        return self._keeper.unkept if self._keeper is not None else 0

    def save(self) -> None:
        """Hand over what only the screen knows. From a signal's handler."""
        if self.main.is_mounted:
            self.main.chat.save_draft()

    def close(self) -> None:
        """End the session and the sampler, wait for their processes. From any thread, any number of times."""
        if self._keeper is not None:
            self._keeper.close()
        if self._watch is not None:
            self._watch.stop()
        if self._engine is not None:
            self._engine.close()
        if self._planner is not None:
            self._planner.close()
        if self._shelf is not None:
            self._shelf.close()
        if self._hub is not None:
            self._hub.close()
        if self._telling is not None:
            self._telling.close()

    async def on_event(self, event: events.Event) -> None:
        """Whatever else is pressed, pasted or clicked between two Ctrl+C, the second does not quit."""
        if isinstance(event, events.Paste | events.MouseDown) or (
            isinstance(event, events.Key) and event.key not in self._interrupting
        ):
            self.main.disarm()
        await super().on_event(event)

    async def action_interrupt(self) -> None:
        """Ctrl+C does the same on every screen."""
        await self.main.action_interrupt()

    # The threads of the session, the sampler, the planner and the keeper

    def _listen(self, state: SessionState, occurrence: Occurrence) -> None:
        if isinstance(occurrence, Hello):
            self._worker_pid = occurrence.pid
        self._state = state
        self._tape.hear(state, occurrence, time.monotonic())
        if isinstance(occurrence, Piece) and self._keeper is not None:
            # Not by way of the screen, which a slow terminal may hold up.
            self._keeper.piece(occurrence.turn, occurrence.channel, occurrence.text)
        self._mailbox.put(state, occurrence)
        if self._telling is not None:
            self._telling.ring()
        if isinstance(occurrence, _WORTH_A_LOOK) and self._watch is not None:
            self._watch.poke()
        if self._planner is not None:
            self._planner.hear(state, occurrence)
        if self._shelf is not None:
            self._shelf.hear(state, occurrence)

    def _ring(self) -> None:
        self._post(MailArrived())

    def _sampled(self, sample: Sample) -> None:
        paid = self._tape.observe(sample, self._state)
        self._post(SampleTaken(sample))
        for answer in paid:
            if answer.energy_j is not None:
                self._post(AnswerPaid(answer.turn, answer.energy_j))
                if self._planner is not None:
                    self._planner.pay(answer.turn, answer.energy_j)

    def _planned(self, view: "PlanView | NoPlan") -> None:
        from offtui.planner.view import PlanView

        self._post(PlanMade(view) if isinstance(view, PlanView) else PlanRefused(view))

    def _jobs(self, jobs: "tuple[Job, ...]") -> None:
        self._post(JobsChanged(jobs))

    def _read(self, view: "ShelfView") -> None:
        self._post(LibraryRead(view))

    def _chats_said(self, text: str) -> None:
        self._post(ChatsSaid(text))

    def _chat_lost(self, chat: str) -> None:
        self._post(ChatLost(chat))

    def _post(self, message: Message) -> None:
        # The loop may be closed already: then nobody is left to tell.
        with contextlib.suppress(RuntimeError):
            self.main.post_message(message)

    def _interval(self) -> float:
        return interval(self._state, looked_at=self.app_focus)

    def watch_app_focus(self, focus: bool) -> None:
        """Look at once when somebody looks again."""
        if focus and self._watch is not None:
            self._watch.poke()

    # The desk of the main screen

    def wear(self, theme: str) -> None:
        """Put a theme on.

        Raises:
            UsageError: there is no such theme, or its file has a mistake.
        """
        worn = themes.load(theme)
        self.register_theme(worn)
        self.theme = worn.name

    def themes(self) -> list[str]:
        """Names of all themes."""
        return sorted(themes.theme_files())

    def call(self, text: str) -> None:
        """Call for attention, if nobody looks at the terminal."""
        if not self.app_focus and self._driver is not None:
            self._driver.write(attention.sequence(self._options.config.notify, text))

    def copy(self, text: str) -> str:
        """Copy to the clipboard; a word about where it went."""
        return clipboard.copy(text, self.copy_to_clipboard)

    def hub(self) -> "HubDesk | None":
        """What searches the hub and downloads; made when it is first asked for."""
        if self._hub is None and self._ports.hub is not None:
            self._hub = self._ports.hub(self._jobs)
        return self._hub

    def study(self, spec: LoadSpec | None) -> None:
        """Have a load planned that is only thought of; ``None``: the session's own again."""
        if self._planner is not None:
            self._planner.study(spec)

    def rest(self, placement: Placement, layers: int) -> None:
        """The dial points there."""
        if self._planner is not None:
            self._planner.rest(placement, layers)
