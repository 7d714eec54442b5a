"""Tokens per second from the work one token is: a prior from data sheets, corrected by what was measured here.

Generating a token reads every weight it needs once, starts every layer's kernels, waits for threads, and hands its
state over where the device changes. So its time is a sum: bytes and layers on either side, hand-overs, and a constant;
linear in each, a hyperbola in tokens/s. The costs start as guesses with wide errors and are fitted to measurements by
weighted least squares on relative times, each guess counting as one more, weak observation. Without that hold two or
three measurements could not tell six costs apart; with it they move the costs that matter most for the model at hand.
"""

import math
import operator
from collections.abc import Sequence
from typing import Literal

import msgspec

from offtui.plan.cards import CARDS, Card
from offtui.plan.settings import Settings
from offtui.plan.table import Row, Table

GPU_SHARE = 0.8
"""Of a card's bandwidth on the data sheet that decoding reaches: 0.74 on an RTX 2080, 0.89 on an RTX 5060 Ti."""
GPU_ERROR = 0.25
CPU_ERROR = 0.50
"""One standard deviation of the guesses, relative."""
UNKNOWN_GPU_ERROR = 0.60
"""Where only a card's memory is known."""
REMOTE_ERROR = 0.80
"""Where a device of another machine may be a card or a processor."""
MEASUREMENT_ERROR = 0.05
"""One standard deviation of a measured speed, relative: runs differ by this much."""
MACHINE_ERROR = 0.25
"""One standard deviation of how much slower or faster a whole machine is than its parts promise, before any run on it:
clocks, other programs, drivers."""
DRAM = 25e9
"""Bytes per second that decoding reads from RAM where nothing is known: two channels of DDR4 gave 20.7–24.7 GB/s."""
CORE = 10e9
"""Bytes of quantised weights per second that one core can multiply: 5 GB/s with AVX2, 18 GB/s with AVX-512."""
GPU_LAYER_SECONDS = 25e-6
"""Per layer on a device besides its bytes: a dozen kernels to start."""
CPU_LAYER_SECONDS = 10e-6
"""Per layer on the CPU besides its bytes: the barriers between its threads."""
HANDOVER_SECONDS = 50e-6
"""Per change between the CPU and a device of this machine."""
REMOTE_SECONDS = 300e-6
"""Per change to or from a device of another machine, where its round trip is unknown."""
TOKEN_SECONDS = 100e-6
"""Per token: sampling, building the graph, the text."""
OVERHEAD_ERROR = 0.9
"""One standard deviation of these, relative."""
FLOOR = 0.1
"""Of its guess that no cost goes below, whatever was measured."""
ABSURD = 100.0
"""Times faster or slower than guessed that no machine is: such a measurement says nothing of the others."""
HELD = 1e6
"""Weight of a cost that stays at the floor: no measurement moves it."""
BAND = 1.64
"""Standard deviations either way that a band shows: nine of ten measurements lie within."""

Source = Literal["prior", "fit", "measured"]


class Rate(msgspec.Struct, frozen=True):
    """Tokens per second as a band."""

    low: float
    value: float
    high: float
    source: Source


class Machine(msgspec.Struct, frozen=True):
    """What is guessed about a machine before any run."""

    gpu: float = 400e9 * GPU_SHARE
    """Bytes per second that decoding reads from the devices' memory."""
    gpu_error: float = UNKNOWN_GPU_ERROR
    cpu: float = DRAM
    """Bytes per second that decoding reads from RAM."""
    cpu_error: float = CPU_ERROR
    handover: float = HANDOVER_SECONDS
    """Seconds per change of device."""


class Work(msgspec.Struct, frozen=True):
    """What one token is to a placement."""

    gpu_read: float
    """Bytes read from devices' memory, cache included."""
    cpu_read: float
    gpu_layers: float
    """Layers evaluated on devices; the output counts as one."""
    cpu_layers: float
    handovers: float

    @property
    def amounts(self) -> tuple[float, ...]:
        """In the order of the costs of a ``Line``; the last is the token itself."""
        return (self.gpu_read, self.cpu_read, self.gpu_layers, self.cpu_layers, self.handovers, 1.0)


class Measurement(msgspec.Struct, frozen=True):
    """A speed that was measured on this machine with this model."""

    work: Work
    tokens_per_s: float


class Line(msgspec.Struct, frozen=True):
    """Seconds per unit of each kind of work, with their uncertainty."""

    costs: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    n_measured: int


def machine_of(
    card: Card | None, memory: int | None, cpu: float | None = None, n_threads: int | None = None
) -> Machine:
    """The guess for a card, or for a card of which only the memory is known.

    Args:
        card: from the catalogue.
        memory: bytes of the card; used where ``card`` is ``None``.
        cpu: bytes per second that can be read from RAM, where it was measured.
        n_threads: that decode; ``None``: enough to read as fast as the RAM gives.
    """
    ram = processor(cpu, n_threads)
    if card is not None:
        return Machine(card.bandwidth * GPU_SHARE, GPU_ERROR, ram)
    if memory is None:
        return Machine(cpu=ram)
    # the middle one of the cards nearest in size
    near = sorted(CARDS, key=lambda other: abs(math.log(other.memory / max(memory, 1))))[:9]
    typical = sorted(other.bandwidth for other in near)[len(near) // 2]
    return Machine(typical * GPU_SHARE, UNKNOWN_GPU_ERROR, ram)


def processor(ram: float | None, n_threads: int | None) -> float:
    """Bytes per second that a processor decodes: what its RAM gives, or its threads can multiply."""
    bandwidth = DRAM if ram is None else ram
    return bandwidth if n_threads is None else min(bandwidth, n_threads * CORE)


def work(row: Row, table: Table, settings: Settings, n_past: int) -> Work:
    """What a token is with ``n_past`` tokens cached."""
    share = min(n_past / max(settings.ctx_seq, 1), 1.0)
    offloaded = row.n_gpu_layers if row.devices else 0
    left = table.rows[-1].n_gpu_layers - offloaded
    return Work(
        row.gpu_read + row.vram.kv * share,
        row.cpu_read + row.ram.kv * share,
        offloaded,
        left + row.n_kept,
        row.handovers,
    )


def fit(machine: Machine, measured: Sequence[Measurement] = ()) -> Line:
    """The costs that explain what was measured, held by the guess."""
    guesses = [
        (1 / machine.gpu, machine.gpu_error),
        (1 / machine.cpu, machine.cpu_error),
        (GPU_LAYER_SECONDS, OVERHEAD_ERROR),
        (CPU_LAYER_SECONDS, OVERHEAD_ERROR),
        (machine.handover, OVERHEAD_ERROR),
        (TOKEN_SECONDS, OVERHEAD_ERROR),
    ]
    # in units of the guesses, so that all numbers are near 1
    shares = [
        [amount * guess * point.tokens_per_s for amount, (guess, _) in zip(point.work.amounts, guesses, strict=True)]
        for point in measured
    ]
    points = [point for point in shares if 1 / ABSURD < sum(point) < ABSURD]
    held: set[int] = set()
    while True:
        found, covariance = _solve(points, [error for _, error in guesses], held)
        below = {index for index, value in enumerate(found) if value < FLOOR and index not in held}
        if not below:
            break
        held |= below
    costs = tuple(value * guess for value, (guess, _) in zip(found, guesses, strict=True))
    scaled = tuple(
        tuple(entry * a * b for entry, (b, _) in zip(line, guesses, strict=True))
        for line, (a, _) in zip(covariance, guesses, strict=True)
    )
    return Line(costs, scaled, len(points))


def rate(line: Line, work: Work) -> Rate:
    """Tokens per second of a placement on the fitted line."""
    amounts = work.amounts
    seconds = max(_dot(line.costs, amounts), 1e-9)
    variance = _dot(amounts, [_dot(row, amounts) for row in line.covariance])
    # what the line itself cannot say: caches, clocks, threads
    error = math.hypot(math.sqrt(max(variance, 0.0)) / seconds, MEASUREMENT_ERROR)
    if not line.n_measured:
        error = math.hypot(error, MACHINE_ERROR)
    value, spread = 1 / seconds, math.exp(BAND * error)
    return Rate(value / spread, value, value * spread, "fit" if line.n_measured else "prior")


def rates(table: Table, settings: Settings, line: Line, n_past: int = 512) -> tuple[Rate, ...]:
    """Tokens per second of every row, with ``n_past`` tokens in the cache."""
    return tuple(rate(line, work(row, table, settings, n_past)) for row in table.rows)


def _solve(
    points: Sequence[Sequence[float]], errors: Sequence[float], held: set[int]
) -> tuple[list[float], list[list[float]]]:
    """Costs in units of their guesses, and their covariance; the costs in ``held`` stay at the floor.

    Args:
        points: per measurement the share of its time that each cost at its guess would take.
        errors: of the guesses.
    """
    size = len(errors)
    matrix = [[0.0] * size for _ in range(size)]
    right = [0.0] * size
    for index, error in enumerate(errors):
        weight = HELD if index in held else 1 / error**2
        matrix[index][index] += weight
        right[index] += weight * (FLOOR if index in held else 1.0)
    weight = 1 / MEASUREMENT_ERROR**2
    for point in points:
        for i in range(size):
            right[i] += weight * point[i]
            for j in range(size):
                matrix[i][j] += weight * point[i] * point[j]
    inverse = _inverse(matrix)
    return [_dot(row, right) for row in inverse], inverse


def _inverse(matrix: Sequence[Sequence[float]]) -> list[list[float]]:
    """Of a symmetric, positive matrix, by Gauss and Jordan with pivots."""
    size = len(matrix)
    rows = [[*row, *(1.0 if i == j else 0.0 for j in range(size))] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda index: abs(rows[index][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        scale = rows[column][column]
        rows[column] = [value / scale for value in rows[column]]
        for index in range(size):
            if index != column and (factor := rows[index][column]):
                rows[index] = [value - factor * other for value, other in zip(rows[index], rows[column], strict=True)]
    return [row[size:] for row in rows]


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(map(operator.mul, a, b))
