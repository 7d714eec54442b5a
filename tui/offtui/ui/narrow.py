"""Only the cells that were said to be dirty go to the terminal, not the whole row before them."""

from typing import Self

from rich.console import Console, RenderableType
from rich.control import Control
from textual._compositor import ChopsUpdate  # pyright: ignore[reportPrivateUsage] -- the one place that says what is sent
from textual.app import App
from textual.geometry import Region
from textual.screen import Screen


class NarrowUpdate(ChopsUpdate):
    """Some stretches of rows. Textual's own begins each of them at the left edge of its widget."""

    def render_segments(self, console: Console) -> str:
        """What to write: each stretch at its place, and nothing beside it."""
        sequences: list[str] = []
        for y, begin, end in self.spans:
            there: int | None = None
            for stop, (start, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                first, past = max(start, begin), min(stop, end)
                if strip is None or first >= past:
                    continue
                if there != first:
                    sequences.append(Control.move_to(first, y).segment.text)
                sequences.append(strip.crop(first - start, past - start).render(console))
                there = past
        return "".join(sequences)


class OpaqueScreen(Screen[None]):
    """A screen through which nothing is seen: what changes on the one below is no reason to paint this one."""

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        """Paint all of it; stretches are what the screen below would have painted here."""
        return self if regions else super().refresh(repaint=repaint, layout=layout, recompose=recompose)


class NarrowApp(App[None], inherit_bindings=False):
    """An app that writes so."""

    def _display(self, screen: "Screen[object]", renderable: RenderableType | None) -> None:
        if isinstance(renderable, ChopsUpdate):
            renderable = NarrowUpdate(renderable.chops, renderable.spans, renderable.chop_ends)
        super()._display(screen, renderable)  # pyright: ignore[reportUnknownMemberType] -- Textual leaves Screen[Unknown]
