from collections.abc import Callable
from pathlib import Path

import pytest

from offtui import paths
from offtui.config import Config
from offtui.errors import UsageError
from offtui.options import Options
from offtui.protocol.facts import LayerCount
from offtui.ui.settings import Settings, model_path, parse_layers

LAYERS = LayerCount(8, 8, 13)


@pytest.mark.parametrize(
    ("text", "layers"), [("auto", None), ("0", 0), ("13", 13), ("+4", 12), ("-4", 4), ("+99", 13), ("-99", 0)]
)
def test_layers_are_absolute_or_relative(text: str, layers: int | None) -> None:
    assert parse_layers(text, LAYERS) == layers


@pytest.mark.parametrize("text", ["14", "", "four", "1.5", "--2", "٣", "9" * 30, "+", "auto please"])
def test_layers_that_cannot_be_meant_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_layers(text, LAYERS)


def test_relative_layers_need_something_loaded() -> None:
    with pytest.raises(UsageError, match="nothing is"):
        parse_layers("+1", None)
    assert parse_layers("99", None) == 99


def test_another_model_has_its_split_chosen_anew() -> None:
    settings = Settings.of(Options(model="/a.gguf", n_gpu_layers=3, n_ctx=2048, rpc=("h:1",))).with_layers(7)
    other = settings.with_model(Path("/b.gguf")).spec
    assert (other.model, other.n_gpu_layers, other.n_ctx, other.rpc) == ("/b.gguf", None, 2048, ("h:1",))
    assert settings.with_model(Path("/a.gguf")).spec.n_gpu_layers == 7
    assert settings.with_guide().spec.model == str(paths.guide_model())


def test_settings_take_effect_or_are_refused() -> None:
    settings = Settings.of(Options())
    assert settings.with_context("4096").spec.n_ctx == 4096
    assert settings.with_context("4096").with_context("auto").spec.n_ctx is None
    for wrong in ("-1", "x", "9" * 20, ""):
        with pytest.raises(UsageError, match="/ctx"):
            settings.with_context(wrong)


def test_paths_are_taken_as_they_are_typed() -> None:
    assert model_path(" '/a b/c.gguf' ") == Path("/a b/c.gguf")
    assert model_path("~/m.gguf") == Path.home() / "m.gguf"
    with pytest.raises(UsageError):
        model_path("~nobody-of-that-name/m.gguf")


def test_the_cache_has_one_type_or_one_for_each() -> None:
    settings = Settings.of(Options(model="/a.gguf"))
    assert (settings.with_cache("q8_0").spec.type_k, settings.with_cache("q8_0").spec.type_v) == ("q8_0", "q8_0")
    both = settings.with_cache("q8_0/f16").spec
    assert (both.type_k, both.type_v) == ("q8_0", "f16")
    assert settings.with_cache("q4_0").with_cache("auto") == settings


def test_other_settings_of_a_load() -> None:
    settings = Settings.of(Options(model="/a.gguf", config=Config(n_threads=3)))
    assert settings.with_flash_attention("off").spec.flash_attn == "off"
    assert settings.with_ubatch("64").spec.n_ubatch == 64
    assert settings.with_ubatch("64").with_ubatch("auto") == settings
    assert settings.with_threads("7").spec.n_threads == 7
    assert settings.with_threads("7").with_threads("auto") == settings


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Settings.with_cache, "q17"),
        (Settings.with_cache, "f16/"),
        (Settings.with_cache, ""),
        (Settings.with_flash_attention, "yes"),
        (Settings.with_ubatch, "0"),
        (Settings.with_threads, "-1"),
        (Settings.with_threads, "99999"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(change: Callable[[Settings, str], Settings], text: str) -> None:
    with pytest.raises(UsageError):
        change(Settings.of(Options(model="/a.gguf")), text)
