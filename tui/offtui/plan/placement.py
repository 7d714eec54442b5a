"""Placements on one axis: how many layers lie wholly on devices, and what of the others lies there too."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from offtui.plan.choose import Budget, Choice, choose_from
from offtui.plan.settings import Device, Settings
from offtui.plan.table import Model, Row, Table, kept_patterns, table
from offtui.protocol.spec import Placement

PLACEMENTS: tuple[Placement, ...] = ("layers", "ffn", "experts")

_OVERRIDDEN = re.compile(r"tensor blk\.(\d+)\..* buffer type overridden to CPU")


class Ladder(msgspec.Struct, frozen=True):
    """The rows of one placement by the number of layers that lie wholly on devices, from 0."""

    placement: Placement
    table: Table

    @property
    def rows(self) -> tuple[Row, ...]:
        """n_layer + 2 of them: the first is the CPU alone, the last everything on the devices, in each placement."""
        return self.table.rows


def placements_of(model: Model) -> tuple[Placement, ...]:
    """The placements that differ from whole layers for this model, and whole layers."""
    found: list[Placement] = ["layers"]
    if any(group.cpu for group in model.weights.ffn):
        found.append("ffn")
    if any(group.cpu for group in model.weights.experts):
        found.append("experts")
    return tuple(found)


def ladder(model: Model, settings: Settings, devices: Sequence[Device], placement: Placement) -> Ladder:
    """The rows of a placement.

    Args:
        model: with its weights sorted.
        settings: how it is loaded.
        devices: those that layers are offloaded to; without any, every placement is whole layers.
        placement: one that the model has.
    """
    whole = table(model, settings, devices)
    if placement == "layers" or not devices:
        return Ladder("layers", whole)
    kept = table(model, settings, devices, placement)
    return Ladder(placement, Table((whole.rows[0], *kept.rows), placement, kept.known))


def for_llama_cpp(placement: Placement, layers: int, n_layer: int) -> tuple[int, tuple[str, ...]]:
    """``n_gpu_layers`` and the patterns of ``tensor_buft_overrides`` that put so many layers wholly on devices.

    Args:
        placement: what of the others lies there too.
        layers: 0…n_layer+1.
        n_layer: blocks of the model.
    """
    if placement == "layers" or layers == 0:
        return layers, ()
    return n_layer + 1, kept_patterns(placement, n_layer + 1 - layers)


def whole_layers(assigned: int, lines: Iterable[str]) -> int:
    """Layers that lie wholly on devices, of those assigned to one, by what llama.cpp logged of its overrides.

    The layers before the last with an override count as kept: those among them that lack such matrices are few.
    """
    kept = [int(match[1]) for line in lines if (match := _OVERRIDDEN.match(line))]
    return max(assigned - max(kept, default=-1) - 1, 0)


def choose_on(rungs: Ladder, budget: Sequence[Budget], ram_available: int | None) -> tuple[int, Choice]:
    """The most layers wholly on devices that fit, and the reason; 0 where not even the smallest placement fits."""
    if rungs.placement == "layers":
        choice = choose_from(rungs.table, budget, ram_available)
        return choice.n_gpu_layers, choice
    kept = Table(rungs.rows[1:], rungs.placement, rungs.table.known)
    choice = choose_from(kept, budget, ram_available)
    return (len(rungs.rows) - 1 - choice.row.n_kept if choice.fits else 0), choice
