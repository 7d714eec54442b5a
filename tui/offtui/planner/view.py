"""What the screen gets of a plan: one frozen value in which every layer count is a look-up."""

from typing import Literal

import msgspec

from offtui.plan.advise import Advice
from offtui.plan.choose import Budget
from offtui.plan.speed import Rate
from offtui.plan.table import Bytes
from offtui.plan.truth import Difference
from offtui.protocol.spec import LoadSpec, Placement
from offtui.units import GIB, MIB, gib, rate_text, size_text

Fit = Literal["fits", "too much", "unknown"]
RAM = "RAM"
"""Stands in the place of a device's name."""
Source = Literal["own", "between", "formula"]
"""Of compute buffers: llama.cpp's own figure, the formula corrected by those of other counts, the formula alone."""
SIGNS: dict[Source, str] = {"own": "", "between": "≈", "formula": "~"}
"""What stands before a figure."""


class PlanRow(msgspec.Struct, frozen=True):
    """One layer count."""

    n_gpu_layers: int
    """Layers wholly on devices."""
    devices: tuple[Bytes, ...]
    """What it needs of each device, in the order of ``PlanView.budgets``."""
    ram: Bytes
    fit: Fit
    """``unknown`` where a device does not tell its memory."""
    excess: int
    """Bytes by which it does not fit the device, or the RAM, that is shortest of memory; 0 where it fits."""
    short_of: str
    """Name of that device, or ``RAM``: what is mapped from the file does not count there."""
    rate: Rate
    """Tokens per second: measured here with this very count, or predicted."""
    runs: int
    """Answers that were measured with this count; 0: the rate is predicted."""
    source: Source
    """Of the compute buffers."""
    formula: tuple[int, ...] = ()
    """Bytes of compute buffers by the formula: of each device, then of the RAM."""
    joules: float | None = None
    """Per token, measured here with this very count; ``None``: unknown."""

    @property
    def exact(self) -> bool:
        """The compute buffers are llama.cpp's own figure, of a dry load or a real one."""
        return self.source == "own"

    @property
    def compute(self) -> tuple[int, ...]:
        """Bytes of compute buffers: of each device, then of the RAM."""
        return (*(device.compute for device in self.devices), self.ram.compute)

    @property
    def vram(self) -> int:
        """Bytes of all devices together."""
        return sum(device.total for device in self.devices)


class NoPlan(msgspec.Struct, frozen=True):
    """A load that was thought of cannot be planned."""

    spec: LoadSpec
    why: str
    """One sentence."""


class Ladder(msgspec.Struct, frozen=True):
    """One placement."""

    placement: Placement
    rows: tuple[PlanRow, ...]
    """By the layers wholly on devices, from 0."""
    choice: int
    """The most layers that fit."""
    fits: bool
    """Whether the choice fits; with whole layers it may be none of them."""
    why: str
    """One sentence about the choice."""
    advice: tuple[Advice, ...] = ()
    """What would help, besides another placement."""

    @property
    def rate(self) -> float:
        """Tokens per second of the choice."""
        return self.rows[self.choice].rate.value


class PlanView(msgspec.Struct, frozen=True):
    """Everything about one model under one set of settings on the devices that are here."""

    spec: LoadSpec
    """With the settings the plan is for; its layers and placement say nothing."""
    ladders: tuple[Ladder, ...]
    """The placements that the model has; whole layers first."""
    placement: Placement
    """The one that is looked at."""
    budgets: tuple[Budget, ...]
    """What may be used of each device, what the running model gives back counted in."""
    n_ctx: int
    learned: tuple[bool, ...] = ()
    """Of each budget: what is held back for the backend was learned here, and is not the usual."""
    truth: tuple[Difference, ...] = ()
    """Planned and got of the load that is up, per device and purpose; empty where none was compared."""
    notices: tuple[str, ...] = ()
    """What a person should know of the plan: an unknown architecture, a file that cannot be written."""
    ram: int | None = None
    """Bytes of RAM for the load; ``None``: unknown."""

    @property
    def ladder(self) -> Ladder:
        """Of the placement that is looked at."""
        return next(ladder for ladder in self.ladders if ladder.placement == self.placement)

    @property
    def rows(self) -> tuple[PlanRow, ...]:
        """By the layers wholly on devices, from 0."""
        return self.ladder.rows

    @property
    def choice(self) -> int:
        """The most layers that fit."""
        return self.ladder.choice

    @property
    def why(self) -> str:
        """One sentence about the choice."""
        return self.ladder.why

    @property
    def advice(self) -> tuple[Advice, ...]:
        """What would help, besides another placement."""
        return self.ladder.advice

    @property
    def placements(self) -> tuple[Placement, ...]:
        """Those that the model has."""
        return tuple(ladder.placement for ladder in self.ladders)

    @property
    def best(self) -> Ladder:
        """The placement that promises most tokens per second with what fits; of equals whole layers."""
        return max(self.ladders, key=lambda ladder: (ladder.fits, ladder.rate))

    def under(self, placement: Placement) -> "PlanView":
        """The same, looked at from another placement; from whole layers where the model has no such one."""
        there = placement if placement in self.placements else "layers"
        return self if there == self.placement else msgspec.structs.replace(self, placement=there)

    @property
    def most(self) -> int:
        """The layer count of everything."""
        return len(self.rows) - 1

    @property
    def budget(self) -> int | None:
        """Bytes of all devices together; ``None`` where one does not tell."""
        known = [budget.bytes for budget in self.budgets if budget.bytes is not None]
        return sum(known) if known and len(known) == len(self.budgets) else None

    def is_short(self, row: PlanRow) -> bool:
        """Whether the RAM cannot hold what stays there: mapped weights come from the disk again and again then."""
        return self.ram is not None and row.ram.total > self.ram

    @property
    def bugs(self) -> tuple[Difference, ...]:
        """Differences in what should be exact."""
        return tuple(entry for entry in self.truth if entry.is_bug)


def rate_line(row: PlanRow) -> str:
    """``"9.20 t/s measured"``, ``"~9 (7–12) t/s predicted"``."""
    if row.runs:
        return f"{rate_text(row.rate.value)} t/s measured"
    return f"~{rough(row.rate.value)} ({rough(row.rate.low)}–{rough(row.rate.high)}) t/s predicted"


def rough(rate: float) -> str:
    """A rate that is a guess: two digits at most."""
    if rate < 0.995:
        return f"{rate:.2f}"
    return f"{rate:.1f}" if rate < 9.95 else f"{float(f'{rate:.2g}'):.0f}"


def need_line(view: PlanView, row: PlanRow) -> str:
    """``"CUDA0 6.1 of 7.2 GiB · RAM 3.2 GiB"``; small sizes in MiB."""
    about = SIGNS[row.source]
    parts = [
        f"{budget.name} {about}{part_of(need.total, budget.bytes)}"
        for budget, need in zip(view.budgets, row.devices, strict=True)
    ]
    ram = part_of(row.ram.total, view.ram) if view.is_short(row) else size_text(row.ram.total)
    return " · ".join([*parts, f"RAM {ram}"])


def fit_line(view: PlanView, row: PlanRow) -> str:
    """One sentence on whether it fits, and by how much it does not."""
    if row.fit == "too much":
        return f"does not fit: {size_text(row.excess)} too much for {row.short_of}"
    if view.is_short(row):
        return "RAM is short: weights come from the disk"
    if not view.budgets:
        return "no GPU device: all of it in RAM"
    if row.fit == "unknown":
        names = " and ".join(budget.name for budget in view.budgets if budget.bytes is None)
        return f"whether it fits is unknown: {names} does not tell its memory"
    if row.n_gpu_layers == view.choice and view.choice < view.most:
        return f"fits, the most that does: {view.choice + 1} would not"
    return "fits"


def part_of(need: int, budget: int | None) -> str:
    """``"6.1 of 7.2 GiB"``, ``"812 of 900 MiB"``, ``"6.1 GiB"`` where the budget is unknown."""
    if budget is None:
        return size_text(need)
    if max(need, budget) < GIB:
        return f"{need / MIB:.0f} of {budget / MIB:.0f} MiB"
    if min(need, budget) < GIB / 10:
        return f"{size_text(need)} of {size_text(budget)}"
    digits = 2 if max(need, budget) < 10 * GIB else 1
    return f"{gib(need, digits)} of {gib(budget, digits)} GiB"
