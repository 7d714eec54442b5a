"""``offtui plan``: what it prints, its JSON, and how it ends when something is wrong."""

import re
import shlex
from pathlib import Path

import pytest

from offtui.cli.plan_command import quoted
from offtui.engine import prober
from offtui.monitor.bandwidth import ram_bandwidth
from offtui.planner.learning import devices_text, settings_text
from offtui.protocol.spec import LoadSpec
from offtui.store.measurements import Circumstances, FileId, Point, Store
from offtui.units import GIB, MIB
from offtui.worker.threads import default_threads
from tests.fakes import gguf_shapes as shapes
from tests.fakes.device import RunningDevice
from tests.plan.conftest import Run


@pytest.fixture(scope="module")
def moe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes.write_sparse(tmp_path_factory.mktemp("moe") / "qwen3-30b.gguf", shapes.qwen3_30b_a3b())


def test_how_much_of_a_model_fits_which_card(plan: Run, gemma: Path) -> None:
    sizes = ("8GiB", "12GiB", "16GiB", "24GiB")
    done = plan(gemma, *(word for size in sizes for word in ("--vram", size)), "--ctx", 8192)
    assert (done.code, done.err) == (0, "")
    fits, brings = done.out.split("What that brings:")
    assert re.findall(r"^(\d+) GiB +(\d+ of 47)", fits, re.MULTILINE) == [
        ("8", "17 of 47"),
        ("12", "28 of 47"),
        ("16", "39 of 47"),
        ("24", "47 of 47"),
    ]
    bands = [(float(low), float(high)) for low, high in re.findall(r"of 47 +~[\d.]+ \(([\d.]+)–([\d.]+)\)", brings)]
    assert len(bands) == 4
    assert all(low < high for low, high in bands)
    assert bands == sorted(bands)


def test_the_json_of_a_plan(plan: Run, gemma: Path) -> None:
    found = plan(gemma, "--vram", "12GiB", "--ctx", 8192, "--json").json
    model = found["model"]
    assert (model["arch"], model["n_layer"], model["quant"]) == ("gemma2", 46, "Q4_K_M")
    assert (model["path"], model["file_bytes"]) == (str(gemma), gemma.stat().st_size)
    assert model["n_ctx_train"] == 8192
    assert found["spec"]["n_ctx"] == 8192
    rows = found["rows"]
    assert [row["n_gpu_layers"] for row in rows] == list(range(48))
    for row in rows:
        for side in ("vram", "ram"):
            have = row[side]
            assert have["total"] == have["weights"] + have["kv"] + have["compute"]
        assert row["tokens_per_s"]["low"] <= row["tokens_per_s"]["value"] <= row["tokens_per_s"]["high"]
        assert row["tokens_per_s"]["source"] == "prior"
    assert rows[47]["vram"]["weights"] / MIB == pytest.approx(15868.49, abs=0.02)
    assert found["choice"] == max(row["n_gpu_layers"] for row in rows if row["fits"]) == 28
    assert re.fullmatch(r"28 of 47 layers: 29 would need 11\.\d of 11\.\d GiB on CUDA0\.", found["why"])


def test_several_cards_in_json(plan: Run, gemma: Path) -> None:
    found = plan(gemma, "--vram", "8GiB", "--card", "RTX 4090", "--json").json
    assert [card["card"] for card in found["cards"]] == ["8 GiB", "RTX 4090"]
    assert found["choice"] == found["cards"][0]["choice"]
    assert found["cards"][1]["choice"] == 47


def test_two_cards_in_one_machine(plan: Run, gemma: Path) -> None:
    found = plan(gemma, "--vram", "12GiB+6GiB", "--json").json
    chosen = found["rows"][found["choice"]]
    first, second = chosen["devices"]
    assert (first["name"], second["name"]) == ("CUDA0", "CUDA1")
    assert first["total"] <= 12 * GIB
    assert second["total"] <= 6 * GIB
    assert first["weights"] + second["weights"] == chosen["vram"]["weights"]


def test_longer_contexts_and_smaller_caches_move_the_choice(plan: Run, gemma: Path) -> None:
    choose = lambda *words: plan(gemma, "--vram", "12GiB", "--json", *words).json["choice"]  # noqa: E731
    assert choose("--ctx", 32768) < choose("--ctx", 8192)
    assert choose("--ctx", 32768, "--type-k", "q8_0", "--type-v", "q8_0") > choose("--ctx", 32768)
    assert choose("--margin", "4GiB") < choose()


def test_placements_are_compared(plan: Run, moe: Path) -> None:
    layers = plan(moe, "--card", "RTX 4060", "--json").json
    experts = plan(moe, "--card", "RTX 4060", "--json", "--placement", "experts").json
    best = plan(moe, "--card", "RTX 4060", "--json", "--placement", "best").json
    assert experts["choice"] == 49
    assert experts["placement"]["n_layers_kept"] > 0
    assert experts["tokens_per_s"]["value"] > layers["tokens_per_s"]["value"]
    assert best["tokens_per_s"]["value"] >= experts["tokens_per_s"]["value"]
    assert best["placement"]["kind"] != "layers"
    (pattern,) = experts["placement"]["tensors_on_cpu"]
    assert re.search(pattern, "blk.0.ffn_up_exps.weight")


def test_models_by_cards(plan: Run, gemma: Path, moe: Path) -> None:
    done = plan("--table", gemma, moe, "--card", "RTX 4060", "--card", "RTX 4090")
    assert re.search(r"gemma-2-27b +15\.5 GiB +\d+ of 47 +47 of 47", done.out)
    assert re.search(r"qwen3-30b +17\.3 GiB +\d+ of 49 +49 of 49", done.out)
    found = plan("--table", gemma, moe, "--card", "RTX 4090", "--json").json
    assert [model["cards"][0]["choice"] for model in found["models"]] == [47, 49]


def test_one_broken_model_does_not_hide_the_others(plan: Run, gemma: Path, tmp_path: Path) -> None:
    done = plan("--table", gemma, tmp_path / "none.gguf", "--vram", "8GiB")
    assert done.code == 0
    assert "17 of 47" in done.out
    assert done.err == f"offtui: {tmp_path}/none.gguf does not exist.\n"


def test_the_same_load_in_llama_server(plan: Run, gemma: Path) -> None:
    done = plan(gemma, "--vram", "12GiB", "--ctx", 8192, "--as", "llama-server")
    words = shlex.split(done.out)
    assert words[:7] == ["llama-server", "-m", str(gemma), "-ngl", "28", "-c", "8192"]
    assert words[words.index("-np") + 1] == "1"
    kept = shlex.split(plan(gemma, "--vram", "12GiB", "--placement", "ffn", "--as", "llama-server").out)
    assert kept[kept.index("-ot") + 1].endswith(r"ffn_(up|down|gate)\.weight=CPU")


def test_experts_in_ram_have_an_option_of_their_own(plan: Run, moe: Path) -> None:
    done = plan(moe, "--vram", "8GiB", "--ctx", 8192, "--placement", "experts", "--as", "llama-server")
    words = shlex.split(done.out)
    assert "-ot" not in words
    wanted = plan(moe, "--vram", "8GiB", "--ctx", 8192, "--placement", "experts", "--json").json
    assert int(words[words.index("--n-cpu-moe") + 1]) == wanted["placement"]["n_layers_kept"] > 0


def test_what_was_measured_of_a_card_that_is_not_here_moves_the_others(plan: Run, gemma: Path) -> None:
    words = (gemma, "--card", "RTX 4060", "--ctx", 8192, "--json")
    guess = plan(*words).json["rows"]
    rows = plan(*words, "--measured", "0=3", "--measured", "17=5").json["rows"]
    assert rows[17]["tokens_per_s"] == {"low": 5, "value": 5, "high": 5, "source": "measured"}
    near = rows[10]["tokens_per_s"]
    assert near["source"] == "fit"
    assert 3 < near["low"] < near["high"] < 5
    before = guess[10]["tokens_per_s"]
    assert near["high"] / near["low"] < before["high"] / before["low"]
    said = plan(gemma, "--card", "RTX 4060", "--measured", "17=5").out
    assert re.search(r"^▶ +17 .* 5\.00 measured$", said, re.MULTILINE)


def test_what_was_measured_here_is_in_the_plan(
    plan: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    words = (tiny_model, "--ctx", 2048, "--json")
    assert plan(*words).json["tokens_per_s"]["source"] == "prior"
    assert not (tmp_path / "data").exists(), "a plan writes nothing"
    (read,) = prober.read_headers([str(tiny_model)])
    file = FileId.of(str(tiny_model))
    assert read.header is not None
    assert file is not None
    facts = prober.devices().devices
    settings = settings_text(LoadSpec(model=str(tiny_model)), True, default_threads())
    store = Store(tmp_path / "data" / "offtui" / "measurements.db")
    store.add_point(
        Circumstances(file, read.header.arch, read.header.quant, devices_text(facts), settings, 2048, 0),
        Point(0, 100, 64, 321.0, None, 1.0),
    )
    store.close()
    assert plan(*words).json["tokens_per_s"] == {"low": 321, "value": 321, "high": 321, "source": "measured"}


def test_the_same_load_in_ollama_and_lms(plan: Run, gemma: Path) -> None:
    assert "'PARAMETER num_gpu 28'" in plan(gemma, "--vram", "12GiB", "--as", "ollama").out
    assert "--gpu 0.5957" in plan(gemma, "--vram", "12GiB", "--as", "lms").out
    refused = plan(gemma, "--vram", "12GiB", "--placement", "ffn", "--as", "lms")
    assert refused.code == 2
    assert "cannot keep single tensors" in refused.err


def test_this_machine_without_a_gpu(plan: Run, tiny_model: Path) -> None:
    done = plan(tiny_model, "--ctx", 2048)
    assert done.code == 0
    assert "No GPU device: everything is in RAM." in done.out
    assert "0 of 13 layers: there is no GPU device." in done.out
    assert plan(tiny_model, "--json").json["choice"] == 0


def test_a_device_of_another_machine_is_asked_itself(plan: Run, tiny_model: Path, device: RunningDevice) -> None:
    found = plan(tiny_model, "--rpc", device.endpoint, "--ctx", 2048, "--json").json
    sources = {row["n_gpu_layers"]: row["compute_source"] for row in found["rows"]}
    assert found["choice"] == 13
    assert {layers for layers, source in sources.items() if source == "dry load"} == {0, 1, 12, 13}
    formula = plan(tiny_model, "--rpc", device.endpoint, "--ctx", 2048, "--json", "--no-probe").json
    assert {row["compute_source"] for row in formula["rows"]} == {"arithmetic"}
    for dry, plain in zip(found["rows"], formula["rows"], strict=True):
        assert dry["vram"]["weights"] == plain["vram"]["weights"]
        assert abs(dry["vram"]["compute"] - plain["vram"]["compute"]) < 2 * MIB


def test_every_line_of_a_plan_stays_within_80_columns(plan: Run, gemma: Path, moe: Path) -> None:
    for words in (
        (gemma, "--card", "RTX 4060", "--ctx", 32768),
        (gemma, "--vram", "8GiB", "--vram", "24GiB"),
        (moe, "--card", "RTX 4060 + RTX 3060 12GB", "--placement", "experts"),
        ("--table", gemma, moe, "--card", "RTX 4060", "--card", "RTX 4090"),
    ):
        assert max(map(len, plan(*words).out.splitlines())) <= 80


def test_a_budget_of_nothing(plan: Run, tiny_model: Path) -> None:
    found = plan(tiny_model, "--vram", "0", "--json").json
    assert found["choice"] == 0
    assert found["why"].startswith("Not even 0 of 13 layers")


def test_hostile_names_reach_no_terminal(plan: Run, tmp_path: Path) -> None:
    shape = shapes.bench_tiny()
    evil = "a\x1b]52;c;aGk=\x07[/]\n'b\"$(touch x)"
    named = shapes.Shape(shape.arch, shape.meta, shape.rows, {"general.name": ("string", evil)})
    path = shapes.write_sparse(tmp_path / f"{evil.replace('/', '_')}.gguf", named)
    for words in ([], ["--as", "llama-server"], ["--as", "ollama"], ["--as", "lms"], ["--json"]):
        done = plan(path, "--vram", "1GiB", *words)
        assert done.code == 0
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", done.out)
    assert plan(path, "--vram", "1GiB", "--json").json["model"]["path"] == str(path)


def test_shell_words_are_what_they_were() -> None:
    assert quoted("plain.gguf") == "plain.gguf"
    assert shlex.split(quoted("a b'c$(d).gguf")) == ["a b'c$(d).gguf"]
    assert quoted("a\x1b'b") == r"$'a\x1b\x27b'"


def test_the_speed_of_ram_is_measured() -> None:
    speed = ram_bandwidth()
    assert speed is None or 1e8 < speed < 1e13
