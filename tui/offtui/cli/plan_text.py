"""The text of ``offtui plan``: tables for people."""

from collections.abc import Sequence
from pathlib import Path

from offtui.cli.plan_model import PlannedModel
from offtui.plan.choose import Budget, fits
from offtui.plan.report import Plan
from offtui.plan.speed import Rate
from offtui.plan.table import Row
from offtui.text import clean_line
from offtui.units import gib, rate_text, size_text

MAX_ROWS = 18
"""Rows of the table that are printed unless all are wanted."""


def plans_text(planned: PlannedModel, *, every_row: bool) -> str:
    """One model: its table for one target, or the choices where there are several."""
    lines = [_title(planned), ""]
    if len(planned.plans) == 1:
        plan = planned.plans[0]
        lines += [_target_line(plan), "", *_rows(plan, every_row), "", plan.choice.why]
        lines += [f"Perhaps better: {advice}." for advice in planned.advice]
    else:
        lines += ["What fits:", *_fitting(planned.plans), "", "What that brings:", *_bringing(planned.plans)]
    lines += ["", _legend(planned)]
    lines += list(planned.notes)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def models_text(models: Sequence[PlannedModel]) -> str:
    """Several models: layers that fit, then tokens per second, on each target."""
    names = [plan.target.name for plan in models[0].plans]
    fitting = [["model", "GiB", *names]]
    bringing = [["model", "", *names]]
    for planned in models:
        name = _name(planned)
        cells = [_share(plan) for plan in planned.plans]
        fitting.append([name, gib(planned.header.file_bytes), *cells])
        bringing.append([name, "", *[_band(plan.rate) for plan in planned.plans]])
    context = {planned.settings.ctx_seq for planned in models}
    at = f" at a context of {context.pop()}" if len(context) == 1 else ""
    lines = [f"Layers that fit{at}:", *_table(fitting), "", "Tokens per second:", *_table(bringing)]
    for planned in models:
        lines += list(planned.notes)
    return "\n".join(line.rstrip() for line in [*lines, "", _legend(models[0])]) + "\n"


def _title(planned: PlannedModel) -> str:
    header, settings = planned.header, planned.settings
    parts = [
        _name(planned),
        header.arch,
        header.quant,
        f"{header.n_layer + 1} layers with the output",
        size_text(header.file_bytes),
        f"context {settings.ctx_seq}",
    ]
    if (settings.type_k, settings.type_v) != ("f16", "f16"):
        parts.append(f"KV {settings.type_k}/{settings.type_v}")
    return " · ".join(part for part in parts if part)


def _name(planned: PlannedModel) -> str:
    return planned.header.name or clean_line(Path(planned.header.path).stem, 60)


def _target_line(plan: Plan) -> str:
    if not plan.target.devices:
        return "No GPU device: everything is in RAM."
    return "; ".join(
        _budget(have, device.free, device.total)
        for have, device in zip(plan.choice.budgets, plan.target.devices, strict=True)
    )


def _budget(have: Budget, free: int | None, total: int | None) -> str:
    if have.bytes is None:
        return f"{have.name}: its memory is unknown"
    held = f"{size_text(have.margin)} left free"
    if have.context:
        held = f"{size_text(have.context)} for the backend, {held}"
    return f"{have.name}: {gib(free)} of {gib(total)} GiB free, {gib(have.bytes)} to plan with ({held})"


def _rows(plan: Plan, every_row: bool) -> list[str]:
    kept = plan.table.placement != "layers"
    chosen = plan.table.rows.index(plan.choice.row)
    count = len(plan.table.rows) if plan.target.devices else 1
    shown = range(count) if every_row else _worth(count, chosen)
    cells = [
        ["", "in RAM" if kept else "layers", "VRAM GiB", "weights", "KV", "compute", "RAM GiB", "tokens/s", ""],
    ]
    for index in shown:
        row, rate = plan.table.rows[index], plan.rates[index]
        cells.append(_cells(plan, row, rate, index == chosen, kept))
    return _table(cells)


def _cells(plan: Plan, row: Row, rate: Rate, chosen: bool, kept: bool) -> list[str]:
    vram = row.vram
    exact = "" if row.n_gpu_layers in plan.dry else "~"
    return [
        "▶" if chosen else "",
        str(row.n_kept if kept else row.n_gpu_layers),
        gib(vram.total, 2),
        gib(vram.weights, 2),
        gib(vram.kv, 2),
        exact + gib(vram.compute, 2),
        gib(row.ram.total, 2),
        _band(rate),
        "" if fits(row, plan.choice.budgets) else "does not fit",
    ]


def _worth(count: int, chosen: int) -> list[int]:
    """Rows worth printing: the ends, the choice with its neighbours, and some between."""
    step = -(-count // (MAX_ROWS - 6))
    wanted = {0, 1, count - 2, count - 1, chosen - 1, chosen, chosen + 1, *range(0, count, step)}
    return sorted(index for index in wanted if 0 <= index < count)


def _fitting(plans: Sequence[Plan]) -> list[str]:
    cells = [["card", "layers", "of the weights", "VRAM GiB", "of", "RAM GiB", ""]]
    for plan in plans:
        row = plan.choice.row
        weights = row.vram.weights + row.ram.weights
        cells.append(
            [
                plan.target.name,
                _share(plan),
                f"{row.vram.weights / weights:.0%}" if weights else "",
                gib(row.vram.total, 1),
                gib(sum(have.bytes or 0 for have in plan.choice.budgets), 1),
                gib(row.ram.total, 1),
                "" if plan.choice.fits else "does not fit",
            ]
        )
    return _table(cells)


def _bringing(plans: Sequence[Plan]) -> list[str]:
    cells = [["card", "layers", "tokens/s", "all on CPU", "times"]]
    for plan in plans:
        alone, times = "–", ""
        if plan.table.placement == "layers":
            alone, times = _band(plan.rates[0]), f"{plan.rate.value / plan.rates[0].value:.1f}×"
        cells.append([plan.target.name, _share(plan), _band(plan.rate), alone, times])
    return _table(cells)


def _share(plan: Plan) -> str:
    choice, most = plan.choice, plan.table.rows[-1].n_gpu_layers
    if not choice.fits:
        return "–"
    if choice.row.n_kept:
        what = "ffn" if plan.table.placement == "ffn" else "experts"
        return f"{most}, {what} of {choice.row.n_kept} in RAM"
    return f"{choice.n_gpu_layers} of {most}"


def _band(rate: Rate) -> str:
    return f"{rate_text(rate.low)}–{rate_text(rate.high)}"


def _legend(planned: PlannedModel) -> str:
    dry = any(plan.dry for plan in planned.plans)
    compute = "~ by formula, else from llama.cpp's dry load" if dry else "compute by formula"
    return f"Weights and KV are exact, {compute}; tokens/s are a guess (nine of ten) until measured here."


def _table(cells: Sequence[Sequence[str]]) -> list[str]:
    """Columns aligned: the first texts to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines: list[str] = []
    for row in cells:
        parts = [
            cell.ljust(width) if column == 0 or column == len(row) - 1 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
    return lines
