"""``config.toml`` in the XDG config folder: read, checked, never written by the app."""

from pathlib import Path
from typing import Literal

import msgspec

from offtui import paths
from offtui.errors import UsageError
from offtui.text import clean_line
from offtui.units import parse_size

GRAPHS = ("braille", "block", "ascii")
MANY = 2**31 - 1  # llama.cpp counts in 32 bits
MANY_THREADS = 1024


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting with its default; an absent file is all defaults."""

    models: tuple[str, ...] = ()
    """Folders searched for GGUF files, besides the caches of Hugging Face and LM Studio."""
    model: str | None = None
    """The model that ``offtui`` opens with; else the built-in guide."""
    n_gpu_layers: int | None = None
    """Layers offloaded at the start; absent: what the plan says fits."""
    placement: Literal["layers", "ffn", "experts", "best"] = "layers"
    """What devices get of the layers that do not lie there wholly: ``layers``, ``ffn``, ``experts`` or ``best``."""
    vram_margin: str | None = None
    """Memory to leave free on each device, ``"512MiB"``; absent: 512 MiB, on small devices a sixteenth."""
    vram_overhead: str | None = None
    """Memory that a backend takes of each device outside its buffers; absent: learned from loads."""
    n_ctx: int | None = None
    n_threads: int | None = None
    vram_budget: str = ""
    """Of each device, ``"8GiB"``; empty: what it has."""
    rpc: tuple[str, ...] = ()
    """RPC devices, ``host:port`` each."""
    theme: str = "offtui"
    graph: str = "braille"
    """History lines: ``braille``, ``block`` or ``ascii``."""
    system_prompt: str = ""
    when_full: Literal["stop", "drop", "larger"] = "stop"
    """What becomes of a full context: the answer stops, the oldest turns are left out, or a larger one is loaded."""
    notify: Literal["auto", "osc777", "osc9", "bel", "none"] = "auto"
    """How a terminal that is not looked at is told that an answer is there."""
    keys: dict[str, str] = {}
    """Key bindings by id: ``"dial.more" = "ctrl+up"``; ``"none"`` unbinds."""

    @property
    def vram_margin_bytes(self) -> int | None:
        """``vram_margin`` in bytes."""
        return None if self.vram_margin is None else parse_size(self.vram_margin)

    @property
    def vram_overhead_bytes(self) -> int | None:
        """``vram_overhead`` in bytes."""
        return None if self.vram_overhead is None else parse_size(self.vram_overhead)


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
        config = msgspec.toml.decode(text, type=Config)
    except (msgspec.MsgspecError, ValueError) as error:
        raise UsageError(f"The config file {file} has a mistake: {error}.") from error
    if mistake := _mistake(config):
        raise UsageError(f"The config file {file} has a mistake: {mistake}.")
    return config


def _mistake(config: Config) -> str:
    """The first setting that cannot be meant; the screen and the commands check themes, keys and addresses."""
    if config.graph not in GRAPHS:
        return f"graph is one of {', '.join(GRAPHS)}, not {clean_line(config.graph, 40)!r}"
    for key, value, low, high in (
        ("n_gpu_layers", config.n_gpu_layers, 0, MANY),
        ("n_ctx", config.n_ctx, 1, MANY),
        ("n_threads", config.n_threads, 1, MANY_THREADS),
    ):
        if value is not None and not low <= value <= high:
            return f"{key} is a whole number {low}…{high}, not {value}"
    for key, size in (("vram_margin", config.vram_margin), ("vram_overhead", config.vram_overhead)):
        try:
            parse_size(size or "0")
        except UsageError:
            return f'{key} is a size such as "512MiB", not {clean_line(size or "", 40)!r}'
    return ""
