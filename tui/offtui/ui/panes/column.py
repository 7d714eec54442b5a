"""The column at the side: monitor, dial and ledger under one another."""

from textual.containers import Vertical
from textual.message import Message


class PaneGrew(Message):
    """A pane of the column has another height."""


class Column(Vertical):
    """Tells the pane that takes what room is left when that is another."""

    def on_pane_grew(self, message: PaneGrew) -> None:
        """Have it fit; once all have their places."""
        message.stop()
        for pane in self.children:
            if isinstance(pane, Fitting):
                self.call_after_refresh(pane.fit)


class Fitting(Vertical):
    """A pane that takes the room that the others of its column leave."""

    def fit(self) -> None:
        """The others have other heights than before."""
