"""What the dial says of where it points: pure functions."""

from textual.content import Content

from offtui.engine.state import SessionState
from offtui.protocol.facts import LayerCount
from offtui.protocol.spec import LoadSpec, Placement
from offtui.text import clean_line
from offtui.ui import wording

_KEPT: dict[Placement, str] = {"layers": "", "ffn": "FFN in RAM", "experts": "experts in RAM"}


def title(placement: Placement, studied: str) -> str:
    """Of the pane: what is turned, and of which model where it is not the one that is up."""
    parts = ["Layers", *(part for part in (_KEPT[placement], studied) if part)]
    return f" {' · '.join(parts)} "


def studied(study: LoadSpec | None) -> str:
    """The name of a model that is only studied."""
    return "" if study is None else wording.file_name(study.model)


def study_line(draft: int | None, most: int | None, trouble: str) -> Content:
    """The number of a model that is not loaded; what is wrong with it is said below."""
    if trouble:
        return Content.styled("no plan", "$error")
    if most is None or draft is None:
        return Content.styled("planning…", "$quiet")
    return Content.assemble((f"{draft}", "bold $accent"), f" of {most}", ("   not loaded", "$quiet"))


def loading_line(state: SessionState, layers: LayerCount) -> Content:
    """The number that is being loaded."""
    asked = state.wanted.n_gpu_layers if state.wanted else None
    goal = "as many as fit" if asked is None else f"{asked} of {layers.max}"
    return Content.assemble("loading with ", (goal, "bold $primary"), " · ", wording.step_text(state.progress))


def draft_line(here: int, draft: int, most: int) -> Content:
    """From what is loaded to where the dial points."""
    return Content.assemble(f"{here} → ", (f"{draft}", "bold $accent"), f" of {most}", ("   not loaded yet", "$quiet"))


def loaded_line(layers: LayerCount) -> Content:
    """What is loaded."""
    tail = "" if layers.asked == layers.got else f", asked {layers.asked}"
    return Content.assemble((f"{layers.got}", "bold $primary"), f" of {layers.max} on the device{tail}")


def meaning(layers: int, most: int, placement: Placement) -> str:
    """Which layers a number stands for."""
    if layers == 0:
        return "0 = everything in RAM"
    if layers >= most:
        return f"{most} = output + all {most - 1} blocks"
    whole = "output layer only" if layers == 1 else f"output + last {layers - 1} of {most - 1} blocks"
    if placement == "layers":
        return f"{layers} = {whole}"
    kept = "feed-forward matrices" if placement == "ffn" else "experts"
    return f"{layers} whole; the other {most - layers} but for their {kept}"


def why_none(state: SessionState) -> str:
    """Why there is nothing to turn."""
    notices = state.loaded.notices if state.loaded else ()
    told = next((clean_line(notice) for notice in notices if "no gpu device" in notice.lower()), None)
    return told or f"{wording.no_device_text(state)}; offtui doctor says why."
