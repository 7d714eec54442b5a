"""``config.toml`` in the XDG config folder: read, checked, never written by the app."""

from pathlib import Path

import msgspec

from offtui import paths
from offtui.errors import UsageError


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting with its default; an absent file is all defaults."""

    models: tuple[str, ...] = ()
    """Folders searched for GGUF files, besides the caches of Hugging Face and LM Studio."""
    model: str | None = None
    """The model that ``offtui`` opens with; else the built-in guide."""
    n_gpu_layers: int | None = None
    """Layers offloaded at the start; absent: what the plan says fits."""
    n_ctx: int | None = None
    n_threads: int | None = None
    rpc: tuple[str, ...] = ()
    """RPC devices, ``host:port`` each."""
    theme: str = "offtui"
    graph: str = "braille"
    """History lines: ``braille``, ``block`` or ``ascii``."""
    system_prompt: str = ""
    keys: dict[str, str] = {}
    """Key bindings by id: ``"dial.more" = "ctrl+up"``; ``"none"`` unbinds."""


def load(path: Path | None = None) -> Config:
    """The settings of ``path``, or of the user's ``config.toml``; all defaults where there is none.

    Raises:
        UsageError: the file cannot be read or has a mistake; the sentence names file and field.
    """
    file = path or paths.config_dir() / "config.toml"
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        if path is not None:
            raise UsageError(f"The config file {file} does not exist.") from None
        return Config()
    except OSError as error:
        raise UsageError(f"The config file {file} cannot be read: {error.strerror}.") from error
    try:
        return msgspec.toml.decode(text, type=Config)
    except (msgspec.MsgspecError, ValueError) as error:
        raise UsageError(f"The config file {file} has a mistake: {error}.") from error
