"""What draws all of itself from the facts that are bound to it."""


class Painted:
    """Drawn anew when a fact that says no more than itself is another; the rest is said by whoever has more to do."""

    def _paint(self) -> None:
        raise NotImplementedError

    def watch_draft(self) -> None:
        """The dial points somewhere else."""
        self._paint()

    def watch_placement(self) -> None:
        """Likewise with another placement."""
        self._paint()

    def on_resize(self) -> None:
        """There is more room, or less."""
        self._paint()
