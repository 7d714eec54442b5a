import json
from pathlib import Path

import pytest

from tests.fakes import gguf_shapes
from tests.gguf.test_library import put


@pytest.fixture(autouse=True)
def models(tmp_path: Path, config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models that the config names, and a home of the test's own."""
    for name in ("HF_HUB_CACHE", "HF_HOME", "LLAMA_CACHE", "OLLAMA_MODELS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    folder = tmp_path / "models"
    folder.mkdir()
    gguf_shapes.write_sparse(folder / "qwen3-8b-Q4_K_M.gguf", gguf_shapes.qwen3_8b())
    put(folder / "half-00001-of-00002.gguf")
    (config_dir / "config.toml").write_text(f'models = ["{folder}"]\n')
    return folder


def test_models_are_listed_as_json(offtui, models: Path) -> None:
    outcome = offtui("models", "--json")
    assert outcome.code == 0
    half, qwen = json.loads(outcome.out)
    path = str(models / "qwen3-8b-Q4_K_M.gguf")
    assert qwen == {
        "path": path, "files": [path], "name": "qwen3-8b-Q4_K_M", "arch": "qwen3", "quant": "Q4_K_M",
        "bytes": Path(path).stat().st_size, "n_layer": 36, "kind": "model",
    }  # fmt: skip
    assert list(half) == list(qwen)
    assert (half["arch"], half["n_layer"]) == (None, None)


def test_models_are_listed_as_a_table_and_filtered_by_words(offtui) -> None:
    outcome = offtui("models", "QWEN", "q4")
    head, row = outcome.out.splitlines()
    assert head.split()[:4] == ["name", "params", "arch", "quant"]
    assert row.split()[:6] == ["qwen3-8b-Q4_K_M", "8.2B", "qwen3", "Q4_K_M", "4.7", "GiB"]
    assert offtui("models", "nothing").out == ""


def test_rm_deletes_by_name_and_by_path(offtui, models: Path) -> None:
    assert offtui("rm", "half", "--yes").code == 0
    assert not list(models.glob("half*"))
    outcome = offtui("rm", "--yes", str(models / "qwen3-8b-Q4_K_M.gguf"))
    assert outcome.code == 0
    assert "free again" in outcome.out
    assert list(models.iterdir()) == []


def test_rm_asks_on_a_terminal_and_elsewhere_wants_yes(offtui, models: Path) -> None:
    outcome = offtui("rm", "half")
    assert outcome.code == 2
    assert "--yes" in outcome.err
    assert list(models.glob("half*"))


def test_rm_refuses_what_is_no_model(offtui, tmp_path: Path) -> None:
    precious = put(tmp_path / "thesis.txt")
    assert offtui("rm", "--yes", str(precious)).code == 1
    assert precious.exists()
    assert offtui("rm", "--yes", "no such model").code == 3
