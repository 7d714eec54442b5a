"""What ``offtui plan`` found out about one model, for its texts and its JSON."""

from typing import NamedTuple

from offtui.gguf.header import Header
from offtui.plan.advise import Advice
from offtui.plan.report import Plan
from offtui.plan.settings import Settings
from offtui.protocol.spec import LoadSpec


class PlannedModel(NamedTuple):
    """A model with its plans, one per target."""

    header: Header
    spec: LoadSpec
    settings: Settings
    plans: tuple[Plan, ...]
    advice: tuple[Advice, ...]
    """For the first target."""
    notes: tuple[str, ...]
