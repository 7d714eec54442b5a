"""What the main screen does to compare answers: has one written again with another split, and shows both."""

from collections.abc import Sequence
from dataclasses import dataclass

from offtui.engine.moves import MoveFailed
from offtui.engine.state import Occurrence, Phase, SessionState, WorkerEnded
from offtui.errors import UsageError
from offtui.protocol.events import Loaded, LoadFailed, TurnEnded, TurnFailed
from offtui.protocol.facts import Failure
from offtui.ui.comparing import versions_of
from offtui.ui.conversation import Said
from offtui.ui.screens.writing import WritingScreen
from offtui.ui.settings import parse_layers


@dataclass
class Rerun:
    """An answer that is to be written once more with other layers."""

    said: Said
    loaded: bool
    """The other split is up."""
    turn: int | None = None
    """That writes it; ``None``: it is not asked for yet."""


class ComparingScreen(WritingScreen):
    """A screen whose answers can be seen beside one another."""

    _rerun: Rerun | None = None

    def action_compare(self) -> None:
        """The chosen answer, or the last one, beside another version of it."""
        said = self._answer_to_compare()
        versions = versions_of(said) if said is not None else []
        if said is None or said not in versions or len(versions) < 2:
            self.flash("This answer has one version. /compare N writes it again with N layers on the device.")
            return
        place = versions.index(said)
        pair = (versions[place - 1], said) if place else (said, versions[1])
        self._show_both(*pair)

    def compare_at(self, layers: str) -> None:
        """The same answer written again with so many layers offloaded, and then both.

        Raises:
            UsageError: there is none, or the number cannot be meant.
        """
        said, loaded = self._answer_to_compare(), self.session.loaded
        if said is None or not said.text:
            raise UsageError("There is no answer to compare with.")
        if self.session.phase is not Phase.READY or loaded is None or self.session.move is not None:
            raise UsageError("An answer is written again when nothing is being answered or loaded.")
        wanted = parse_layers(layers, loaded.layers)
        if wanted is None:
            raise UsageError("/compare takes a number of layers, +N or -N.")
        same = wanted == loaded.layers.got
        self._rerun = Rerun(said, loaded=same)
        if same:
            self._answer_once_more(self._rerun)
            return
        self.flash(f"Loading {wanted} of {loaded.layers.max} layers, to answer again", "$primary")
        self.steering.layers(wanted, loaded.spec.placement)

    def heed(self, state: SessionState, occurrences: Sequence[Occurrence]) -> None:
        """What happened: the other split came up, or did not; the other answer has come."""
        super().heed(state, occurrences)
        for occurrence in occurrences:
            rerun = self._rerun
            if rerun is None:
                return
            match occurrence:
                case Loaded():
                    rerun.loaded = True
                case LoadFailed() | MoveFailed() | WorkerEnded(failure=Failure()):
                    self._rerun = None
                case TurnFailed(turn=turn) if turn == rerun.turn:
                    self._rerun = None
                case TurnEnded(turn=turn, stop=stop) if turn == rerun.turn:
                    self._rerun = None
                    again = rerun.said.siblings[-1]
                    if stop != "cancelled" and again is not rerun.said and self.is_current:
                        self._show_both(rerun.said, again)
                case _:
                    pass
        rerun, is_up = self._rerun, state.phase is Phase.READY and state.move is None
        if rerun is not None and rerun.loaded and rerun.turn is None and is_up:
            self._answer_once_more(rerun)

    def _answer_once_more(self, rerun: Rerun) -> None:
        rerun.turn = self.chat.answer_again(rerun.said)
        if rerun.turn is None:  # another chat or branch is on the screen by now
            self._rerun = None

    def _answer_to_compare(self) -> Said | None:
        said = self.chat.talk.chosen() or self.chat.talk.last_answer()
        return said.next() if said is not None and said.role == "user" else said

    def _show_both(self, one: Said, other: Said) -> None:
        from offtui.ui.screens.compare import CompareScreen

        self._textual.push_screen(CompareScreen(one, other, self._go_on_with))

    def _go_on_with(self, said: Said) -> None:
        shown = next((version for version in said.siblings if version in self.chat.conversation.branch), None)
        if shown is None or (shown is not said and self.chat.conversation.open is not None):
            self.flash("Another version can be shown when no answer is being written.")
            return
        self.chat.talk.turn_version(shown, said.siblings.index(said) - said.siblings.index(shown))
