"""The history as a file: CSV for spreadsheets, JSON for programs."""

import csv
import datetime
import io
from pathlib import Path
from typing import Any, Final

import msgspec

from offtui.errors import UsageError
from offtui.recorder.tape import Tape
from offtui.text import clean_line

COLUMNS: Final = (
    "vram", "ram", "swap", "tps", "prompt_tps", "power", "util", "bandwidth", "cpu", "kv", "layers",
)  # fmt: skip
"""Bytes, tokens per second, Watts, shares 0…1, tokens, layers; one row for each look at the machine."""
_SUFFIXES: Final = (".csv", ".json")


def write(tape: Tape, path: Path) -> int:
    """Write a new file, CSV or JSON by its suffix; the number of rows.

    Raises:
        UsageError: the suffix is neither, there is such a file already, or it cannot be written.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"The history is written as .csv or .json, not as {clean_line(path.name, 80)!r}.")
    names, rows = table(tape)
    text = _csv(tape, names, rows) if path.suffix.lower() == ".csv" else _json(tape, names, rows)
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{clean_line(str(path), 200)} is there already.") from error
    except OSError as error:
        raise UsageError(f"{clean_line(str(path), 200)} cannot be written: {error.strerror}.") from error
    return len(rows)


def default_name(suffix: str) -> str:
    """A name with the time of day: ``offtui-20260131-154500.csv``."""
    return f"offtui-{datetime.datetime.now():%Y%m%d-%H%M%S}.{suffix}"


def table(tape: Tape) -> tuple[list[str], list[list[float | None]]]:
    """Names and rows; each row begins with its time on the axis, and is of one look at the machine."""
    with tape.lock:
        series = tape.history.all_series()
        names = [*COLUMNS, *sorted(name for name in series if name.startswith("vram "))]
        values = {name: dict(series[name]) if name in series else {} for name in names}
        times = [time for time, _ in series["ram"]] if "ram" in series else []
    return names, [[time, *(values[name].get(time) for name in names)] for time in times]


def _csv(tape: Tape, names: list[str], rows: list[list[float | None]]) -> str:
    with tape.lock:
        marks = [(mark.time, str(mark.event), mark.note) for mark in tape.history.marks()]
    lines: list[tuple[float, list[str]]] = []
    for time, *values in rows:
        known = ["" if value is None else _number(value) for value in values]
        lines.append((time or 0.0, [_when(tape, time or 0.0), *known, "", ""]))
    lines += [(time, [_when(tape, time), *[""] * len(names), event, note]) for time, event, note in marks]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["time", *names, "mark", "note"])
    writer.writerows(cells for _, cells in sorted(lines, key=lambda line: line[0]))
    return out.getvalue()


def _json(tape: Tape, names: list[str], rows: list[list[float | None]]) -> str:
    with tape.lock:
        marks = tape.history.marks()
    answers = tape.answers()
    document: dict[str, Any] = {
        "columns": ["time", *names],
        "rows": [[_when(tape, row[0] or 0.0), *map(_whole, row[1:])] for row in rows],
        "marks": [{"time": _when(tape, mark.time), "event": mark.event, "note": mark.note} for mark in marks],
        "answers": [
            {
                **msgspec.to_builtins(answer),
                "began": _when(tape, answer.began),
                "first_token": None if answer.first_token is None else _when(tape, answer.first_token),
                "ended": _when(tape, answer.ended),
                "joules_per_token": answer.joules_per_token,
            }
            for answer in answers
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"


def _when(tape: Tape, time: float) -> str:
    """A time as ISO 8601 with milliseconds and the offset of the zone; the bare seconds where the clock is unknown."""
    wall = tape.history.wall(time)
    if wall is None:
        return f"{time:.3f}"
    return datetime.datetime.fromtimestamp(wall).astimezone().isoformat(timespec="milliseconds")


def _whole(value: float | None) -> float | None:
    """Bytes, tokens and layers without a fraction."""
    return int(value) if value is not None and value == int(value) else value


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.6g}"
