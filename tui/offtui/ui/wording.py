"""What the screen says about a session, as text: pure functions of its state."""

import time
from collections.abc import Collection

from offtui.engine.state import Progress, SessionState
from offtui.protocol.facts import Failure
from offtui.protocol.spec import LoadSpec, Strategy
from offtui.recorder.names import file_name as file_name
from offtui.recorder.names import model_name as model_name
from offtui.ui.widgets.strip import Split
from offtui.units import UNKNOWN

_STEPS = {
    "devices": "looking for devices",
    "header": "reading the header",
    "plan": "planning the split",
    "weights": "weights",
    "context": "making the context",
    "warmup": "warming up",
}


def step_text(progress: Progress | None) -> str:
    """``weights 43 %``, ``making the context``; before the first report ``starting``."""
    if progress is None:
        return "starting"
    text = _STEPS[progress.step]
    return f"{text} {progress.fraction * 100:.0f} %" if progress.step == "weights" else text


def wanted_name(state: SessionState) -> str:
    """The file that is wanted."""
    return file_name(state.wanted.model) if state.wanted is not None else ""


def layers_text(state: SessionState, draft: Split | None = None) -> str:
    """``28/37 layers``; with a draft ``28→30/37 layers``; where less was got than asked ``4/37 layers (asked 8)``.

    With another placement than whole layers ``28/37 layers, ffn of 9 in RAM``.
    """
    if state.loaded is None:
        return f"{UNKNOWN} layers"
    layers, placed = state.loaded.layers, state.loaded.spec.placement
    if draft is not None and (draft.layers, draft.placement) != (layers.got, placed):
        turned = f"{layers.got}→{draft.layers}" if draft.layers != layers.got else f"{draft.layers}"
        return f"{turned}/{layers.max} layers{_kept(draft.layers, layers.max, draft.placement)}"
    asked = f" (asked {layers.asked})" if layers.asked != layers.got else ""
    return f"{layers.got}/{layers.max} layers{_kept(layers.got, layers.max, placed)}{asked}"


def _kept(layers: int, most: int, placement: Strategy) -> str:
    """What of the other layers stays in RAM."""
    return f", {placement} of {most - layers} in RAM" if placement in ("ffn", "experts") and 0 < layers < most else ""


def no_device_text(state: SessionState) -> str:
    """The sentence for a machine on which nothing can be offloaded."""
    count = f"of {state.loaded.layers.max} layers " if state.loaded else "layers "
    return f"no GPU device: 0 {count}can be offloaded"


_SETTINGS = {"n_ctx": "ctx", "n_ubatch": "ubatch", "n_threads": "threads", "type_k": "K", "type_v": "V"}


def settings_text(spec: LoadSpec, names: Collection[str]) -> str:
    """``5 layers · ctx 4096 · K q8_0``: these fields of a spec."""
    parts: list[str] = []
    if "n_gpu_layers" in names:
        parts.append("layers auto" if spec.n_gpu_layers is None else f"{spec.n_gpu_layers} layers")
    if "placement" in names:
        parts.append(f"placement {spec.placement}")
    for name, word in _SETTINGS.items():
        if name in names:
            value = getattr(spec, name)
            parts.append(f"{word} {'auto' if value is None else value}")
    if "flash_attn" in names:
        parts.append(f"flash attention {spec.flash_attn}")
    if "offload_kqv" in names:
        parts.append("KV cache in RAM" if not spec.offload_kqv else "KV cache on the device")
    if "on_cpu" in names:
        parts.append("some tensors in RAM" if spec.on_cpu else "no tensors kept in RAM")
    return " · ".join(parts)


def when_text(then: float, now: float) -> str:
    """When something was, as short as it can be told: ``14:03``, ``yesterday``, ``3 May``, ``3 May 2024``."""
    day, today = time.localtime(then), time.localtime(now)
    if day[:3] == today[:3]:
        return time.strftime("%H:%M", day)
    if day[:3] == time.localtime(now - 86400)[:3]:
        return "yesterday"
    date = f"{day.tm_mday} {time.strftime('%b', day)}"
    return date if day.tm_year == today.tm_year else f"{date} {day.tm_year}"


def failure_lines(failure: Failure) -> list[str]:
    """Message, advice and evidence, each where it is there."""
    return [part for part in (failure.message, failure.advice, failure.evidence) if part]
