"""What would help: a smaller context, a quantised cache, another placement; with what each frees and brings."""

import msgspec

from offtui.plan.report import Plan, make_plan
from offtui.plan.settings import CONTEXT_STEP, Settings, pad
from offtui.plan.speed import Line, rate, work
from offtui.plan.table import Model
from offtui.protocol.spec import Strategy
from offtui.units import size_text

WORTH = 1.05
"""Times the tokens per second from which a change is worth saying."""
SMALLEST_SHARE = 0.4
"""Of a file's size that another quantisation may have and still be worth its answers."""
SMALLEST_CONTEXT = 2048
"""Tokens; nothing shorter is advised."""


class Advice(msgspec.Struct, frozen=True):
    """One change and what it does."""

    what: str
    """``"n_ctx 4096"``, ``"KV cache in q8_0"``."""
    frees: int
    """Bytes of cache or weights that are needed no more; 0 for a placement."""
    tokens_per_s: float
    """Predicted with it."""
    times: float
    """Of the tokens per second without it."""
    n_gpu_layers: int
    """Layers wholly on devices."""

    def __str__(self) -> str:
        freed = f"frees {size_text(self.frees)}, " if self.frees else ""
        layers = f"{self.n_gpu_layers} layer{'s' if self.n_gpu_layers != 1 else ''}"
        if self.times < WORTH:  # said because it fits, where the plan does not
            return f"{self.what}: {freed}{layers}"
        times = f"{self.times:.1f}" if self.times < 10 else f"{self.times:.0f}"
        return f"{self.what}: {freed}{layers}, about {times}× the tokens/s"


def advise(
    model: Model, settings: Settings, plan: Plan, line: Line, *, ram_available: int | None = None, n_past: int = 512
) -> tuple[Advice, ...]:
    """The changes that promise at least ``WORTH`` times the speed, best first; none where all fits."""
    if not plan.target.devices or (plan.choice.fits and plan.choice.row == plan.table.rows[-1]):
        return ()
    cache = plan.choice.row.vram.kv + plan.choice.row.ram.kv
    tries: list[tuple[str, Settings, Strategy]] = []
    shorter = pad(settings.n_ctx // 2, CONTEXT_STEP)
    if shorter >= SMALLEST_CONTEXT:
        changed = msgspec.structs.replace(settings, n_ctx=shorter)
        tries.append((f"a context of {shorter} tokens", changed, plan.table.placement))
    if settings.flash_attn and settings.type_k == settings.type_v == "f16":
        changed = msgspec.structs.replace(settings, type_k="q8_0", type_v="q8_0")
        tries.append(("the KV cache in q8_0", changed, plan.table.placement))
    if not plan.choice.fits and plan.table.placement != "layers":
        tries.append(("whole layers on the GPU, the rest in RAM", settings, "layers"))
    if plan.table.placement != "ffn":
        tries.append(("feed-forward matrices of some layers in RAM, the rest on the GPU", settings, "ffn"))
    if plan.table.placement != "experts" and model.weights.largest_experts:
        tries.append(("experts of some layers in RAM, the rest on the GPU", settings, "experts"))
    smaller = _smaller_file(model, settings, plan, line, n_past)
    found = [smaller] if smaller is not None and smaller.times >= WORTH else []
    for what, changed, strategy in tries:
        other = make_plan(
            model, changed, plan.target, line, strategy=strategy, ram_available=ram_available, n_past=n_past
        )
        times = other.rate.value / plan.rate.value
        row = other.choice.row
        better = times >= WORTH and row.gpu_read > plan.choice.row.gpu_read
        if other.choice.fits and (better or not plan.choice.fits):
            frees = max(cache - row.vram.kv - row.ram.kv, 0)
            found.append(Advice(what, frees, other.rate.value, times, row.n_gpu_layers - row.n_kept))
    return tuple(sorted(found, key=lambda advice: -advice.times))


def _smaller_file(model: Model, settings: Settings, plan: Plan, line: Line, n_past: int) -> Advice | None:
    """The size at which every layer would fit; ``None`` where no quantisation makes a file so small."""
    full = plan.table.rows[-1]
    left = [
        max((have.bytes or 0) - need.kv - need.compute, 0)
        for have, need in zip(plan.choice.budgets, full.devices, strict=True)
    ]
    weights = full.vram.weights
    share = min(sum(left) / weights, 1.0) if weights else 1.0
    if not SMALLEST_SHARE <= share < 1:
        return None
    whole = work(full, plan.table, settings, n_past)
    faster = msgspec.structs.replace(whole, gpu_read=whole.gpu_read - full.gpu_read * (1 - share))
    speed = rate(line, faster).value
    groups = (model.weights.input, model.weights.output, model.weights.per_device, *model.weights.layers)
    size = size_text(round(sum(group.cpu for group in groups) * share))
    frees = round(weights * (1 - share))
    return Advice(
        f"a quantisation of {size} or less", frees, speed, speed / plan.rate.value, plan.table.rows[-1].n_gpu_layers
    )
