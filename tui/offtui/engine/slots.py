"""Addresses of RPC devices that workers use: each of them serves one client at a time."""

from collections.abc import Sequence


class Slots:
    """Of one session."""

    def __init__(self) -> None:
        self.used: tuple[str, ...] = ()
        """By the session's worker."""
        self._left: set[str] = set()
        """That workers of this session have used: one that is going may still hold them for a moment."""
        self._none: set[tuple[str, ...]] = set()
        """At which nobody answered a second worker."""

    def lend(self, endpoints: Sequence[str]) -> tuple[str, ...]:
        """A worker is to use these; those of them that another has used."""
        left = tuple(endpoint for endpoint in endpoints if endpoint in self._left)
        self._left.update(endpoints)
        return left

    def are_none(self, endpoints: tuple[str, ...]) -> bool:
        """Whether it has turned out that there are no such slots."""
        return endpoints in self._none

    def note_none(self, endpoints: tuple[str, ...]) -> None:
        """Nobody answered there."""
        self._none.add(endpoints)
