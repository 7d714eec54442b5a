"""``offtui plan``: what every offload of a model would cost and bring, without loading it."""

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from typing import Final, get_args

from offtui import config
from offtui.cli.commands import Commands
from offtui.cli.exits import EXIT_CODES, complain, report
from offtui.cli.options import argument_type, options_from
from offtui.cli.plan_command import PROGRAMS, command_line
from offtui.cli.plan_json import encode, models_json, plans_json
from offtui.cli.plan_model import PlannedModel
from offtui.cli.plan_place import Place, best_ram, given_speed, here, speeds
from offtui.cli.plan_text import WIDTH, models_text, plans_text
from offtui.engine import prober
from offtui.errors import UsageError
from offtui.gguf.header import Header
from offtui.memory import ram_available
from offtui.monitor.bandwidth import ram_bandwidth
from offtui.options import Options, parse_endpoint
from offtui.plan import target as targets
from offtui.plan.advise import advise
from offtui.plan.choose import MARGIN
from offtui.plan.contradictions import contradiction
from offtui.plan.probe import DryPoint, DryRequest
from offtui.plan.report import Plan, make_plan, points_to_try, with_dry_loads, with_measured
from offtui.plan.settings import Settings
from offtui.plan.speed import Line
from offtui.plan.table import Model
from offtui.protocol.facts import Failure
from offtui.protocol.spec import CacheType, LoadSpec, Strategy
from offtui.units import parse_size
from offtui.worker.threads import default_threads

N_PAST: Final = 512
"""Tokens in the cache for which the speed is predicted."""

_NO_MODEL: Final = {
    "mmproj": "is a projector for images and no model of its own",
    "lora": "is a LoRA adapter and no model of its own",
    "vocabulary": "is a vocabulary without weights",
    "unsupported": "is no language model that llama.cpp can load, or does not say how many blocks it has",
}


def add_parser(commands: Commands) -> None:
    """Add ``plan`` to the ``offtui`` command."""
    parser = commands.add(
        "plan",
        run,
        help="say what every offload of a model costs and brings, without loading it",
        description="What every number of offloaded layers costs in VRAM and RAM and brings in tokens per second, on "
        "this machine or on a card that is not here. Weights and KV cache are exact; speeds are guesses, so bands.",
    )
    add = parser.add_argument
    add("models", metavar="MODEL", nargs="*", help="GGUF files; several only with --table")
    add(
        "--vram",
        metavar="SIZE",
        action="append",
        default=[],
        help="plan for a card with this memory (8GiB; 24GiB+24GiB for two); may be repeated to compare",
    )
    add(
        "--card",
        metavar="NAME",
        action="append",
        default=[],
        help='plan for this card ("RTX 4060"; "RTX 3090+RTX 3090" for two); may be repeated to compare',
    )
    add(
        "--rpc",
        type=argument_type(parse_endpoint),
        metavar="HOST:PORT",
        action="append",
        default=argparse.SUPPRESS,
        help="count the device that `offtui device` serves there; may be repeated",
    )
    add("--ctx", type=argument_type(_count), metavar="N", default=argparse.SUPPRESS, help="tokens of context")
    add("--ubatch", type=argument_type(_count), metavar="N", default=512, help="n_ubatch (default 512)")
    types = get_args(CacheType)
    add("--type-k", choices=types, metavar="T", default="f16", help=f"type of the K cache: {', '.join(types)}")
    add("--type-v", choices=types, metavar="T", default="f16", help="type of the V cache")
    add("--flash-attn", choices=("on", "off", "auto"), default="auto", help="flash attention (default auto)")
    add(
        "--placement",
        choices=get_args(Strategy),
        default="layers",
        help="what stays in RAM: whole layers, their feed-forward matrices, their experts, or what is fastest",
    )
    add(
        "--margin",
        type=argument_type(parse_size),
        metavar="SIZE",
        default=MARGIN,
        help="memory to leave free on each device (default 512MiB)",
    )
    add(
        "--measured",
        type=argument_type(given_speed),
        metavar="LAYERS=TPS",
        action="append",
        default=[],
        help="tokens per second measured there with so many layers (16=4.24): the others are predicted from it; may "
        "be repeated",
    )
    add(
        "--probe",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="have llama.cpp itself plan the points that matter (default: where the devices are here)",
    )
    add("--table", action="store_true", help="only the choices, for several models and cards")
    add("--all", action="store_true", help="print the row of every layer count")
    add("--json", action="store_true", help="write one JSON object")
    add("--as", dest="program", choices=PROGRAMS, help="print the command that loads it so in another program")


def run(arguments: argparse.Namespace) -> int:
    """Plan as the command line says; the exit code."""
    options = options_from(arguments, config.load())
    paths: list[str] = arguments.models or [options.load_spec().model]
    if len(paths) > 1 and not arguments.table:
        raise UsageError(f"{len(paths)} models are given; plan one, or give --table to compare them.")
    if arguments.flash_attn == "off" and arguments.type_v not in ("f32", "f16", "bf16"):
        raise UsageError(f"A V cache of type {arguments.type_v} needs flash attention; leave --flash-attn off out.")
    found = _places(arguments, options)
    if isinstance(found, Failure):
        return report(found)
    planned: list[PlannedModel] = []
    failures: list[Failure] = []
    for reply in prober.read_headers(paths):
        failure = reply.failure or (reply.header and _no_model(reply.header))
        if failure:
            failures.append(failure)
        elif reply.header is not None:
            planned.append(_plan(reply.header, arguments, options, found))
    for failure in failures:
        complain(f"{failure.message} {failure.advice}")
    if planned:
        _show(planned, arguments)
        return 0
    # a file that kills or stalls its reader cannot be loaded either
    return EXIT_CODES.get(failures[0].kind, 3) if failures else 1


def _places(arguments: argparse.Namespace, options: Options) -> list[Place] | Failure:
    """What to plan for: the cards asked for, else this machine."""
    cpu = best_ram(ram_bandwidth())
    margin: int = arguments.margin
    given = tuple(arguments.measured)
    found = [targets.of_size(size, margin=margin, cpu=cpu) for size in arguments.vram]
    found += [targets.of_card(name, margin=margin, cpu=cpu) for name in arguments.card]
    if given and (len(found) > 1 or len(arguments.models) > 1):
        raise UsageError("--measured is of one model on one card; name no others beside it.")
    if found:
        if arguments.probe:
            raise UsageError("--probe asks llama.cpp about devices that are here; leave out --vram and --card.")
        return [Place(target, given=given) for target in found]
    reply = prober.devices(options.rpc)
    if reply.failure is not None:
        return reply.failure
    n_threads = options.config.n_threads or default_threads()
    return [here(reply.devices, n_threads, margin=margin, ram=cpu)._replace(given=given)]


def _no_model(header: Header) -> Failure | None:
    reason = _NO_MODEL.get(header.kind)
    if reason is not None:
        return Failure("unsupported", f"{header.path} {reason}.", advice="Name a model.")
    wrong = contradiction(header)
    if wrong is not None:
        return Failure("unsupported", f"{header.path} contradicts itself: {wrong}.", advice="Download it again.")
    return None


def _plan(header: Header, arguments: argparse.Namespace, options: Options, found: Sequence[Place]) -> PlannedModel:
    spec = LoadSpec(
        model=header.path,
        n_ctx=options.n_ctx,
        n_ubatch=arguments.ubatch,
        n_batch=max(2048, arguments.ubatch),
        type_k=arguments.type_k,
        type_v=arguments.type_v,
        flash_attn=arguments.flash_attn,
        rpc=options.rpc,
    )
    settings, model = Settings.of(spec, header), Model.of(header)
    notes: list[str] = []
    if header.kind == "unknown":
        notes.append(f"The installed llama.cpp does not know the architecture {header.arch} and cannot load this.")
    if not model.geometry.known:
        notes.append(f"The architecture {header.arch} is new here: its weights are exact, cache and compute a guess.")
    plans: list[Plan] = []
    lines: list[Line] = []
    for place in found:
        target = place.target
        line, measured = speeds(place, header, model, spec, settings, N_PAST)
        ram = ram_available() if target.here else None
        plan = make_plan(model, settings, target, line, strategy=arguments.placement, ram_available=ram, n_past=N_PAST)
        probe = target.here and bool(target.devices) if arguments.probe is None else arguments.probe
        if probe and header.kind == "model" and plan.table.placement == "layers":
            points = tuple(DryPoint(point) for point in points_to_try(plan))
            results = prober.dry_load(DryRequest(_with_context(spec, settings), points))
            failure = next((result.failure for result in results if result.failure), None)
            if failure is not None:
                notes.append(f"llama.cpp's own plan is missing: {failure.message}")
            plan = with_dry_loads(plan, results, settings, line, ram, N_PAST)
        plans.append(with_measured(plan, measured))
        lines.append(line)
    advice = advise(model, settings, plans[0], lines[0], n_past=N_PAST)
    return PlannedModel(header, spec, settings, tuple(plans), advice, tuple(notes))


def _with_context(spec: LoadSpec, settings: Settings) -> LoadSpec:
    return LoadSpec(
        model=spec.model,
        n_ctx=settings.n_ctx,
        n_batch=spec.n_batch,
        n_ubatch=spec.n_ubatch,
        type_k=spec.type_k,
        type_v=spec.type_v,
        flash_attn=spec.flash_attn,
        rpc=spec.rpc,
    )


def _show(planned: Sequence[PlannedModel], arguments: argparse.Namespace) -> None:
    out = sys.stdout
    if arguments.json:
        value = models_json(planned) if arguments.table else plans_json(planned[0])
        out.write(encode(value) + "\n")
    elif arguments.program:
        for model in planned:
            for plan in model.plans:
                out.write(command_line(arguments.program, model.header, model.settings, plan, model.spec.rpc) + "\n")
    elif arguments.table:
        out.write(models_text(planned, width=shutil.get_terminal_size((WIDTH, 24)).columns))
    else:
        out.write(plans_text(planned[0], every_row=arguments.all))
    out.flush()


def _count(text: str) -> int:
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII) or not 0 < int(text) < 2**31:
        raise UsageError(f"{text!r} is not a number of tokens; give 1 or more")
    return int(text)
