"""Rows with llama.cpp's own compute buffers where it gave them, and with what they teach about those between."""

from collections.abc import Mapping, Sequence

import msgspec

from offtui.plan.placement import Ladder
from offtui.plan.probe import DryResult
from offtui.plan.table import Bytes, Row, Table
from offtui.planner.view import Source

FIRST = 3
"""Layers from which the buffers are of one kind: of the last block only rows that give logits are evaluated, so that
the output layer alone, and with that block, need less."""


class Refined(msgspec.Struct, frozen=True):
    """A ladder whose compute buffers are as true as they can be."""

    ladder: Ladder
    sources: tuple[Source, ...]
    """Of the compute buffers of each row."""


def refine(rungs: Ladder, known: Mapping[int, DryResult], names: Sequence[str]) -> Refined:
    """The ladder with what llama.cpp said.

    A count it was asked about has its figure. Between counts of one kind, some layers on devices and some in RAM, the
    formula is off by about the same: there the difference found at the nearest two counts is added, in proportion.

    Args:
        rungs: by the formula.
        known: dry or real loads by the layers wholly on devices.
        names: of the devices, in the order of the rows.
    """
    rows, last = rungs.rows, len(rungs.rows) - 1
    off = {layers: _difference(rows[layers], known[layers], names) for layers in known if 0 <= layers <= last}
    partial = sorted(layers for layers in off if FIRST <= layers < last)
    found: list[Row] = []
    sources: list[Source] = []
    for layers, row in enumerate(rows):
        if layers in off:
            found.append(_with(row, off[layers]))
            sources.append("own")
        elif partial and FIRST <= layers < last:
            found.append(_with(row, _between(off, partial, layers)))
            sources.append("between")
        else:
            found.append(row)
            sources.append("formula")
    table = Table(tuple(found), rungs.table.placement, rungs.table.known)
    return Refined(Ladder(rungs.placement, table), tuple(sources))


def _difference(row: Row, dry: DryResult, names: Sequence[str]) -> tuple[int, ...]:
    """Own figure less formula: of each device, then of the RAM."""
    pairs = zip(names, row.devices, strict=True)
    return (*(dry.compute.get(name, 0) - have.compute for name, have in pairs), dry.host + dry.output - row.ram.compute)


def _between(off: Mapping[int, Sequence[int]], partial: Sequence[int], layers: int) -> tuple[int, ...]:
    below = max((at for at in partial if at < layers), default=partial[0])
    above = min((at for at in partial if at > layers), default=partial[-1])
    share = 0.0 if above <= below else min(max((layers - below) / (above - below), 0.0), 1.0)
    return tuple(round(a + (b - a) * share) for a, b in zip(off[below], off[above], strict=True))


def _with(row: Row, off: Sequence[int]) -> Row:
    pairs = zip(row.devices, off[:-1], strict=True)
    devices = tuple(Bytes(have.weights, have.kv, max(have.compute + more, 0)) for have, more in pairs)
    ram = Bytes(row.ram.weights, row.ram.kv, max(row.ram.compute + off[-1], 0))
    return msgspec.structs.replace(row, devices=devices, ram=ram)
