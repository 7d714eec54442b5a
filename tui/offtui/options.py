"""What the command line and ``config.toml`` together ask a session to open with."""

import re
from typing import Final

import msgspec

from offtui import paths
from offtui.config import Config
from offtui.errors import UsageError
from offtui.protocol.spec import LoadSpec, Sampling, Strategy

_HOST: Final = re.compile(r"[A-Za-z0-9._-]+")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The command line's options, each already checked and laid over the config's own value."""

    model: str | None = None
    """Path of the GGUF to open with; ``None``: the built-in guide."""
    n_gpu_layers: int | None = None
    """Layers asked; ``None``: what the plan says fits."""
    placement: Strategy = "layers"
    """What devices get of the layers that do not lie there wholly."""
    load: bool = True
    """Whether the model is loaded at once; else the screen opens on its plan."""
    rpc: tuple[str, ...] = ()
    """RPC devices, ``host:port`` each."""
    n_ctx: int | None = None
    """Tokens of context; ``None``: the model's own, at most 8192."""
    vram_budget: int | None = None
    """Bytes that each device counts as having; ``None``: what it has."""
    sampling: Sampling = Sampling()
    chat: str | None = None
    """The chat to go on with: an id or how it begins, ``last``, or ``choose`` for the list; ``None``: a new one."""
    config: Config = Config()
    told: frozenset[str] = frozenset()
    """Fields of ``LoadSpec`` that the command line itself speaks of, be it to leave them open."""

    def load_spec(self) -> LoadSpec:
        """The load that the session opens with."""
        return LoadSpec(
            model=self.model or str(paths.guide_model()),
            n_gpu_layers=self.n_gpu_layers,
            placement=self.placement,
            vram_margin=self.config.vram_margin_bytes,
            n_ctx=self.n_ctx,
            n_threads=self.config.n_threads,
            rpc=self.rpc,
            vram_budget=self.vram_budget,
        )

    def configured(self, model: str) -> LoadSpec:
        """A load of that model as the config alone has it."""
        config = self.config
        return LoadSpec(model=model, n_gpu_layers=config.n_gpu_layers, n_ctx=config.n_ctx, n_threads=config.n_threads)


def parse_endpoint(text: str) -> str:
    """``HOST:PORT`` of an RPC device, as llama.cpp takes it.

    Raises:
        UsageError: the text is not a host and a port.
    """
    host, _, port = text.rpartition(":")
    good_port = re.fullmatch(r"\d{1,5}", port, re.ASCII) and 1 <= int(port) <= 65535
    if not good_port or not _HOST.fullmatch(host):
        raise UsageError(f"{text!r} is not HOST:PORT, for instance 127.0.0.1:50052")
    return text
