"""Tokens per second from the bytes one token reads: a prior from data sheets, corrected by what was measured here.

Generating a token reads every weight it needs once. So its time is ``gpu_read / BW_gpu + cpu_read / BW_cpu`` and a few
microseconds per change of device: linear in the bytes on either side, a hyperbola in tokens/s. Two numbers describe a
machine with a model, the seconds per byte on each side. They start as a guess with a wide error and are fitted to
measurements by weighted least squares on relative times, the guess counting as one more, weak observation.
"""

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from offtui.plan.cards import CARDS, Card
from offtui.plan.settings import Settings
from offtui.plan.table import Row, Table

GPU_SHARE = 0.75
"""Of a card's bandwidth on the data sheet that decoding reaches: 0.74 on an RTX 2080, 0.82 on an RTX 5060 Ti."""
GPU_ERROR = 0.30
CPU_ERROR = 0.40
"""One standard deviation of the guesses, relative."""
UNKNOWN_GPU_ERROR = 0.60
"""Where only a card's memory is known."""
MEASUREMENT_ERROR = 0.04
"""One standard deviation of a measured speed, relative: runs differ by this much."""
SPLIT_SECONDS = 50e-6
"""Per hand-over between the CPU and a device while a token is made."""
DRAM = 25e9
"""Bytes per second that decoding reads from RAM where nothing is known: two channels of DDR4 gave 20.7–24.7 GB/s."""
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


class Measurement(msgspec.Struct, frozen=True):
    """A speed that was measured on this machine with this model."""

    gpu_read: float
    """Bytes that a token read from devices' memory, cache included."""
    cpu_read: float
    handovers: int
    tokens_per_s: float


class Line(msgspec.Struct, frozen=True):
    """Seconds per byte on both sides, with their uncertainty."""

    gpu: float
    cpu: float
    covariance: tuple[float, float, float]
    """Of (gpu, gpu), (gpu, cpu), (cpu, cpu)."""
    n_measured: int


def machine_of(card: Card | None, memory: int | None, cpu: float | None = None) -> Machine:
    """The guess for a card, or for a card of which only the memory is known.

    Args:
        card: from the catalogue.
        memory: bytes of the card; used where ``card`` is ``None``.
        cpu: bytes per second that decoding reads from RAM, where it was measured.
    """
    ram = DRAM if cpu is None else cpu
    if card is not None:
        return Machine(card.bandwidth * GPU_SHARE, GPU_ERROR, ram)
    if memory is None:
        return Machine(cpu=ram)
    # the middle one of the cards nearest in size
    near = sorted(CARDS, key=lambda other: abs(math.log(other.memory / max(memory, 1))))[:9]
    typical = sorted(other.bandwidth for other in near)[len(near) // 2]
    return Machine(typical * GPU_SHARE, UNKNOWN_GPU_ERROR, ram)


def reads(row: Row, table: Table, settings: Settings, n_past: int) -> tuple[float, float, int]:
    """Bytes that a token reads from devices and from RAM with ``n_past`` tokens cached, and the hand-overs."""
    share = min(n_past / max(settings.ctx_seq, 1), 1.0)
    gpu = row.gpu_read + row.vram.kv * share
    cpu = row.cpu_read + row.ram.kv * share
    split = 2 if row.gpu_read and row.cpu_read else 0
    return gpu, cpu, 2 * row.n_kept if row.n_kept else split


def fit(machine: Machine, measured: Sequence[Measurement] = ()) -> Line:
    """The line through what was measured, held by the guess."""
    u, v = 1 / machine.gpu, 1 / machine.cpu
    # normal equations in relative units; the guess is one observation of each parameter
    a = 1 / (machine.gpu_error * u) ** 2
    b = 0.0
    d = 1 / (machine.cpu_error * v) ** 2
    p, q = a * u, d * v
    for point in measured:
        seconds = 1 / point.tokens_per_s
        weight = 1 / (MEASUREMENT_ERROR * seconds) ** 2
        rest = seconds - point.handovers * SPLIT_SECONDS
        a += weight * point.gpu_read**2
        b += weight * point.gpu_read * point.cpu_read
        d += weight * point.cpu_read**2
        p += weight * point.gpu_read * rest
        q += weight * point.cpu_read * rest
    determinant = a * d - b * b
    gpu, cpu = (d * p - b * q) / determinant, (a * q - b * p) / determinant
    # neither side can be faster than ten times the guess, whatever was measured
    gpu, cpu = max(gpu, u / 10), max(cpu, v / 10)
    return Line(gpu, cpu, (d / determinant, -b / determinant, a / determinant), len(measured))


def rate(line: Line, gpu_read: float, cpu_read: float, handovers: int) -> Rate:
    """Tokens per second of a placement on the fitted line."""
    seconds = line.gpu * gpu_read + line.cpu * cpu_read + handovers * SPLIT_SECONDS
    gg, gc, cc = line.covariance
    variance = gg * gpu_read**2 + 2 * gc * gpu_read * cpu_read + cc * cpu_read**2
    # what the line itself cannot say: caches, clocks, threads
    error = math.hypot(math.sqrt(max(variance, 0.0)) / seconds, MEASUREMENT_ERROR) if seconds > 0 else 0.0
    value = 1 / max(seconds, 1e-6)
    spread = math.exp(BAND * error)
    return Rate(value / spread, value, value * spread, "fit" if line.n_measured else "prior")


def rates(table: Table, settings: Settings, line: Line, n_past: int = 512) -> tuple[Rate, ...]:
    """Tokens per second of every row, with ``n_past`` tokens in the cache."""
    return tuple(rate(line, *reads(row, table, settings, n_past)) for row in table.rows)
