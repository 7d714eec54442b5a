"""Which place of the main screen a widget belongs to, for the keys that matter there."""

from collections.abc import Iterable

from textual.dom import DOMNode

from offtui.ui.commands import Where
from offtui.ui.panes.dial import DialPane
from offtui.ui.panes.models import ModelsPane
from offtui.ui.panes.monitor import MonitorPane
from offtui.ui.transcript import Messages
from offtui.ui.widgets.prompt import Prompt

_PLACES: dict[type[DOMNode], Where] = {
    Prompt: Where.PROMPT,
    Messages: Where.CHAT,
    DialPane: Where.DIAL,
    MonitorPane: Where.MONITOR,
    ModelsPane: Where.MODELS,
}


def place_of(nodes: Iterable[DOMNode]) -> Where:
    """The place of the first of ``nodes``, a widget and its ancestors, that has one."""
    return next((_PLACES[type(node)] for node in nodes if type(node) in _PLACES), Where.ANYWHERE)
