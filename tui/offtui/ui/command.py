"""What a command is: its keys, its names, where its keys act and when it applies."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from offtui.engine.state import Phase


class Where(Enum):
    """Where the keys of a command act."""

    ANYWHERE = "anywhere"
    OUTSIDE_TEXT = "outside text fields"
    PROMPT = "in the prompt"
    """The prompt's own keys: listed here, handled there."""
    CHAT = "in the chat"
    """The transcript's own keys: listed here, handled there."""
    DIAL = "in the dial"
    MODELS = "in the list of models"
    MONITOR = "in the monitor"
    FULL = "in the full monitor"
    HUB = "in the hub"


@dataclass(frozen=True)
class Situation:
    """What decides which commands apply and which keys the footer offers."""

    phase: Phase
    focus: Where
    """``ANYWHERE`` where nothing has the focus."""
    pane_open: bool = False
    """A pane covers the chat."""
    has_device: bool = False
    way_back: str = ""
    """What going back would load; empty: nothing."""
    has_turns: bool = False
    can_fit: bool = False
    """The last wish failed for want of memory."""
    can_go_on: bool = False
    """An answer broke off with its worker, and what is known of it is kept."""
    moving: bool = False
    """On the way to another load of the same model."""


def always(_: Situation) -> bool:
    """Whatever happens."""
    return True


def busy(situation: Situation) -> bool:
    """Something runs that can be stopped."""
    return situation.phase in (Phase.LOADING, Phase.GENERATING) or situation.moving


def can_go_on(situation: Situation) -> bool:
    """An answer broke off, and nothing runs."""
    return situation.can_go_on and situation.phase in (Phase.CRASHED, Phase.EMPTY, Phase.READY)


def idle_with_turns(situation: Situation) -> bool:
    """Something was said, and nothing runs."""
    return situation.has_turns and situation.phase is Phase.READY


def has_turns(situation: Situation) -> bool:
    """Something was said."""
    return situation.has_turns


def fallen(situation: Situation) -> bool:
    """Nothing is loaded."""
    return situation.phase in (Phase.CRASHED, Phase.EMPTY)


def can_fit(situation: Situation) -> bool:
    """Memory was short, and something smaller can be loaded."""
    return situation.can_fit


def has_device(situation: Situation) -> bool:
    """There is a device for layers."""
    return situation.has_device


@dataclass(frozen=True, kw_only=True)
class Command:
    """One action a user can take."""

    id: str
    title: str
    keys: tuple[str, ...] = ()
    action: str = ""
    """Textual action in the namespace of ``where``; empty where a widget of its own handles the keys."""
    where: Where = Where.ANYWHERE
    slash: str = ""
    argument: str = ""
    """What follows the slash name, for help; empty: nothing does."""
    applies: Callable[[Situation], bool] = always
    footer: str = ""
    """A word for the footer; empty: not there."""
