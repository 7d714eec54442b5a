"""The options that ``offtui`` and ``offtui ask`` share: declared, checked, and laid over the config."""

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, Never, TypeVar, get_args

from offtui.config import Config
from offtui.errors import UsageError
from offtui.options import Options, parse_endpoint
from offtui.protocol.spec import Sampling, Strategy
from offtui.units import parse_size

_MAX_TOKENS: Final = 2**31 - 1
_MAX_SEED: Final = 2**32 - 1

T = TypeVar("T")


class Parser(argparse.ArgumentParser):
    """Raises ``UsageError`` with one sentence, where argparse prints a usage and exits."""

    def error(self, message: str) -> Never:
        """Called by argparse for bad usage."""
        raise UsageError(f"{message}; see {self.prog} --help".replace("argument ", "", 1))


def add_session_options(parser: argparse.ArgumentParser, *, inherit: bool = False) -> None:
    """Add the options of the model, its load and its sampling.

    Args:
        parser: gets them.
        inherit: for a subcommand, so that an option given before its name is not lost.
    """
    default = argparse.SUPPRESS if inherit else None
    group = parser.add_argument_group("model")
    add = group.add_argument
    add(
        "--model",
        type=argument_type(_path),
        metavar="PATH",
        default=default,
        help="GGUF to load (else the config's, else the built-in guide)",
    )
    add(
        "-ngl",
        "--n-gpu-layers",
        type=argument_type(parse_layers),
        metavar="N|auto",
        default=default,
        help="layers to offload, 0 to one more than the model has; auto: as many as fit",
    )
    add(
        "--placement",
        choices=get_args(Strategy),
        default=default,
        help="of the layers that do not fit: nothing on the device (layers), all but feed-forward matrices (ffn), "
        "all but experts (experts), or what is fastest (best)",
    )
    add(
        "--rpc",
        type=argument_type(parse_endpoint),
        metavar="HOST:PORT",
        action="append",
        default=default,
        help="use the device that `offtui device` serves there; may be repeated",
    )
    add("--ctx", type=argument_type(_tokens), metavar="N", default=default, help="tokens of context")
    add(
        "--vram-budget",
        type=argument_type(parse_size),
        metavar="SIZE",
        default=default,
        help="plan and load as if each device had so much memory, for instance 8GiB",
    )
    add("--seed", type=argument_type(_seed), metavar="S", default=default, help="makes sampling repeatable")
    add("--temp", type=argument_type(_temperature), metavar="T", default=default, help="temperature; 0 is greedy")
    add("--max-tokens", type=argument_type(_tokens), metavar="N", default=default, help="tokens of an answer at most")


def options_from(arguments: argparse.Namespace, config: Config) -> Options:
    """What the command line and the config ask for together.

    Raises:
        UsageError: a value in the config makes no sense.
    """
    model = arguments.model or _config_model(config)
    return Options(
        model=model,
        n_gpu_layers=_layers(arguments.n_gpu_layers, config if model else Config()),
        placement=arguments.placement or config.placement,
        load=not getattr(arguments, "no_load", False),
        rpc=tuple(dict.fromkeys([*_checked("rpc", parse_endpoint, config.rpc), *(arguments.rpc or ())])),
        n_ctx=arguments.ctx or config.n_ctx,
        vram_budget=_config_budget(config) if arguments.vram_budget is None else arguments.vram_budget,
        sampling=Sampling(temperature=arguments.temp, seed=arguments.seed, max_tokens=arguments.max_tokens),
        config=config,
        told=_told(n_gpu_layers=arguments.n_gpu_layers, n_ctx=arguments.ctx, placement=arguments.placement),
    )


AUTO: Final = -1
"""``-ngl auto`` among parsed arguments; it overrides a number in the config."""


def parse_layers(text: str) -> int:
    """``-ngl``: a count from 0 on, or ``auto``.

    Raises:
        UsageError: the text is neither.
    """
    if text == "auto":
        return AUTO
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise UsageError(f"{text!r} is not a number of layers; give 0 or more, or auto")
    return int(text)


def _path(text: str) -> str:
    if not text:
        raise UsageError("the path is empty")
    return text


def _told(**fields: int | str | None) -> frozenset[str]:
    return frozenset(name for name, value in fields.items() if value is not None)


def _layers(asked: int | None, config: Config) -> int | None:
    """The config's count is meant for a model of the user's, not for the guide, which has few layers."""
    if asked is not None:
        return None if asked == AUTO else asked
    return config.n_gpu_layers


def _config_model(config: Config) -> str | None:
    return str(Path(config.model).expanduser()) if config.model else None


def _config_budget(config: Config) -> int | None:
    return _checked("vram_budget", parse_size, (config.vram_budget,))[0] if config.vram_budget else None


def _checked(field: str, parse: Callable[[str], T], values: tuple[str, ...]) -> list[T]:
    try:
        return [parse(value) for value in values]
    except UsageError as error:
        raise UsageError(f"The config's {field}: {error}.") from error


def _tokens(text: str) -> int:
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII) or not 0 < int(text) <= _MAX_TOKENS:
        raise UsageError(f"{text!r} is not a number of tokens; give 1 or more")
    return int(text)


def _seed(text: str) -> int:
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII) or int(text) > _MAX_SEED:
        raise UsageError(f"{text!r} is not a seed; give a number from 0 to {_MAX_SEED}")
    return int(text)


def _temperature(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise UsageError(f"{text!r} is not a temperature; give 0 or more")
    return value


def argument_type(parse: Callable[[str], T]) -> Callable[[str], T]:
    """``parse`` as argparse wants it, which names the option in the message."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parsed
