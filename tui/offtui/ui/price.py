"""What a change of the load costs whoever makes it, said before: seconds, and what becomes of the conversation."""

from collections.abc import Sequence

from offtui.engine.state import SessionState
from offtui.planner.price import load_seconds
from offtui.protocol.events import Loaded
from offtui.protocol.spec import LoadSpec
from offtui.store.remembered import LoadTime
from offtui.units import count_text


def price_text(state: SessionState, spec: LoadSpec, timed: Sequence[LoadTime], read_rate: float | None = None) -> str:
    """``about 6 s · conversation kept (3.1k tokens)``; empty where nothing is up to begin from.

    Args:
        state: with what is loaded.
        spec: wanted.
        timed: loads of that model.
        read_rate: bytes of a file per second of a load, of other models.
    """
    loaded = state.loaded
    if loaded is None or loaded.spec.model != spec.model or not loaded.ladder:
        return ""
    layers = loaded.layers.got if spec.n_gpu_layers is None else spec.n_gpu_layers
    vram = loaded.ladder[min(max(layers, 0), len(loaded.ladder) - 1)]
    price = f"about {rough_time(load_seconds(timed, layers, vram, loaded.model.file_bytes, read_rate))}"
    if not state.n_past:
        return price
    if keeps_cache(loaded, spec, state.n_past):
        return f"{price} · conversation kept ({count_text(state.n_past)} tokens)"
    again = f"{count_text(state.n_past)} tokens evaluated again"
    rate = state.last_timings.prompt_tps if state.last_timings is not None else None
    return f"{price} · {again}" + (f", about {rough_time(state.n_past / rate)} more" if rate else "")


def keeps_cache(loaded: Loaded, spec: LoadSpec, n_past: int) -> bool:
    """Whether a load of the same model can take over the KV cache of what is up."""
    ours = loaded.spec
    if (spec.type_k, spec.type_v) != (ours.type_k, ours.type_v):
        return False
    if spec.flash_attn != "auto" and (spec.flash_attn == "on") != loaded.flash_attn:
        return False
    return spec.n_ctx is None or n_past < spec.n_ctx


def rough_time(seconds: float) -> str:
    """A time that is a guess: ``0.4 s``, ``6 s``, ``2 min``."""
    if seconds < 0.95:
        return f"{max(seconds, 0.1):.1f} s"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
