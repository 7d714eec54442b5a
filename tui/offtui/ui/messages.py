"""What panes and processes tell the main screen: intents say what the user wants, facts say what happened."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from offtui.engine.state import SessionState
from offtui.monitor.sample import Sample
from offtui.protocol.spec import Placement

if TYPE_CHECKING:
    from offtui.models.downloads import Job
    from offtui.models.shelf import ShelfView
    from offtui.planner.view import NoPlan, PlanView


@dataclass
class LayersWanted(Message):
    """Intent: the dial's model, with this many layers offloaded; ``None`` lets the plan choose."""

    layers: int | None
    placement: Placement = "layers"


@dataclass
class DraftMoved(Message):
    """The dial points somewhere else than what is loaded; ``None``: nowhere else."""

    layers: int | None
    placement: Placement = "layers"


@dataclass
class ModelStudied(Message):
    """Intent: the dial on this file, without loading it."""

    path: Path


@dataclass
class StudyLeft(Message):
    """Intent: the dial back on the model that is up."""


@dataclass
class PaneLeft(Message):
    """Intent: back to the prompt."""


@dataclass
class ModelChosen(Message):
    """Intent: load this file."""

    path: Path


@dataclass
class SlashTyped(Message):
    """Intent: run what was typed after ``/`` in the prompt."""

    text: str


@dataclass
class TurnAsked(Message):
    """Intent: answer the open turn of the conversation."""

    turn: int
    go_on: bool = False
    """The answer is there in part and goes on where it broke off."""
    broken: int | None = None
    """Its number before, where its worker died and the session kept what it knew."""


@dataclass
class CountWanted(Message):
    """Intent: the tokens of this text."""

    number: int
    text: str


@dataclass
class ChatsSaid(Message):
    """Saving the chats does not work, or works again."""

    text: str


@dataclass
class ChatLost(Message):
    """The file of the chats does not have this chat, which something was to be written to."""

    chat: str


@dataclass
class ModelNeeded(Message):
    """A question was sent while no model is up and none is coming."""


@dataclass
class LibraryRead(Message):
    """The library has changed; the newest picture of it is all the screen needs."""

    view: "ShelfView"

    def can_replace(self, message: Message) -> bool:
        """Only the newest counts; what is said once must not be lost."""
        return isinstance(message, LibraryRead) and not set(self.view.notices) - set(message.view.notices)


@dataclass
class JobsChanged(Message):
    """Downloads went on; the newest picture of them counts."""

    jobs: "tuple[Job, ...]"

    def can_replace(self, message: Message) -> bool:
        """Only the newest counts, unless one ended."""
        return isinstance(message, JobsChanged) and [job.state for job in message.jobs] == [j.state for j in self.jobs]


@dataclass
class Flashed(Message):
    """Something to say in the last row for a moment."""

    text: str
    style: str = "$accent"


@dataclass
class MailArrived(Message):
    """The mailbox of the session is no longer empty."""


@dataclass
class SampleTaken(Message):
    """The machine was looked at; a newer look replaces one that nobody has seen."""

    sample: Sample

    def can_replace(self, message: Message) -> bool:
        """Only the newest look is of use to the screen."""
        return isinstance(message, SampleTaken)


@dataclass
class AnswerPaid(Message):
    """What an answer that has ended took."""

    turn: int
    joules: float


@dataclass
class NewsArrived(Message):
    """The session of another terminal has changed; ``None``: there is none."""

    state: SessionState | None
    problem: str = ""

    def can_replace(self, message: Message) -> bool:
        """Only the newest state is of use to the screen."""
        return isinstance(message, NewsArrived)


@dataclass
class PlanMade(Message):
    """What every layer count would cost and bring is known anew; the newest plan is all the screen needs."""

    view: "PlanView"

    def can_replace(self, message: Message) -> bool:
        """Only the newest plan counts."""
        return isinstance(message, PlanMade)


@dataclass
class PlanRefused(Message):
    """A load that was thought of cannot be planned."""

    refusal: "NoPlan"
