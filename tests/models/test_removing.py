import os
from pathlib import Path

import pytest

from offtui.config import Config
from offtui.errors import OfftuiError
from offtui.gguf.library import default_folders, find
from offtui.models.removing import remove
from tests.gguf.test_library import put, put_in_hub, put_in_ollama


def test_every_part_of_a_split_model_goes(tmp_path: Path) -> None:
    for number in (1, 2):
        put(tmp_path / "m" / f"big-0000{number}-of-00002.gguf", 100)
    other = put(tmp_path / "m" / "other.gguf")
    (big,) = [model for model in find([tmp_path / "m"]) if model.name == "big"]
    assert remove(big) == 200
    assert list((tmp_path / "m").iterdir()) == [other]


def test_of_a_cache_the_bytes_go_with_all_their_names(home: Path) -> None:
    hub = home / ".cache/huggingface/hub"
    put_in_hub(hub, "o/r", "0a", "sub/m.gguf", "b1", 70)
    put_in_hub(hub, "o/r", "0b", "sub/m.gguf", "b1", 70)
    kept = put_in_hub(hub, "o/r", "0b", "n.gguf", "b2", 30)
    (model,) = [model for model in find(default_folders(Config())) if model.name == "m"]
    assert remove(model) == 70
    assert not (hub / "models--o--r/blobs/b1").exists()
    assert not (hub / "models--o--r/snapshots/0a").exists()
    assert kept.read_bytes() == b"G" * 30


def test_a_link_to_a_file_elsewhere_leaves_that_file(tmp_path: Path) -> None:
    file = put(tmp_path / "elsewhere" / "m.bin")
    link = tmp_path / "m" / "m.gguf"
    link.parent.mkdir()
    link.symlink_to(file)
    (model,) = find([tmp_path / "m"])
    assert remove(model) == 0
    assert not os.path.lexists(link)
    assert file.exists()


def test_a_snapshot_that_points_out_of_its_repository_does_not_delete_there(home: Path) -> None:
    hub = home / ".cache/huggingface/hub"
    precious = put(home / "precious.gguf")
    link = hub / "models--o--r/snapshots/0a/m.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(precious)
    (model,) = find([hub])
    remove(model)
    assert precious.exists()
    assert not os.path.lexists(link)


def test_what_is_ollamas_is_left_to_ollama(home: Path) -> None:
    blobs = put_in_ollama(home / ".ollama/models", "registry.ollama.ai/library/tiny/1b", {"model": b"GGUF one"})
    (model,) = find(default_folders(Config()))
    with pytest.raises(OfftuiError, match="ollama rm tiny:1b"):
        remove(model)
    assert blobs["model"].exists()
