"""What is remembered of a model, through files that are damaged, foreign, shared or read-only."""

import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from offtui.protocol.spec import LoadSpec
from offtui.store import remembered
from offtui.store.remembered import LoadTime, Remembered, applied

LOAD = LoadTime(4, 10**9, 1.5)


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "a.gguf").write_bytes(b"x" * 100)
    return str(tmp_path / "a.gguf")


@pytest.fixture
def memory(tmp_path: Path) -> Remembered:
    return Remembered(tmp_path / "state" / "models.json")


def test_only_what_differs_from_the_config_is_remembered(memory: Remembered, model: str) -> None:
    configured = LoadSpec(model=model, n_ctx=8192)
    wanted = replace(configured, n_gpu_layers=9, type_k="q8_0", on_cpu=("ffn",))
    memory.keep(wanted, configured, LOAD)
    found = memory.settings(LoadSpec(model=model, n_ctx=2048))
    assert found == {"n_gpu_layers": 9, "type_k": "q8_0", "on_cpu": ["ffn"]}
    again = applied(LoadSpec(model=model, n_ctx=2048), found)
    assert again == replace(wanted, n_ctx=2048)


def test_auto_again_is_a_choice_too(memory: Remembered, model: str) -> None:
    configured = LoadSpec(model=model, n_gpu_layers=20)
    memory.keep(replace(configured, n_gpu_layers=None), configured, LOAD)
    assert memory.settings(configured) == {"n_gpu_layers": None}


def test_a_split_says_nothing_on_other_devices(memory: Remembered, model: str) -> None:
    configured = LoadSpec(model=model)
    memory.keep(replace(configured, n_gpu_layers=9, type_v="q8_0", rpc=("h:1",)), configured, LOAD)
    assert memory.settings(configured) == {"type_v": "q8_0"}
    assert memory.settings(replace(configured, rpc=("h:1",)))["n_gpu_layers"] == 9


def test_another_file_under_the_same_name_is_another_model(memory: Remembered, model: str) -> None:
    memory.keep(LoadSpec(model=model, n_gpu_layers=9), LoadSpec(model=model), LOAD)
    Path(model).write_bytes(b"y" * 101)
    assert memory.settings(LoadSpec(model=model)) == {}
    assert memory.loads(model) == ()


def test_the_newest_loads_and_models_are_kept(
    memory: Remembered, model: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(remembered, "MOST_LOADS", 3)
    monkeypatch.setattr(remembered, "MOST_MODELS", 2)
    for number in range(5):
        memory.keep(LoadSpec(model=model), LoadSpec(model=model), LoadTime(number, 0, 1.0))
    assert [load.n_gpu_layers for load in memory.loads(model)] == [2, 3, 4]
    for name in ("b", "c"):
        (tmp_path / f"{name}.gguf").write_bytes(b"z")
        memory.keep(LoadSpec(model=str(tmp_path / f"{name}.gguf")), LoadSpec(model=model), LOAD)
    assert memory.loads(model) == ()
    assert memory.loads(str(tmp_path / "c.gguf")) == (LOAD,)


def test_the_rate_of_reading_is_the_middle_of_all_models(memory: Remembered, model: str) -> None:
    assert memory.read_rate() is None
    memory.keep(LoadSpec(model=model), LoadSpec(model=model), LoadTime(0, 0, 2.0))
    assert memory.read_rate() == 50.0


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b'{"a": {"size": "x"}}', b'{"a": 1}'])
def test_a_damaged_file_is_forgotten(tmp_path: Path, model: str, content: bytes) -> None:
    file = tmp_path / "models.json"
    file.write_bytes(content)
    memory = Remembered(file)
    assert memory.settings(LoadSpec(model=model)) == {}
    memory.keep(LoadSpec(model=model, n_gpu_layers=3), LoadSpec(model=model), LOAD)
    assert memory.settings(LoadSpec(model=model)) == {"n_gpu_layers": 3}


def test_a_folder_that_cannot_be_written_costs_the_memory_only(tmp_path: Path, model: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    memory = Remembered(tmp_path / "file" / "models.json")
    memory.keep(LoadSpec(model=model, n_gpu_layers=3), LoadSpec(model=model), LOAD)
    assert memory.settings(LoadSpec(model=model)) == {}


def test_a_name_that_is_no_text_is_not_remembered(memory: Remembered, tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.gguf"
    path.write_bytes(b"x")
    memory.keep(LoadSpec(model=str(path), n_gpu_layers=3), LoadSpec(model=str(path)), LOAD)
    assert memory.settings(LoadSpec(model=str(path))) == {}


def test_values_of_another_version_are_left_aside(model: str) -> None:
    spec = LoadSpec(model=model)
    assert applied(spec, {"type_k": "q17"}) == spec
    assert applied(spec, {"n_gpu_layers": "many"}) == spec


def test_two_that_write_lose_neither(tmp_path: Path) -> None:
    names = [tmp_path / f"{number}.gguf" for number in range(8)]
    for name in names:
        name.write_bytes(b"x")

    def write(name: Path) -> None:
        memory = Remembered(tmp_path / "models.json")
        for number in range(5):
            memory.keep(LoadSpec(model=str(name)), LoadSpec(model=str(name)), LoadTime(number, 0, 1.0))

    threads = [threading.Thread(target=write, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(Remembered(tmp_path / "models.json").loads(str(name))) == 5 for name in names)
