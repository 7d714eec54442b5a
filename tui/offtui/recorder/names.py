"""What a model is called, for people."""

from pathlib import PurePath

from offtui.engine.state import SessionState
from offtui.text import clean_line


def model_name(state: SessionState) -> str:
    """The model that is up, else the one that is wanted; ``""`` where there is neither."""
    if state.loaded is not None:
        model = state.loaded.model
        name = clean_line(model.name) or file_name(model.path)
        return f"{name} {model.quant}" if model.quant and model.quant.lower() not in name.lower() else name
    return file_name(state.wanted.model) if state.wanted is not None else ""


def file_name(path: str) -> str:
    """The name of a model file without folder and suffix, fit to show."""
    return clean_line(PurePath(path).name.removesuffix(".gguf"), 80)
