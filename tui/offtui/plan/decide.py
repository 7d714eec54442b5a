"""The choice of a load: placement and layers, for what a spec leaves open, on the devices that are here."""

from collections.abc import Sequence

import msgspec

from offtui.gguf.header import Header
from offtui.plan.choose import Budget, Choice, budgets, fits
from offtui.plan.placement import Ladder, choose_on, ladder, placements_of
from offtui.plan.settings import Settings
from offtui.plan.speed import fit, rates
from offtui.plan.table import Model, Table
from offtui.plan.target import of_machine, offload_devices
from offtui.protocol.facts import DeviceFacts, Learned
from offtui.protocol.spec import LoadSpec, Placement


class Decision(msgspec.Struct, frozen=True):
    """What is loaded where a spec leaves it open."""

    placement: Placement
    n_gpu_layers: int
    """Layers wholly on devices."""
    table: Table
    """Of the placement, by the layers wholly on devices."""
    notices: tuple[str, ...] = ()
    """What a person should know: why so many, why another placement than the one asked for."""


_LACKING: dict[str, str] = {"ffn": "dense feed-forward matrices", "experts": "experts"}


def device_budgets(
    facts: Sequence[DeviceFacts], contexts: Sequence[int | None] = (), margin: int | None = None
) -> tuple[Budget, ...]:
    """What may be used of each device that layers can be offloaded to.

    Args:
        facts: every device.
        contexts: bytes each of those devices' backends takes outside its buffers, where it was learned; in their order.
        margin: bytes to leave free on each; ``None``: the usual.
    """
    devices = offload_devices(facts)
    held = contexts or (None,) * len(devices)
    pairs = zip(devices, held, strict=True)
    if margin is None:
        return tuple(budgets([device], context=context)[0] for device, context in pairs)
    # what a person asks to be left free is left, on small devices too
    found = [budgets([device], margin=0, context=context)[0] for device, context in pairs]
    return tuple(
        Budget(have.name, None, have.context, margin)
        if have.bytes is None
        else Budget(have.name, max(have.bytes - margin, 0), have.context, min(margin, have.bytes))
        for have in found
    )


def learned_contexts(facts: Sequence[DeviceFacts], learned: Learned) -> tuple[int | None, ...]:
    """Of each device that layers can be offloaded to, the bytes its backend takes outside its buffers."""
    described = {fact.name: fact.description for fact in facts}
    found = [learned.contexts.get(described[device.name]) for device in offload_devices(facts)]
    return tuple(have if learned.said is None else learned.said for have in found)


def decide(
    header: Header,
    spec: LoadSpec,
    facts: Sequence[DeviceFacts],
    ram_available: int | None,
    learned: Learned = Learned(),  # noqa: B008 -- frozen
) -> Decision:
    """The placement and the layers of a load.

    Args:
        header: of the model.
        spec: how it will be loaded; what it leaves open is chosen.
        facts: every device, with the memory that is free now.
        ram_available: bytes; ``None`` unknown.
        learned: on this machine.
    """
    model, settings, devices = Model.of(header), Settings.of(spec, header), offload_devices(facts)
    there = placements_of(model)
    notices: list[str] = []
    wanted: tuple[Placement, ...] = there
    if spec.placement != "best":
        wanted = (spec.placement,)
        if spec.placement not in there:
            notices.append(f"This model has no {_LACKING[spec.placement]}: its layers are placed whole.")
            wanted = ("layers",)
    if not devices:
        return Decision("layers", spec.n_gpu_layers or 0, ladder(model, settings, devices, "layers").table)
    budget = device_budgets(facts, learned_contexts(facts, learned), spec.vram_margin)
    line = fit(of_machine(facts, cpu=learned.bandwidth, n_threads=spec.n_threads).machine)
    found: list[tuple[bool, float, Ladder, int, Choice]] = []
    for placement in wanted:
        rungs = ladder(model, settings, devices, placement)
        layers, choice = choose_on(rungs, budget, ram_available)
        does_fit = choice.fits
        if spec.n_gpu_layers is not None:
            layers = min(spec.n_gpu_layers, len(rungs.rows) - 1)
            does_fit = fits(rungs.rows[layers], budget)
        found.append((does_fit, rates(rungs.table, settings, line)[layers].value, rungs, layers, choice))
    # of equals, and where the speeds are guesses, whole layers: what others know best
    _, _, rungs, layers, choice = max(found, key=lambda entry: (entry[0], entry[1]))
    if spec.n_gpu_layers is None:
        notices.append(choice.why)
    return Decision(rungs.placement, layers, rungs.table, tuple(notices))
