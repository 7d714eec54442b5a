"""How a model of the library looks: a row for every width, and all there is to say of it."""

from typing import TYPE_CHECKING

from textual.content import Content

from offtui import paths
from offtui.text import clean_line
from offtui.units import UNKNOWN, ago_text, count_text, params_text, rate_text, size_text

if TYPE_CHECKING:
    from offtui.gguf.library import ModelFile
    from offtui.models.entries import Entry

SOURCES = {
    "folder": "folder", "huggingface": "Hugging Face", "lmstudio": "LM Studio", "llama.cpp": "llama.cpp",
    "ollama": "Ollama",
}  # fmt: skip
WIDE = 92
"""Columns from which everything has a place in one line."""
SLIM = 34
"""Columns below which only name and size do."""
_KINDS = {
    "mmproj": "projector for images", "lora": "LoRA adapter", "embedding": "embedding model",
    "vocabulary": "vocabulary only", "unsupported": "no language model",
}  # fmt: skip


def row_height(width: int) -> int:
    """Lines of a row."""
    return 1 if width >= WIDE or width < SLIM else 2


def model_lines(entry: "Entry", width: int, *, up: bool) -> list[Content]:
    """A row: one line where it is wide or slim, else two."""
    if width >= WIDE:
        return [_wide_row(entry, width, up=up)]
    first = model_row(entry, width, up=up)
    if width < SLIM:
        return [first]
    return [first, Content.assemble("  ", second_line(entry).truncate(width - 2, ellipsis=True))]


def model_row(entry: "Entry", width: int, *, up: bool) -> Content:
    """Name at the left, quantisation and size at the right."""
    file = entry.file
    size = size_text(file.bytes)
    tail = f"{entry.quant[:8]:<8}{size:>9}" if width >= SLIM else f"{size:>9}"
    room = max(width - len(tail) - 3, 4)
    shown = _name(entry, room, width >= SLIM)
    return Content.assemble(*_marks(entry, up), shown, " " * (room - shown.cell_length + 1), (tail, _style(entry)))


def second_line(entry: "Entry") -> Content:
    """Parameters, architecture, and what fits; or why it cannot be loaded."""
    trouble = why_not(entry)
    if trouble:
        return Content.styled(trouble, "$quiet" if entry.kind in _KINDS else "$error")
    facts = entry.facts
    if facts is None:
        return Content.styled("…", "$quiet")
    about = " ".join(part for part in (params_text(facts.n_params), facts.arch) if part != UNKNOWN)
    return Content.assemble((f"{about}  ", "$quiet"), _fit(entry))


def _wide_row(entry: "Entry", width: int, *, up: bool) -> Content:
    facts = entry.facts
    about = [
        (params_text(facts.n_params if facts else None), 7),
        (facts.arch if facts else "", -11),
        (entry.quant, -11),
        (size_text(entry.file.bytes), 9),
        (count_text(facts.n_ctx_train) if facts and facts.n_ctx_train else UNKNOWN, 7),
    ]
    cells = "".join(
        f"{text[: abs(size) - 1]:>{size}}" if size > 0 else f"  {text[: -size - 2]:<{-size - 2}}"
        for text, size in about
    )
    trouble = why_not(entry)
    fit_room = min(40, width - len(cells) - 28)
    style = "$quiet" if entry.kind in _KINDS else "$error"
    fit = (Content.styled(trouble, style) if trouble else _fit(entry)).truncate(fit_room, ellipsis=True)
    room = max(width - len(cells) - fit_room - 5, 8)
    shown = _name(entry, room, True)
    pad = " " * (room - shown.cell_length)
    return Content.assemble(*_marks(entry, up), shown, pad, (cells, _style(entry)), "   ", fit)


def _fit(entry: "Entry") -> Content:
    fitting = entry.fitting
    if fitting is None:
        return Content.styled(f"{rate_text(entry.tps)} t/s last" if entry.tps else "", "$quiet")
    return Content.styled(fitting.line, "$success" if fitting.is_good else "$warning" if fitting.fits else "$error")


def _marks(entry: "Entry", up: bool) -> tuple[tuple[str, str], ...]:
    return (("●" if up else " ", "$success"), ("★" if entry.favourite else " ", "$accent"))


def _style(entry: "Entry") -> str:
    return "$error" if entry.file.missing else "$quiet"


def _name(entry: "Entry", room: int, bare: bool) -> Content:
    name = bare_name(entry.file) if bare else clean_line(entry.file.name)
    style = "" if entry.is_loadable else "$quiet"
    return Content.styled(name, style).truncate(room, ellipsis=True)


def bare_name(file: "ModelFile") -> str:
    """The name without the quantisation at its end, which stands in a column of its own."""
    if file.path == paths.guide_model():
        return "guide (built in)"
    name = clean_line(file.name)
    if file.quant and name.casefold().endswith(file.quant.casefold()):
        return name[: -len(file.quant)].rstrip("-_.: ") or name
    return name


def why_not(entry: "Entry") -> str:
    """Why it cannot be talked with; ``""`` where it can, for all that is known."""
    if entry.file.missing:
        return f"lacks {entry.file.missing} of {entry.file.missing + len(entry.file.parts)} parts"
    if entry.facts is not None and entry.facts.failure:
        return entry.facts.failure
    if entry.facts is not None and entry.kind == "unknown":
        return f"this llama.cpp does not know {entry.facts.arch}"
    return _KINDS.get(entry.kind, "")


def details(entry: "Entry", now: float, width: int) -> list[Content]:
    """Where it lies, what it is, when it was used, what belongs to it, in rows of at most ``width`` cells."""
    file, facts = entry.file, entry.facts
    rows = [("file", clean_line(str(file.path)))]
    parts = f" in {len(file.parts)} parts" if len(file.parts) > 1 else ""
    source = SOURCES.get(file.source, file.source) + (f" · {clean_line(file.repo)}" if file.repo else "")
    rows.append(("size", f"{size_text(file.bytes)}{parts} · {source}"))
    if facts is not None and not facts.failure:
        layers = f"{facts.n_layer + 1} layers" if facts.n_layer else "no layers"
        context = f"context {count_text(facts.n_ctx_train)}" if facts.n_ctx_train else "context unknown"
        template = "chat template" if facts.has_template else "no chat template"
        about = f"{params_text(facts.n_params)} {facts.arch}"
        belongs = entry.kind in ("mmproj", "lora")
        rows.append(("model", about if belongs else f"{about} · {layers} · {context} · {template}"))
        if facts.license:
            rows.append(("terms", facts.license))
    if trouble := why_not(entry):
        rows.append(("but", trouble))
    if entry.fitting is not None:
        rows.append(("here", f"{entry.fitting.line}. {entry.fitting.why}"))
    used = [f"used {ago_text(now - entry.used)}"] if entry.used else []
    used += [f"{rate_text(entry.tps)} t/s measured last"] if entry.tps else []
    if used:
        rows.append(("last", " · ".join(used)))
    if file.mmproj is not None:
        rows.append(("with", f"projector {clean_line(file.mmproj.name)}"))
    rows += [("with", f"LoRA {clean_line(lora.name)}") for lora in file.loras[:3]]
    lines: list[Content] = []
    for key, value in rows:
        for row in Content(value).wrap(max(width - 6, 10)):
            lines.append(Content.assemble((f"{key:<6}", "$quiet"), row.rstrip()))
            key = ""
    return lines
