"""The options of a session: what is understood, what is refused with one sentence."""

import argparse

import pytest

from offtui.cli.options import Parser, add_session_options, options_from
from offtui.config import Config
from offtui.errors import UsageError
from offtui.options import Options, parse_endpoint


def parse(*words: str, config: Config = Config()) -> Options:  # noqa: B008 -- frozen
    parser = Parser(prog="offtui", allow_abbrev=False)
    add_session_options(parser)
    return options_from(parser.parse_args(words), config)


def test_every_option_arrives():
    options = parse(
        *("--model", "a.gguf", "-ngl", "4", "--rpc", "127.0.0.1:1", "--rpc", "gpu.lan:65535"),
        *("--ctx", "512", "--seed", "7", "--temp", "0", "--max-tokens", "9"),
    )
    spec = options.load_spec()
    assert (spec.model, spec.n_gpu_layers, spec.n_ctx) == ("a.gguf", 4, 512)
    assert spec.rpc == ("127.0.0.1:1", "gpu.lan:65535")
    assert (options.sampling.seed, options.sampling.temperature, options.sampling.max_tokens) == (7, 0.0, 9)


def test_nothing_said_leaves_the_choice_to_the_worker():
    options = parse()
    spec = options.load_spec()
    assert spec.model.endswith("guide.gguf")
    assert (spec.n_gpu_layers, spec.n_ctx, spec.rpc) == (None, None, ())
    assert options.sampling.temperature is None


def test_the_config_counts_where_the_command_line_is_silent(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    config = Config(model="~/a.gguf", n_gpu_layers=3, n_ctx=99, n_threads=2, rpc=("h:1",))
    spec = parse(config=config).load_spec()
    assert (spec.model, spec.n_gpu_layers, spec.n_ctx, spec.n_threads) == ("/home/ada/a.gguf", 3, 99, 2)
    spec = parse(
        "--model", "b.gguf", "-ngl", "0", "--ctx", "5", "--rpc", "h:1", "--rpc", "h:2", config=config
    ).load_spec()
    assert (spec.model, spec.n_gpu_layers, spec.n_ctx) == ("b.gguf", 0, 5)
    assert spec.rpc == ("h:1", "h:2")


def test_auto_overrides_a_number_in_the_config():
    assert parse("-ngl", "auto", config=Config(model="a.gguf", n_gpu_layers=3)).n_gpu_layers is None
    assert parse("--n-gpu-layers", "auto").n_gpu_layers is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("-ngl", "-1"), "-ngl/--n-gpu-layers: '-1' is not a number of layers; give 0 or more, or auto"),
        (("-ngl", "many"), "'many' is not a number of layers"),
        (("-ngl", "1.5"), "'1.5' is not a number of layers"),
        (("-ngl", "٣"), "is not a number of layers"),
        (("-ngl",), "-ngl/--n-gpu-layers: expected one argument"),
        (("--rpc", "localhost"), "--rpc: 'localhost' is not HOST:PORT"),
        (("--rpc", ":50052"), "is not HOST:PORT"),
        (("--rpc", "host:0"), "is not HOST:PORT"),
        (("--rpc", "host:65536"), "is not HOST:PORT"),
        (("--rpc", "a:1,b:2"), "is not HOST:PORT"),
        (("--rpc", "ho st:1"), "is not HOST:PORT"),
        (("--ctx", "0"), "--ctx: '0' is not a number of tokens"),
        (("--ctx", "-5"), "is not a number of tokens"),
        (("--ctx", "9999999999"), "is not a number of tokens"),
        (("--max-tokens", "0"), "--max-tokens: '0' is not a number of tokens"),
        (("--temp", "-0.1"), "--temp: '-0.1' is not a temperature"),
        (("--temp", "nan"), "is not a temperature"),
        (("--temp", "inf"), "is not a temperature"),
        (("--temp", "warm"), "is not a temperature"),
        (("--seed", "-1"), "--seed: '-1' is not a seed"),
        (("--seed", "4294967296"), "is not a seed"),
        (("--model", ""), "--model: the path is empty"),
        (("--mod", "x"), "unrecognized arguments: --mod x"),
    ],
)
def test_bad_usage_is_refused_with_a_sentence(words, says):
    with pytest.raises(UsageError) as refused:
        parse(*words)
    assert says in str(refused.value)
    assert str(refused.value).endswith("; see offtui --help")
    assert "\n" not in str(refused.value)


def test_nonsense_in_the_config_is_refused_by_name():
    with pytest.raises(UsageError, match="The config's rpc: 'nowhere' is not HOST:PORT"):
        parse(config=Config(rpc=("nowhere",)))


def test_the_layers_of_the_config_are_not_meant_for_the_guide():
    assert parse(config=Config(n_gpu_layers=99)).n_gpu_layers is None
    assert parse("--model", "a.gguf", config=Config(n_gpu_layers=99)).n_gpu_layers == 99
    assert parse("-ngl", "4", config=Config(n_gpu_layers=99)).n_gpu_layers == 4


@pytest.mark.parametrize("address", ["127.0.0.1:50052", "gpu-1.lan:1", "my_host:65535"])
def test_addresses_that_are_fine(address):
    assert parse_endpoint(address) == address


def test_an_option_before_the_subcommand_is_not_lost():
    parser = Parser(prog="offtui")
    add_session_options(parser)
    sub: argparse.ArgumentParser = parser.add_subparsers().add_parser("ask")
    add_session_options(sub, inherit=True)
    arguments = parser.parse_args(["--model", "a.gguf", "--seed", "1", "ask", "--seed", "2"])
    options = options_from(arguments, Config())
    assert (options.model, options.sampling.seed) == ("a.gguf", 2)


def test_a_budget_is_a_size():
    assert parse("--vram-budget", "8GiB").load_spec().vram_budget == 8 * 2**30
    assert parse(config=Config(vram_budget="512MiB")).load_spec().vram_budget == 512 * 2**20
    assert parse("--vram-budget", "1G", config=Config(vram_budget="512MiB")).vram_budget == 2**30
    assert parse("--vram-budget", "0", config=Config(vram_budget="512MiB")).load_spec().vram_budget == 0
    with pytest.raises(UsageError, match="is not a size"):
        parse("--vram-budget", "much")
    with pytest.raises(UsageError, match="vram_budget"):
        parse(config=Config(vram_budget="much"))


def test_what_the_command_line_speaks_of_is_known():
    assert parse("-ngl", "auto").told == {"n_gpu_layers"}
    assert parse("--ctx", "512").told == {"n_ctx"}
    assert parse(config=Config(n_ctx=512)).told == frozenset()
