"""The text of ``offtui plan``: tables for people."""

from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import wrap

from offtui.cli.plan_model import PlannedModel
from offtui.plan.choose import Budget, fits
from offtui.plan.report import Plan
from offtui.plan.speed import Rate
from offtui.plan.target import size_name
from offtui.planner.view import rough
from offtui.text import clean_line
from offtui.units import GIB, MIB, UNKNOWN, gib, rate_text, size_text

WIDTH = 80
"""Columns within which every line but those of long names stays."""
MAX_ROWS = 18
"""Rows of the table that are printed unless all are wanted."""


def plans_text(planned: PlannedModel, *, every_row: bool) -> str:
    """One model: its table for one target, or the choices where there are several."""
    lines = [*_title(planned), ""]
    if len(planned.plans) == 1:
        plan = planned.plans[0]
        lines += [*_target_lines(plan), "", *_rows(plan, every_row), "", *wrap(plan.choice.why, WIDTH)]
        for advice in planned.advice:
            lines += wrap(f"Perhaps better: {advice}.", WIDTH, subsequent_indent="  ")
        legend = _legend([planned])
        if any(not fits(row, plan.choice.budgets) for row in plan.table.rows):
            legend.insert(0, "▶ the most that fits · × does not fit" if plan.choice.fits else "× does not fit")
    else:
        lines += ["What fits:", *_fitting(planned.plans), "", "What that brings:", *_bringing(planned.plans)]
        legend = _legend([planned])
    lines += ["", *legend, *(line for note in planned.notes for line in wrap(note, WIDTH))]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def models_text(models: Sequence[PlannedModel], *, width: int = WIDTH) -> str:
    """Several models: layers that fit, then tokens per second, on as many targets side by side as ``width`` holds."""
    context = {planned.settings.ctx_seq for planned in models}
    at = f" at a context of {context.pop()}" if len(context) == 1 else ""
    lines = [f"Layers that fit{at}:", *_by_target(models, _share, width, texts=False)]
    lines += ["", "Tokens per second:", *_by_target(models, lambda plan: _rate(plan.rate), width, texts=True)]
    notes = [line for planned in models for note in planned.notes for line in wrap(note, WIDTH)]
    return "\n".join(line.rstrip() for line in [*lines, "", *_legend(models), *notes]) + "\n"


def _by_target(models: Sequence[PlannedModel], cell: Callable[[Plan], str], width: int, *, texts: bool) -> list[str]:
    """A row per model, a column per target; what does not fit beside the others is below them."""
    names = [[_name(planned), size_text(planned.header.file_bytes)] for planned in models]
    columns = [
        [clean_line(first.target.name, 60), *(cell(planned.plans[index]) for planned in models)]
        for index, first in enumerate(models[0].plans)
    ]
    room = width - max(len(name) for name, _ in [["model", ""], *names]) - 2 - max(len(size) for _, size in names)
    lines: list[str] = []
    while columns:
        taken, used = 0, 0
        for column in columns:
            used += 2 + max(map(len, column))
            if taken and used > room:
                break
            taken += 1
        group, columns = columns[:taken], columns[taken:]
        rows = [[*head, *cells] for head, *cells in zip([["model", "size"], *names], *group, strict=True)]
        left = (0, *range(2, taken + 2)) if texts else (0,)
        lines += [*([""] if lines else []), *_table(rows, left=left)]
    return lines


def _title(planned: PlannedModel) -> list[str]:
    header, settings = planned.header, planned.settings
    name = _name(planned)
    parts = [
        header.arch,
        header.quant,
        size_text(header.file_bytes),
        f"{header.n_layer + 1} layers with the output",
        f"context {settings.ctx_seq}",
    ]
    if (settings.type_k, settings.type_v) != ("f16", "f16"):
        parts.append(f"KV {settings.type_k}/{settings.type_v}")
    facts = " · ".join(part for part in parts if part)
    line = f"{name} · {facts}"
    return [line] if len(line) <= WIDTH else [name, facts]


def _name(planned: PlannedModel) -> str:
    return planned.header.name or clean_line(Path(planned.header.path).stem, 60)


def _target_lines(plan: Plan) -> list[str]:
    target = plan.target
    if not target.devices:
        return ["No GPU device: everything is in RAM."]
    names = [device.name for device in target.devices]
    if not target.here and len(names) == 1:  # its name in llama.cpp says nothing
        names = [clean_line(target.name, 200)]
    pairs = zip(names, plan.choice.budgets, target.devices, strict=True)
    lines = [_budget(name, have, device.free, device.total, here=target.here) for name, have, device in pairs]
    return lines if target.here or len(names) == 1 else [clean_line(target.name, 200), *lines]


def _budget(name: str, have: Budget, free: int | None, total: int | None, *, here: bool) -> str:
    if have.bytes is None:
        return f"{name}: its memory is unknown"
    held = f"{_short(have.margin)} margin"
    if have.context:
        held += f", {_short(have.context)} for the backend"
    if here:
        size = f"{gib(free)} of {gib(total)} GiB free, {_short(have.bytes)}"
    elif total is None or name == size_name(total):  # it has said its size
        size = _short(have.bytes)
    else:
        size = f"{gib(have.bytes)} of {gib(total)} GiB"
    return f"{name}: {size} to plan with ({held})"


def _short(size: int) -> str:
    return f"{size / MIB:.0f} MiB" if size < GIB else size_text(size)


def _rows(plan: Plan, every_row: bool) -> list[str]:
    kept = plan.table.placement != "layers"
    chosen = plan.table.rows.index(plan.choice.row)
    count = len(plan.table.rows) if plan.target.devices else 1
    shown = range(count) if every_row else _worth(plan, count, chosen)
    rows = plan.table.rows
    small = max(max(row.vram.total, row.ram.total) for row in rows) < GIB
    unit, size = ("MiB", _mib) if small else ("GiB", _gib)
    cells = [
        ["", "in RAM" if kept else "layers", f"VRAM {unit}", "weights", "KV", "compute", f"RAM {unit}", "tokens/s"]
    ]
    for index in shown:
        row, vram = rows[index], rows[index].vram
        exact = "" if row.n_gpu_layers in plan.dry or not vram.compute else "~"
        fit = fits(row, plan.choice.budgets)
        cells.append(
            [
                "▶" if index == chosen and plan.choice.fits else "" if fit else "×",
                str(row.n_kept if kept else row.n_gpu_layers),
                *map(size, (vram.total, vram.weights, vram.kv)),
                exact + size(vram.compute),
                size(row.ram.total),
                _rate(plan.rates[index]),
            ]
        )
    return _table(cells, left=(0, len(cells[0]) - 1))


def _gib(size: int) -> str:
    return f"{size / GIB:.2f}"


def _mib(size: int) -> str:
    return f"{size / MIB:.1f}"


def _whole_mib(size: int) -> str:
    return f"{size / MIB:.0f}"


def _worth(plan: Plan, count: int, chosen: int) -> list[int]:
    """Rows worth printing: the ends, the choice with its neighbours, what was measured, and some between."""
    step = -(-count // (MAX_ROWS - 6))
    measured = [index for index, rate in enumerate(plan.rates) if rate.source == "measured"]
    wanted = {0, 1, count - 2, count - 1, chosen - 1, chosen, chosen + 1, *range(0, count, step), *measured}
    return sorted(index for index in wanted if 0 <= index < count)


def _fitting(plans: Sequence[Plan]) -> list[str]:
    small = all(row.vram.total < GIB and row.ram.total < GIB for plan in plans for row in (plan.choice.row,))
    unit, size = ("MiB", _whole_mib) if small else ("GiB", gib)
    cells = [["card", "layers", "of the weights", f"VRAM {unit}", f"RAM {unit}"]]
    for plan in plans:
        row = plan.choice.row
        weights = row.vram.weights + row.ram.weights
        budget = size(sum(have.bytes or 0 for have in plan.choice.budgets))
        cells.append(
            [
                plan.target.name,
                _share(plan),
                f"{row.vram.weights / weights:.0%}" if weights else "",
                f"{size(row.vram.total)} of {budget}",
                size(row.ram.total),
            ]
        )
    return _table(cells)


def _bringing(plans: Sequence[Plan]) -> list[str]:
    cells = [["card", "layers", "tokens/s", "all on the CPU", "times"]]
    for plan in plans:
        fast, alone, times = UNKNOWN, UNKNOWN, ""
        if plan.choice.fits:
            fast = _rate(plan.rate)
        if plan.choice.fits and plan.table.placement == "layers":
            alone, times = _rate(plan.rates[0]), f"{rough(plan.rate.value / plan.rates[0].value)}×"
        cells.append([plan.target.name, _share(plan), fast, alone, times])
    return _table(cells, left=(0, 2, 3))


def _share(plan: Plan) -> str:
    choice, most = plan.choice, plan.table.rows[-1].n_gpu_layers
    if not choice.fits:
        return UNKNOWN
    if choice.row.n_kept:
        what = "ffn" if plan.table.placement == "ffn" else "experts"
        return f"{most}, {what} of {choice.row.n_kept} in RAM"
    return f"{choice.n_gpu_layers} of {most}"


def _rate(rate: Rate) -> str:
    """``"~9.2 (7–12)"``; a measured one is its own figure."""
    if rate.source == "measured":
        return f"{rate_text(rate.value)} measured"
    return f"~{rough(rate.value)} ({rough(rate.low)}–{rough(rate.high)})"


def _legend(planned: Sequence[PlannedModel]) -> list[str]:
    plans = [plan for model in planned for plan in model.plans]
    elsewhere = next((plan.target.machine.cpu for plan in plans if not plan.target.here), None)
    dry = any(plan.dry for plan in plans)
    compute = "~ by formula, else from llama.cpp's dry load" if dry else "compute by formula"
    lines = [f"Weights and KV are exact, {compute}."]
    if any(rate.source != "measured" for plan in plans for rate in plan.rates):
        lines.append("Tokens/s are guesses; nine of ten measurements should fall into the band.")
        if elsewhere is not None:
            lines.append(f"The CPU's part is guessed from the RAM of this machine: {elsewhere / 1e9:.0f} GB/s.")
    return lines


def _table(cells: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Columns aligned: texts to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines: list[str] = []
    for row in cells:
        parts = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
    return lines
