"""The JSON of ``offtui plan``. All sizes are bytes, all speeds tokens per second."""

from collections.abc import Sequence
from typing import Any

import msgspec

from offtui.cli.plan_model import PlannedModel
from offtui.gguf.header import Header
from offtui.plan.choose import fits
from offtui.plan.report import Plan
from offtui.plan.speed import Rate
from offtui.plan.table import Bytes, Row, kept_patterns
from offtui.text import clean_line

Json = dict[str, Any]


def encode(value: Json) -> str:
    """One object, indented; lone surrogates of file names are escaped."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def plans_json(planned: PlannedModel) -> Json:
    """One model: the plan of the first target at the top, every target's under ``cards``."""
    cards = [_plan_json(plan) for plan in planned.plans]
    return {
        "model": _model_json(planned.header),
        "spec": _spec_json(planned),
        **cards[0],
        "advice": [
            {
                "what": advice.what,
                "frees": advice.frees,
                "n_gpu_layers": advice.n_gpu_layers,
                "tokens_per_s": _rounded(advice.tokens_per_s),
            }
            for advice in planned.advice
        ],
        "notes": list(planned.notes),
        **({"cards": cards} if len(cards) > 1 else {}),
    }


def models_json(models: Sequence[PlannedModel]) -> Json:
    """Several models on several targets: the choices only."""
    return {
        "models": [
            {
                "model": _model_json(planned.header),
                "spec": _spec_json(planned),
                "notes": list(planned.notes),
                "cards": [
                    {key: value for key, value in _plan_json(plan).items() if key != "rows"} for plan in planned.plans
                ],
            }
            for planned in models
        ]
    }


def _model_json(header: Header) -> Json:
    return {
        "path": header.path.encode("utf-8", "replace").decode(),
        "arch": header.arch,
        "name": header.name,
        "n_layer": header.n_layer,
        "n_ctx_train": header.n_ctx_train,
        "file_bytes": header.file_bytes,
        "quant": header.quant,
        "n_params": header.n_params,
        "kind": header.kind,
    }


def _spec_json(planned: PlannedModel) -> Json:
    spec, settings = planned.spec, planned.settings
    return {
        "n_ctx": settings.ctx_seq,
        "n_batch": spec.n_batch,
        "n_ubatch": spec.n_ubatch,
        "type_k": spec.type_k,
        "type_v": spec.type_v,
        "flash_attn": spec.flash_attn,
        "offload_kqv": spec.offload_kqv,
        "rpc": list(spec.rpc),
    }


def _plan_json(plan: Plan) -> Json:
    choice = plan.choice
    rows = zip(plan.table.rows, plan.rates, strict=True)
    return {
        "card": clean_line(plan.target.name, 200),
        "budget": [
            {"device": have.name, "bytes": have.bytes, "context": have.context, "margin": have.margin}
            for have in choice.budgets
        ],
        "rows": [_row_json(plan, row, rate) for row, rate in rows],
        "choice": choice.n_gpu_layers,
        "fits": choice.fits,
        "fits_ram": choice.fits_ram,
        "why": choice.why,
        "placement": {
            "kind": plan.table.placement,
            "n_layers_kept": choice.row.n_kept,
            "tensors_on_cpu": list(kept_patterns(plan.table.placement, choice.row.n_kept)),
        },
        "tokens_per_s": _rate_json(plan.rate),
        "arithmetic_checked": plan.table.known,
    }


def _row_json(plan: Plan, row: Row, rate: Rate) -> Json:
    value: Json = {
        "n_gpu_layers": row.n_gpu_layers,
        "vram": _bytes_json(row.vram),
        "ram": {**_bytes_json(row.ram), "mapped": row.mapped},
        "fits": fits(row, plan.choice.budgets),
        "tokens_per_s": _rate_json(rate),
        "compute_source": "dry load" if row.n_gpu_layers in plan.dry else "arithmetic",
    }
    if plan.table.placement != "layers":
        value["n_layers_kept"] = row.n_kept
    if len(row.devices) > 1:
        names = [device.name for device in plan.target.devices]
        value["devices"] = [{"name": name, **_bytes_json(have)} for name, have in zip(names, row.devices, strict=True)]
    return value


def _bytes_json(have: Bytes) -> Json:
    return {"weights": have.weights, "kv": have.kv, "compute": have.compute, "total": have.total}


def _rate_json(rate: Rate) -> Json:
    return {
        "low": _rounded(rate.low),
        "value": _rounded(rate.value),
        "high": _rounded(rate.high),
        "source": rate.source,
    }


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
