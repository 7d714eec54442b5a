"""Where ``offtui plan`` plans for: this machine with what it has measured, or cards that are not here."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from offtui import paths
from offtui.errors import UsageError
from offtui.gguf.header import Header
from offtui.plan.choose import budgets
from offtui.plan.settings import Settings
from offtui.plan.speed import Line, Measurement, Rate, fit, work
from offtui.plan.table import Model, table
from offtui.plan.target import Target, of_machine
from offtui.planner.learning import BANDWIDTH, OVERHEAD, devices_text, settings_text
from offtui.planner.speeds import by_layers, measured_rate, measurements
from offtui.protocol.facts import DeviceFacts
from offtui.protocol.spec import LoadSpec
from offtui.store.measurements import FileId, Point, Store

_GIVEN = re.compile(r"(\d{1,5})=(\d+(?:\.\d+)?)", re.ASCII)
_FASTEST = 1e6


class Place(NamedTuple):
    """A target, and what is known of it besides data sheets."""

    target: Target
    facts: tuple[DeviceFacts, ...] = ()
    """Every device of this machine; empty for cards that are not here."""
    n_threads: int | None = None
    given: tuple[tuple[int, float], ...] = ()
    """Layer counts and tokens per second that the user measured there."""


class Speeds(NamedTuple):
    """What is known of a model's speed at a place."""

    line: Line
    measured: Mapping[int, Rate]


def best_ram(now: float | None) -> float | None:
    """Bytes per second that can be read from RAM: as measured now, or ever, as the machine may be busy now."""
    with _Learned() as learned:
        return max((speed for speed in (now, learned.constant("RAM", BANDWIDTH)) if speed), default=None)


def here(facts: Sequence[DeviceFacts], n_threads: int, *, margin: int, ram: float | None) -> Place:
    """This machine, with the constants that were learned of its devices.

    Args:
        facts: every device.
        n_threads: that decode.
        margin: bytes left free on each device.
        ram: bytes per second that can be read from RAM.
    """
    with _Learned() as learned:
        target = of_machine(facts, margin=margin, cpu=ram, n_threads=n_threads)
        described = {fact.name: fact.description for fact in facts}
        contexts = [learned.constant(described[device.name], OVERHEAD) for device in target.devices]
    have = [
        budgets([device], margin=margin, context=None if context is None else round(context))[0]
        for device, context in zip(target.devices, contexts, strict=True)
    ]
    return Place(msgspec.structs.replace(target, budgets=tuple(have)), tuple(facts), n_threads)


def speeds(place: Place, header: Header, model: Model, spec: LoadSpec, settings: Settings, n_past: int) -> Speeds:
    """What was measured of a model at a place, and the line through it."""
    rows = table(model, settings, place.target.devices)
    most = len(rows.rows) - 1
    beyond = next((layers for layers, _ in place.given if layers > most), None)
    if beyond is not None:
        raise UsageError(f"--measured names {beyond} layers; this model has {most} with the output.")
    file = FileId.of(header.path)
    points: tuple[Point, ...] = ()
    if place.facts and file is not None:
        with _Learned() as learned:
            settings_kept = settings_text(spec, settings.flash_attn, place.n_threads)
            points = learned.points(file, devices_text(place.facts), settings_kept)
    found = by_layers(points)
    given = [Measurement(work(rows.rows[layers], rows, settings, n_past), speed) for layers, speed in place.given]
    line = fit(place.target.machine, [*measurements(found, rows, settings), *given])
    measured = {layers: measured_rate(entries) for layers, entries in found.items()}
    measured |= {layers: Rate(speed, speed, speed, "measured") for layers, speed in place.given}
    return Speeds(line, measured)


def given_speed(text: str) -> tuple[int, float]:
    """A measured speed as a user gives it: ``"16=4.24"`` is 4.24 tokens per second with 16 layers.

    Raises:
        UsageError: it is not of that form.
    """
    match = _GIVEN.fullmatch(text)
    if match is None or not 0 < float(match[2]) < _FASTEST:
        raise UsageError(f"{text!r} is not LAYERS=TOKENS_PER_SECOND; write for instance 16=4.24")
    return int(match[1]), float(match[2])


class _Learned:
    """The measurements of this machine; none where there is no file of them yet, which is not made for a plan."""

    def __init__(self) -> None:
        file = paths.data_dir() / "measurements.db"
        self._store = Store(file) if file.is_file() else None

    def __enter__(self) -> "_Learned":
        return self

    def __exit__(self, *_: object) -> None:
        if self._store is not None:
            self._store.close()

    def constant(self, device: str, name: str) -> float | None:
        return None if self._store is None else self._store.constant(device, name)

    def points(self, file: FileId, devices: str, settings: str) -> tuple[Point, ...]:
        return () if self._store is None else self._store.points(file, devices, settings)
