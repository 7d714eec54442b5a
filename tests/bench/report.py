"""Figures of a benchmark: runs of named variants, their median and range, a table and JSON."""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec


class Figure(msgspec.Struct):
    """One measured quantity, with each run's value."""

    name: str
    unit: str
    values: list[float]
    reach: str = ""
    """What it should reach, in words."""

    @property
    def median(self) -> float:
        return statistics.median(self.values)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()}


def table(figures: Sequence[Figure]) -> str:
    """The figures as aligned text: median, range, runs."""
    rows = [("figure", "median", "range", "runs", "reach")]
    for figure in figures:
        low, high = min(figure.values), max(figure.values)
        span = f"{low:.4g} … {high:.4g}"
        rows.append((figure.name, f"{figure.median:.4g} {figure.unit}", span, str(len(figure.values)), figure.reach))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def save(path: Path, results: Mapping[str, Sequence[Figure]]) -> None:
    """Write all figures with the machine as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {"machine": machine(), "results": {name: msgspec.to_builtins(list(f)) for name, f in results.items()}}
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
