"""What the screen needs of the rest of the program, so that tests can put something else in its place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from offtui.engine.state import Occurrence, SessionState
from offtui.monitor.sample import Sample
from offtui.protocol.spec import LoadSpec, Message, Placement, Sampling

if TYPE_CHECKING:
    from offtui.gguf.header import Header
    from offtui.gguf.library import ModelFile
    from offtui.models.downloads import Job
    from offtui.models.hubdesk import HubDesk
    from offtui.models.shelf import ShelfView
    from offtui.plan.probe import ElementsReply
    from offtui.planner.view import NoPlan, PlanView
    from offtui.recorder.tape import Tape
    from offtui.store.chats.keeper import Keeper
    from offtui.store.manners import Manners
    from offtui.store.remembered import LoadTime

Listener = Callable[[SessionState, Occurrence], None]


class Engine(Protocol):
    """The session: wishes go in, all methods return at once, but ``close``."""

    def want(self, spec: LoadSpec) -> None:
        """Have this loaded."""
        ...

    def submit(self, turn: int, messages: Sequence[Message], sampling: Sampling) -> None:
        """Answer the last message."""
        ...

    def resume(self, turn: int, messages: Sequence[Message], sampling: Sampling) -> None:
        """Go on with the last message, an answer that broke off."""
        ...

    def go_on(self, broken: int, turn: int) -> None:
        """Have the turn that broke off go on under another number."""
        ...

    def count(self, number: int, text: str) -> None:
        """Have the tokens of a text counted; ``Tokenized`` comes back if a model is up."""
        ...

    def stop(self) -> None:
        """Stop the load or the turn."""
        ...

    def close(self) -> None:
        """End every process."""
        ...


class Watch(Protocol):
    """Something that samples the machine until it is stopped."""

    def start(self) -> None:
        """Begin."""
        ...

    def poke(self) -> None:
        """Sample now."""
        ...

    def stop(self) -> None:
        """End."""
        ...


class Planning(Protocol):
    """Makes plans of what it hears, on a thread of its own; all methods return at once, but ``close``."""

    def hear(self, state: SessionState, occurrence: Occurrence) -> None:
        """What the session tells."""
        ...

    def study(self, spec: LoadSpec | None) -> None:
        """Plan a load that is only thought of; ``None``: the session's own again."""
        ...

    def rest(self, placement: Placement, layers: int) -> None:
        """The dial points there."""
        ...

    def pay(self, turn: int, joules: float) -> None:
        """An answer that has ended took so much."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Shelving(Protocol):
    """The library, on a thread of its own; all methods return at once, but ``close``."""

    def refresh(self) -> None:
        """Search the folders again."""
        ...

    def look(self, seen: Sequence[Path]) -> None:
        """These files are on the screen: plan them."""
        ...

    def favour(self, path: Path, favourite: bool) -> None:
        """Mark a file as a favourite, or take the mark away."""
        ...

    def remove(self, file: "ModelFile") -> None:
        """Delete it."""
        ...

    def describe(self, path: Path, tell: "Callable[[Header | None], None]") -> None:
        """Read the whole header; ``tell`` is called on the library's thread."""
        ...

    def elements(self, path: Path, key: str, tell: "Callable[[ElementsReply], None]") -> None:
        """Read one array of a file's metadata whole; ``tell`` is called on the library's thread."""
        ...

    def hear(self, state: SessionState, occurrence: Occurrence) -> None:
        """What the session tells."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Memory(Protocol):
    """Remembers models from one run to the next; returns at once."""

    def settings(self, spec: LoadSpec) -> dict[str, Any]:
        """Fields of the last good load of that model that differed from the config."""
        ...

    def loads(self, model: str) -> "tuple[LoadTime, ...]":
        """How long loads of that model took, oldest first."""
        ...

    def read_rate(self) -> float | None:
        """Bytes of a file per second of its load; ``None``: unknown."""
        ...

    def keep(self, wanted: LoadSpec, configured: LoadSpec, load: "LoadTime") -> None:
        """Remember a load that worked."""


class Telling(Protocol):
    """Tells other terminals of the user what happens here."""

    def start(self) -> str:
        """Begin; a sentence where that cannot be, else nothing."""
        ...

    def ring(self) -> None:
        """Something is new. From any thread; returns at once."""
        ...

    def close(self) -> None:
        """End."""
        ...


class Desk(Protocol):
    """What the main screen asks of the app it is shown by."""

    def themes(self) -> Sequence[str]:
        """Names of all themes."""
        ...

    def wear(self, theme: str) -> None:
        """Put a theme on.

        Raises:
            UsageError: there is no such theme, or its file has a mistake.
        """
        ...

    def copy(self, text: str) -> str:
        """Copy to the clipboard; a word about where it went."""
        ...

    def hub(self) -> "HubDesk | None":
        """What searches the hub and downloads; made when it is first asked for. ``None``: there is none."""
        ...

    def call(self, text: str) -> None:
        """Call for attention, if nobody looks at the terminal."""
        ...

    def study(self, spec: LoadSpec | None) -> None:
        """Have a load planned that is only thought of; ``None``: the session's own again."""
        ...

    def rest(self, placement: Placement, layers: int) -> None:
        """The dial points there."""
        ...


@dataclass(frozen=True)
class Ports:
    """Makers of what lies outside; each is called after the first paint, as importing it takes its time."""

    engine: Callable[[Listener], Engine]
    watch: Callable[
        [Callable[[Sample], None], Callable[[], float], Callable[[], int | None], Callable[[], str | None]], Watch
    ]
    """Listener, interval in seconds, pid of the worker, the file that it has mapped."""
    library: "Callable[[Callable[[ShelfView], None]], Shelving]"
    planner: "Callable[[Callable[[PlanView | NoPlan], None]], Planning] | None" = None
    """``None``: there are no plans."""
    memory: Memory | None = None
    """Made before the first paint, as it says what to load. ``None``: nothing is remembered."""
    chats: "Callable[[Callable[[str], None], Callable[[str], None]], Keeper] | None" = None
    """Told what to say of saving, and which chat the file lacks. ``None``: chats are not kept."""
    hub: "Callable[[Callable[[tuple[Job, ...]], None]], HubDesk] | None" = None
    """``None``: there is no hub."""
    telling: "Callable[[Tape, Callable[[], tuple[SessionState, int | None]]], Telling] | None" = None
    """What happens, the state and the worker's pid; ``None``: nobody is told."""
    manners: "Manners | None" = None
    """Presets, and what is chosen for models and chats. ``None``: nothing of that is kept beyond the run."""
