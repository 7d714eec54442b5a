"""The line of status: the session in one row, the least important parts left out first where it is narrow."""

import time

from textual.content import Content
from textual.reactive import var

from offtui.engine.moves import Move
from offtui.engine.state import Phase, SessionState
from offtui.monitor.sample import Sample
from offtui.protocol.spec import LoadSpec, Placement
from offtui.recorder.devices import DeviceUse, device_uses
from offtui.text import clean_line
from offtui.ui import moving, wording
from offtui.ui.context import is_nearly_full
from offtui.ui.panes.painted import Painted
from offtui.ui.rhythm import is_only_memory
from offtui.ui.widgets.draw import progress_bar, small_bar
from offtui.ui.widgets.line import Line
from offtui.ui.widgets.strip import Split
from offtui.units import count_text, gib, rate_text

FIGURES = 0.35
"""Seconds that figures about a running answer stay at least."""
NAME = 16
"""Cells of the name at least, where there is more than it to say."""
_DOT = Content.styled(" · ", "$quiet")


class StatusLine(Painted, Line):
    """``name Q4_K_M · 28/37 layers · VRAM 6.1/8.0 ▇▇▇▇▆ · 31.4 t/s · ctx 2.1k/8k``."""

    session: var[SessionState] = var(SessionState())
    sample: var[Sample | None] = var[Sample | None](None)
    draft: var[int | None] = var[int | None](None)
    hint: var[str] = var("")
    """What other processes' memory has to do with the layers that fit."""
    placement: var[Placement] = var[Placement]("layers")
    study: var[LoadSpec | None] = var[LoadSpec | None](None)
    """What the dial is about instead; the draft is none of this session's then."""

    def watch_session(self, before: SessionState, state: SessionState) -> None:
        """Show the new state; while an answer is written not each of them, so that the row does not flicker."""
        if state.loaded is not None:
            self._most = state.loaded.layers.max
        if is_only_memory(before, state):
            return
        stays = state.phase is Phase.GENERATING and _stage(state) == self._stage
        if not stays or time.monotonic() - self._painted >= FIGURES:
            self._paint()

    def watch_sample(self) -> None:
        """Show the new sample; while an answer is written, with the next state."""
        if self._phase is not Phase.GENERATING:
            self._paint()

    def watch_hint(self) -> None:
        """Show it, where there is room."""
        self._paint()

    _phase: Phase = Phase.EMPTY
    _stage: tuple[object, ...] = ()
    _most: int | None = None
    """Layers of the model that is, or was, up."""

    _painted = 0.0
    """When, by ``time.monotonic``."""

    def _paint(self) -> None:
        self._phase, self._stage, self._painted = self.session.phase, _stage(self.session), time.monotonic()
        draft = None if self.draft is None or self.study is not None else Split(self.draft, self.placement)
        self.show(status(self.session, self.sample, draft, max(self.size.width - 2, 0), self._most, self.hint))


def _stage(state: SessionState) -> tuple[object, ...]:
    """What is said at once when it is another: else a short answer is all there while its question is being read."""
    turn = state.turn
    return state.phase, state.move, None if turn is None else (turn.turn, turn.tokens > 0)


def status(
    state: SessionState,
    sample: Sample | None,
    draft: Split | None,
    width: int,
    most: int | None = None,
    hint: str = "",
) -> Content:
    """The line for ``width`` cells.

    Args:
        state: of the session.
        sample: of the machine.
        draft: where the dial points.
        width: cells.
        most: layers there are, where nothing is loaded in the course of a move.
        hint: a quiet word at the end.
    """
    if state.move is not None and state.phase not in (Phase.CRASHED, Phase.CLOSED):
        return _moving(state, state.move, most, width)
    match state.phase:
        case Phase.EMPTY | Phase.CLOSED:
            return Content.styled("no model", "$quiet")
        case Phase.LOADING:
            return _loading(state, width)
        case Phase.CRASHED:
            return _fallen(state)
        case Phase.STOPPING:
            return Content.assemble((wording.model_name(state), "$secondary"), _DOT, ("stopping", "$warning"))
        case Phase.READY | Phase.GENERATING:
            parts = _parts(state, sample, draft)
            return _fit([*parts, (5, Content.styled(hint, "$accent"))] if hint else parts, width)


def _fallen(state: SessionState) -> Content:
    if state.failure is None:
        return Content.styled("The worker has ended.", "$error")
    if state.failure.kind == "cancelled":
        return Content.styled("no model: the load was cancelled", "$warning")
    return Content.assemble(("✗ ", "$error bold"), (clean_line(state.failure.message), "$error"))


def _loading(state: SessionState, width: int) -> Content:
    text = wording.step_text(state.progress)
    name = wording.wanted_name(state)
    parts = [(0, Content.styled(name, "$secondary")), (1, Content.styled(f"loading: {text}", "$primary"))]
    if state.progress is not None and state.progress.step == "weights":
        parts.append((2, progress_bar(12, state.progress.fraction)))
    return _fit(parts, width)


def _moving(state: SessionState, move: Move, most: int | None, width: int) -> Content:
    most = state.loaded.layers.max if state.loaded is not None else most
    parts = [
        (1, Content.styled(wording.model_name(state), "$secondary")),
        (0, Content.styled(moving.change_text(move, most), "$accent bold")),
        (0, Content.styled("moving", "$primary")),
    ]
    if step := moving.step_text(move, state):
        parts.append((2, Content.styled(step, "$primary")))
    if state.turn is not None:
        parts.append((4, Content.styled(moving.cost_text(move), "$quiet")))
        if state.turn.tps is not None and not state.turn.paused:
            parts.append((3, Content(f"{rate_text(state.turn.tps)} t/s")))
    return _fit(parts, width)


def _parts(state: SessionState, sample: Sample | None, draft: Split | None) -> list[tuple[int, Content]]:
    style = "$accent bold" if draft is not None else ""
    parts = [
        (1, Content.styled(wording.model_name(state), "$secondary")),
        (0, Content.styled(wording.layers_text(state, draft), style)),
    ]
    if memory := _memory([use for use in device_uses(state, sample) if use.usable]):
        parts.append((3, memory))
    rate = state.turn.tps if state.turn is not None else state.last_timings.tps if state.last_timings else None
    if state.phase is Phase.GENERATING and state.turn is not None and not state.turn.tokens:
        parts.append((2, Content(_prompt_text(state))))
    elif rate is not None:
        parts.append((2, Content(f"{rate_text(rate)} t/s")))
    if state.loaded is not None:
        used = f"ctx {count_text(state.n_past)}/{count_text(state.loaded.n_ctx)}"
        parts.append((4, Content.styled(used, "$warning bold" if is_nearly_full(state) else "")))
    return parts


def _prompt_text(state: SessionState) -> str:
    turn = state.turn
    if turn is None or not turn.prompt_tokens:
        return "reading the question"
    return f"reading {turn.prompt_done * 100 // turn.prompt_tokens} %"


def _memory(uses: list[DeviceUse]) -> Content | None:
    known = [(use.used, use.total) for use in uses if use.used is not None and use.total]
    if not known:
        return None
    used, total = sum(part for part, _ in known), sum(whole for _, whole in known)
    word = "VRAM" if all(use.kind == "gpu" for use in uses) else uses[0].name if len(uses) == 1 else "devices"
    return Content.assemble(f"{word} {gib(used)}/{gib(total)} ", (small_bar(5, used / total), "$ours"))


def _fit(parts: list[tuple[int, Content]], width: int) -> Content:
    """Shorten the first part, the name, then leave out parts by their number, the highest first."""
    kept = list(parts)
    excess = _length(kept) - width
    if excess > 0:
        number, name = kept[0]
        kept[0] = (number, name.truncate(max(name.cell_length - excess, min(name.cell_length, NAME)), ellipsis=True))
    while len(kept) > 1 and _length(kept) > width:
        kept.remove(max(kept, key=lambda part: part[0]))
    return _DOT.join([content for _, content in kept])


def _length(parts: list[tuple[int, Content]]) -> int:
    return sum(content.cell_length for _, content in parts) + 3 * (len(parts) - 1)
