"""What is said of a move from one load of a model to another: in the row of status, and in the chat."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from offtui.engine.moves import Move, MoveBegan, Moved, MoveEnded, MoveFailed, MoveStep, MoveStepped, Moving
from offtui.engine.state import Broken, Phase, SessionState
from offtui.protocol.events import Loaded
from offtui.protocol.facts import Failure
from offtui.protocol.spec import LoadSpec
from offtui.text import clean_line
from offtui.ui import wording
from offtui.units import count_text, seconds_text

STILL_UP = "What was up before is still up."
COMES_BACK = "What was up before is being loaded again."


@dataclass(frozen=True)
class Said:
    """A word for the chat."""

    role: Literal["notice", "error"]
    text: str


class MoveTale:
    """Follows a move by what happens, and words it: one notice at its end, an error where the target is not to be had.

    It is followed by occurrences and not by states, of which the screen sees the newest only.
    """

    def __init__(self) -> None:
        self._active = False
        self._is_gone = False
        """What was up is; or on its way out."""
        self._loaded: Loaded | None = None

    def loaded(self, event: Loaded) -> bool:
        """Whether this load is part of a move, whose end speaks of it."""
        if self._active:
            self._loaded = event
        else:
            self._is_gone = False
        return self._active

    def gone(self) -> None:
        """What was up has ended."""
        self._is_gone = True

    def hear(self, event: Moving, way_to_fit: str = "") -> Said | None:
        """What a step of a move gives to say; ``way_to_fit`` is what to do where memory was short."""
        match event:
            case MoveBegan():
                self._active, self._is_gone, self._loaded = True, False, None
            case MoveStepped(step=MoveStep.LOADING):
                self._is_gone = True
            case MoveFailed(failure=failure):
                rest = COMES_BACK if self._is_gone else STILL_UP
                return _failed(failure, f"{rest} {way_to_fit}".rstrip())
            case MoveEnded(moved=moved):
                loaded, self._loaded, self._active = self._loaded, None, False
                if loaded is not None:
                    return Said("notice", moved_text(moved, loaded))
            case _:
                pass
        return None


def _failed(failure: Failure, rest: str) -> Said:
    if failure.kind == "cancelled":
        return Said("notice", f"The change was cancelled. {rest}")
    return Said("error", "\n".join([*wording.failure_lines(failure), rest]))


def moved_text(moved: Moved, loaded: Loaded) -> str:
    """``9 of 13 layers in 148 ms · conversation kept (312 tokens)``, or why it is evaluated again.

    The time is the load's and that of saving and restoring the KV cache.
    """
    layers = loaded.layers
    again = " are up again" if moved.failure is not None else ""
    parts = [f"{layers.got} of {layers.max} layers{again} in {seconds_text(loaded.load_seconds + moved.seconds)}"]
    if moved.origin.n_ctx != loaded.n_ctx and moved.failure is None:
        parts.append(f"context of {loaded.n_ctx} tokens")
    others = "" if moved.failure is not None else _others(moved.origin, moved.target)
    if others:
        parts.append(others)
    if moved.why:
        parts.append(f"the conversation is evaluated again: {clean_line(moved.why)}")
    elif moved.tokens:
        parts.append(f"conversation kept ({moved.tokens} tokens)")
    return " · ".join(parts)


def change_text(move: Move, most: int | None) -> str:
    """``4→9/13 layers``; ``9/13 layers, ctx 8.2k→4.1k`` where only that changes. ``most``: layers that there are."""
    old, new = move.origin, move.target
    total = "" if most is None else f"/{most}"
    if move.failure is not None:
        return f"back to {_count(new)}{total} layers"
    changes = f"{_count(old)}→" if old.n_gpu_layers != new.n_gpu_layers else ""
    text = f"{changes}{_count(new)}{total} layers"
    if new.n_ctx is not None and new.n_ctx != old.n_ctx:
        text += f", ctx {count_text(old.n_ctx)}→{count_text(new.n_ctx)}"
    others = _others(old, new)
    return f"{text}, {others}" if others else text


def _others(old: LoadSpec, new: LoadSpec) -> str:
    """What changes besides layers and context: ``KV q8_0, ubatch 256``."""
    parts: list[str] = []
    if (new.type_k, new.type_v) != (old.type_k, old.type_v):
        parts.append(f"KV {new.type_k}" if new.type_k == new.type_v else f"KV {new.type_k}/{new.type_v}")
    if new.flash_attn != old.flash_attn:
        parts.append(f"flash attention {new.flash_attn}")
    if new.n_ubatch != old.n_ubatch:
        parts.append(f"ubatch {new.n_ubatch}")
    if new.n_threads is not None and new.n_threads != old.n_threads:
        parts.append("1 thread" if new.n_threads == 1 else f"{new.n_threads} threads")
    return ", ".join(parts)


def _count(spec: LoadSpec) -> str:
    return "auto" if spec.n_gpu_layers is None else str(spec.n_gpu_layers)


def step_text(move: Move, state: SessionState) -> str:
    """Where it stands: ``weights 43 %``, ``saving 312 tokens``; ``""`` where there is nothing to save."""
    match move.step:
        case MoveStep.PREPARING:
            return f"room for {state.n_past} tokens"
        case MoveStep.BESIDE:
            return wording.step_text(move.progress)
        case MoveStep.SAVING:
            return f"saving {state.n_past} tokens" if state.n_past else ""
        case MoveStep.LOADING:
            return wording.step_text(state.progress)
        case MoveStep.RESTORING:
            return "restoring the conversation"


def cost_text(move: Move) -> str:
    """What the move costs whoever waits for the answer."""
    return "the answer goes on" if move.step.goes_on else "the answer waits"


def broken_text(broken: Broken, keys: Sequence[str], how: str = "") -> str:
    """What can be done about an answer whose worker died; ``how``: with what else than before."""
    kept = f"{broken.kept} of {broken.total} tokens are kept" if broken.kept else "all of it is evaluated again"
    return f"The answer broke off. {[*keys, '/continue'][0]} goes on with it{how}: {kept}."


def is_stoppable(state: SessionState) -> bool:
    """Whether there is a load, an answer or a move to stop."""
    return state.phase in (Phase.LOADING, Phase.GENERATING) or state.move is not None
