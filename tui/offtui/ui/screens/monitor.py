"""The monitor in full: every device, and the history of all that is measured over one time axis."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.reactive import var

from offtui.engine.state import SessionState
from offtui.errors import OfftuiError
from offtui.monitor.graph import Style
from offtui.monitor.sample import Sample
from offtui.protocol.spec import Placement
from offtui.recorder import export
from offtui.recorder.tape import Answer, Tape
from offtui.text import clean_line
from offtui.ui.commands import BY_ID, Where, bindings
from offtui.ui.compositing import CellCompositor
from offtui.ui.key_line import key_line
from offtui.ui.keys import keys_of
from offtui.ui.narrow import OpaqueScreen
from offtui.ui.panes.painted import Painted
from offtui.ui.widgets.gauges import would_be
from offtui.ui.widgets.lanes import ZOOMS, Window, graph_width, window_of
from offtui.ui.widgets.line import Line
from offtui.ui.widgets.monitor_page import Page, page_lines
from offtui.ui.widgets.strip import Split

if TYPE_CHECKING:
    from offtui.planner.view import PlanView

_FOOTER = (
    (("full.earlier", "full.later"), "read values"),
    (("full.closer", "full.further"), "zoom"),
    (("full.answer_before", "full.answer_after"), "answers"),
    (("full.pause",), "hold"),
    (("full.export", "full.export_json"), "CSV/JSON"),
)
"""Keys in the last row."""
_ELSEWHERE = (
    "dial.open", "models.open", "hub.open", "monitor.open", "chat.new", "chats.open", "app.palette", "app.help"
)  # fmt: skip
"""Commands of the screen below that lead to another place; their keys lead there from here too."""
FLASH = 4.0
"""Seconds that a word stays in the last row."""


class MonitorScreen(Painted, OpaqueScreen):
    """One page of rows, each painted only when its text changes, and a row of keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.FULL),
        ("escape", "back", "Back"),
        ("f4", "leave", "Back"),
        ("f", "leave", "Back"),
        ("q", "leave", "Back"),
        *(
            Binding(",".join(BY_ID[id].keys), f"elsewhere('{id}')", BY_ID[id].title, show=False, id=id)
            for id in _ELSEWHERE
        ),
    ]

    session: var[SessionState | None] = var[SessionState | None](None)
    """``None``: there is no session to be seen."""
    sample: var[Sample | None] = var[Sample | None](None)
    draft: var[int | None] = var[int | None](None)
    placement: var[Placement] = var[Placement]("layers")
    plan: "var[PlanView | None]" = var["PlanView | None"](None)
    notice: var[str] = var("")
    """What is wrong with watching, in a sentence."""

    def __init__(
        self,
        tape: Callable[[], Tape],
        keys: Mapping[str, str],
        *,
        graph: str = "braille",
        leave: str = "back",
        elsewhere: Callable[[str], object] | None = None,
        answer: Answer | None = None,
    ) -> None:
        """A page over a tape.

        Args:
            tape: what is drawn.
            keys: the user's own.
            graph: how lines are drawn.
            leave: the word for the key that ends it.
            answer: which is looked at to begin with.
            elsewhere: runs an action of the screen below, once this one has left; ``None``: there is none below.
        """
        super().__init__()
        self._compositor = CellCompositor()
        self._tape = tape
        self._keys = keys
        self._graph: Style = cast(Literal["braille", "block", "ascii"], graph)
        self._leave = leave
        self._elsewhere = elsewhere
        self._zoom = 1
        self._cursor: int | None = None
        self._held: float | None = None
        """The time of the right edge while it does not move."""
        self._answer: int | None = None
        """The number of the answer that is looked at."""
        self._span: float | None = None
        """Seconds that are seen, where an answer says it."""
        self._flash = ""
        if answer is not None:
            self._look_at(answer)

    def compose(self) -> ComposeResult:
        """The page and the keys."""
        yield Line(id="full-page")
        yield Line(id="full-keys")

    def on_mount(self) -> None:
        """Paint what is known already."""
        self._paint()

    def watch_session(self, before: SessionState | None, after: SessionState | None) -> None:
        """Show what changed; figures that run are shown with the looks at the machine."""
        if (before and before.phase) is not (after and after.phase) or (before and before.loaded) is not (
            after and after.loaded
        ):
            self._paint()

    def watch_sample(self) -> None:
        """The machine was looked at."""
        self._paint()

    def watch_notice(self) -> None:
        """Say it."""
        self._paint()

    # Keys

    def action_zoom(self, by: int) -> None:
        """A longer or a shorter time."""
        if self._span is not None:  # from that of an answer to the next one in this direction
            longer = [index for index, zoom in enumerate(ZOOMS) if zoom > self._span]
            self._zoom = min(longer, default=len(ZOOMS) - 1) if by > 0 else max(min(longer, default=len(ZOOMS)) - 1, 0)
            self._span, self._answer = None, None
        else:
            self._zoom = min(max(self._zoom + by, 0), len(ZOOMS) - 1)
        if self._cursor is not None:
            self._cursor = min(self._cursor, self._oldest())
        self._paint()

    def action_read(self, by: int) -> None:
        """Move the cursor at which values are read, further back in time for ``by`` > 0; it holds the page still."""
        if self._held is None:
            if self.sample is None:
                return
            self._held = self.sample.time
        here = -1 if self._cursor is None else self._cursor
        self._cursor = min(max(here + by, 0), self._oldest())
        self._paint()

    def action_answer(self, by: int) -> None:
        """Look at the answer before, or after."""
        answers = self._tape().answers()
        if not answers:
            self._say("There is no answer yet.")
            return
        numbers = [answer.number for answer in answers]
        place = numbers.index(self._answer) + by if self._answer in numbers else len(answers) - 1
        self._look_at(answers[min(max(place, 0), len(answers) - 1)])
        self._paint()

    def _look_at(self, answer: Answer) -> None:
        around = window_of(answer)
        self._answer, self._span, self._held, self._cursor = answer.number, around.span, around.now, None

    def action_now(self) -> None:
        """Back to what happens now."""
        self._held = self._cursor = self._answer = self._span = None
        self._paint()

    def action_pause(self) -> None:
        """Hold the page still, or let it go on."""
        if self._held is not None:
            self.action_now()
        elif self.sample is not None:
            self._held = self.sample.time
            self._paint()

    def action_export(self, suffix: str) -> None:
        """Write the history to a file in the current folder."""
        path = Path.cwd() / export.default_name(suffix)
        try:
            rows = export.write(self._tape(), path)
            self._say(f"{rows} rows written to {clean_line(str(path), 200)}")
        except OfftuiError as error:
            self._say(str(error))

    def action_back(self) -> None:
        """Back to now, and from there to where one came from."""
        if self._held is not None:
            self.action_now()
        else:
            self.action_leave()

    def action_leave(self) -> None:
        """Back to where one came from; out, where that is nowhere."""
        app = cast("App[None]", self.app)  # pyright: ignore[reportUnknownMemberType] -- Textual leaves App[Unknown]
        if len(app.screen_stack) > 1:
            self.dismiss(None)
        else:
            app.exit()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is nowhere else to go without a screen below."""
        return action != "elsewhere" or self._elsewhere is not None

    def action_elsewhere(self, id: str) -> None:
        """Leave for where that command leads."""
        if self._elsewhere is not None:
            self.dismiss(None)
            self._elsewhere(BY_ID[id].action)

    def _say(self, text: str) -> None:
        self._flash = text
        self._paint()
        self.set_timer(FLASH, self._calm)

    def _calm(self) -> None:
        self._flash = ""
        self._paint()

    # The page

    def _window(self) -> Window:
        now = self._held if self._held is not None else self.sample.time if self.sample is not None else 0.0
        answer = self._chosen()
        return Window(
            span=self._span or ZOOMS[self._zoom],
            now=now,
            cursor=self._cursor,
            slice=None if answer is None else (answer.began, answer.ended),
            steady=self._span is None,
        )

    def _oldest(self) -> int:
        """The last cell that the cursor can go to."""
        cells = graph_width(self.size.width - 2)
        return cells - 1 - self._window().ahead(cells)

    def _chosen(self) -> Answer | None:
        if self._answer is None:
            return None
        return next((answer for answer in self._tape().answers() if answer.number == self._answer), None)

    def _paint(self) -> None:
        if not self.is_mounted or not self.size:
            return
        tape = self._tape()
        with tape.lock:
            lines = page_lines(
                Page(
                    width=self.size.width - 2,
                    height=self.size.height - 1,
                    tape=tape,
                    session=self.session,
                    sample=self.sample,
                    window=self._window(),
                    live=self._held is None,
                    style=self._graph,
                    answer=self._chosen(),
                    notice=self.notice,
                    would=self._would,
                    draft=None if self.draft is None else Split(self.draft, self.placement),
                )
            )
        page = self.query_one("#full-page", Line)
        page.show_lines([*lines, *[Content("")] * (self.size.height - 1 - len(lines))])
        self.query_one("#full-keys", Line).show(self._keys_line(self.size.width - 2))

    def _would(self, device: str) -> int | None:
        return None if self.session is None else would_be(self.plan, self.session, self.draft, self.placement, device)

    def _keys_line(self, width: int) -> Content:
        if self._flash:
            return Content.styled(self._flash, "$accent").truncate(width, ellipsis=True)
        named = [
            ("/".join(key for id in ids for key in keys_of(BY_ID[id], self._keys)[:1]), word) for ids, word in _FOOTER
        ]
        leave = "Esc", "now" if self._held is not None else self._leave
        return key_line([pair for pair in named if pair[0]], width, leave=leave)
