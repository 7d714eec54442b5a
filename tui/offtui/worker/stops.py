"""Stop strings in a stream of text. Pure."""

from collections.abc import Sequence


class StopMatcher:
    """Passes text on until one of the stop strings appears; a possible beginning of one is held back."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """The text that is certain to stand before any stop string; sets ``stopped`` when one is complete."""
        if not self._stops:
            return text
        self._held += text
        found = [at for at in (self._held.find(stop) for stop in self._stops) if at >= 0]
        if found:
            self.stopped = True
            before, self._held = self._held[: min(found)], ""
            return before
        keep = max(
            (size for stop in self._stops for size in range(1, len(stop)) if self._held.endswith(stop[:size])),
            default=0,
        )
        cut = len(self._held) - keep
        before, self._held = self._held[:cut], self._held[cut:]
        return before

    @property
    def held(self) -> str:
        """What is held back now."""
        return self._held

    def restore(self, held: str) -> None:
        """Go on where another matcher of the same strings held that back."""
        self._held = held

    def finish(self) -> str:
        """What was held back, at the end of the stream."""
        held, self._held = self._held, ""
        return held
