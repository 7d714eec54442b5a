"""What of a model that is still on the hub would fit here, and which of its quantisations to take."""

import tempfile
from collections.abc import Sequence

import msgspec

from offtui.engine import prober
from offtui.engine.prober import Leash
from offtui.gguf.header import Header
from offtui.hub.client import HubClient
from offtui.hub.names import Offer
from offtui.hub.wire import Failed, GetHeaders, Headers, HubFailure
from offtui.models.fitting import Fitting, Here, fitting_of
from offtui.store.catalogue import Catalogue
from offtui.units import gib, size_text

QUICK = 10.0
"""Tokens per second that nobody calls slow: reading speed and some."""
GOOD_BITS = 4.2
"""Bits per weight from which quantisations lose little."""
PLENTY_BITS = 9.0
"""Bits per weight above which nothing is gained any more."""


class Planned(msgspec.Struct, frozen=True):
    """An offer with its plan; or why there is none."""

    offer: Offer
    fitting: Fitting | None = None
    n_params: int = 0
    failure: HubFailure | None = None

    @property
    def bits(self) -> float:
        """Per weight; 0 unknown."""
        return self.offer.bytes * 8 / self.n_params if self.n_params else 0.0


def header_from_afar(
    client: HubClient, repo: str, commit: str, offer: Offer, catalogue: Catalogue, leash: Leash | None = None
) -> Header | HubFailure:
    """The header of an offer: kept from before by its hashes, or read from the hub by ranges."""
    key = "hub\n" + "\n".join(file.etag or f"{commit}/{file.name}" for file in offer.files)
    kept = catalogue.header(key)
    if kept is not None:
        return kept
    with tempfile.TemporaryDirectory(prefix="offtui-") as folder:
        ask = GetHeaders(id=client.next_id(), repo=repo, commit=commit, files=offer.files, folder=folder)
        answer = client.call(ask)
        if isinstance(answer, Failed):
            return answer.failure
        if not isinstance(answer, Headers) or not answer.paths:
            return HubFailure("internal", "The hub's process answered something else.")
        (reply,) = prober.read_headers([answer.paths[0]], leash=leash)
    if reply.header is None:
        why = reply.failure.message.removeprefix(answer.paths[0]).strip() if reply.failure else "is broken."
        return HubFailure("bad_answer", f"{offer.name} {why}")
    header = msgspec.structs.replace(reply.header, path=offer.files[0].name, file_bytes=offer.bytes)
    catalogue.keep_header(key, header)
    return header


def plan_offer(
    client: HubClient,
    repo: str,
    commit: str,
    offer: Offer,
    here: Here,
    catalogue: Catalogue,
    leash: Leash | None = None,
) -> Planned:
    """The plan of one offer for this machine."""
    if offer.missing:
        return Planned(offer, failure=HubFailure("not_found", f"The repository lacks {offer.missing} of its parts."))
    header = header_from_afar(client, repo, commit, offer, catalogue, leash)
    if isinstance(header, HubFailure):
        return Planned(offer, failure=header)
    if header.kind == "unknown":
        why = HubFailure("unsupported", f"Unknown architecture {header.arch}: this llama.cpp has no code for it.")
        return Planned(offer, n_params=header.n_params, failure=why)
    if header.kind != "model":
        return Planned(offer, n_params=header.n_params)
    return Planned(offer, fitting_of(header, here), header.n_params)


def best(planned: Sequence[Planned]) -> tuple[Planned, str] | None:
    """The offer to take, and why in one sentence; ``None`` where none runs here.

    The most precise one whose layers all fit the devices; where none does, the most precise one that is still quick, or
    the quickest that loses little.
    """
    running = [plan for plan in planned if plan.fitting is not None and plan.fitting.is_good]
    sensible = [plan for plan in running if plan.bits <= PLENTY_BITS] or running
    if not sensible:
        return None
    on_device = [plan for plan in sensible if (fit := plan.fitting) and fit.has_device and fit.n_gpu_layers == fit.most]
    good = [plan for plan in on_device if plan.bits >= GOOD_BITS]
    if good:
        plan = max(good, key=lambda one: one.bits)
        return plan, f"the most precise of which all layers fit the GPU ({size_text(_fit(plan).vram)})"
    quick = [plan for plan in sensible if _fit(plan).tps >= QUICK and plan.bits >= GOOD_BITS]
    if quick:
        plan = max(quick, key=lambda one: one.bits)
        return plan, f"the most precise that is quick here ({_fit(plan).speed})"
    if on_device:
        plan = max(on_device, key=lambda one: one.bits)
        return plan, f"the most precise of which all layers fit the GPU ({size_text(_fit(plan).vram)})"
    precise = [plan for plan in sensible if plan.bits >= GOOD_BITS]
    plan = max(precise or sensible, key=lambda one: _fit(one).tps)
    return plan, f"the quickest that loses little precision ({_fit(plan).speed})" if precise else "the quickest here"


def none_fits(planned: Sequence[Planned], here: Here) -> str:
    """Why none of them is the best."""
    needs = [plan.fitting.total for plan in planned if plan.fitting is not None]
    if not needs:
        why = {plan.failure.message for plan in planned if plan.failure and plan.failure.kind == "unsupported"}
        return why.pop() if len(why) == 1 else "None of them could be planned."
    free = gib(here.ram_available)
    return f"None fits this machine: the smallest takes {size_text(min(needs))}, and {free} GiB of RAM are free."


def _fit(plan: Planned) -> Fitting:
    assert plan.fitting is not None
    return plan.fitting
