import contextlib
import os
from pathlib import Path

import pytest
from huggingface_hub import scan_cache_dir

from offtui.config import Config
from offtui.errors import OfftuiError
from offtui.gguf.library import default_folders, find
from offtui.hub.tidy import lock_of, locked, tidy
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


def put_ref(hub: Path, commit: str) -> Path:
    ref = hub / "models--o--r/refs/main"
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text(commit)
    return ref


def warnings(hub: Path) -> list[str]:
    return [str(warning) for warning in scan_cache_dir(hub).warnings]


def test_nothing_is_left_of_a_repository_whose_last_file_goes(home: Path) -> None:
    hub = home / ".cache/huggingface/hub"
    put_in_hub(hub, "o/r", "0" * 40, "sub/m.gguf", "b1", 70)
    put(hub / "models--o--r/blobs/b1.incomplete", 9)
    put(hub / ".locks/models--o--r/b1.lock", 0)
    put(hub / "models--o--r/.no_exist" / ("0" * 40) / "config.json", 0)
    put_ref(hub, "0" * 40)
    other = put_in_hub(hub, "o/other", "1" * 40, "n.gguf", "b2", 30)
    (model,) = [model for model in find(default_folders(Config())) if model.name == "m"]
    assert remove(model) == 79
    assert not (hub / "models--o--r").exists()
    assert not (hub / ".locks/models--o--r").exists()
    assert other.exists()
    assert warnings(hub) == []


@pytest.mark.parametrize("kept", ["a file of the commit", "a download that has only begun"])
def test_what_else_came_from_a_repository_stays_whole(home: Path, kept: str) -> None:
    hub = home / ".cache/huggingface/hub"
    put_in_hub(hub, "o/r", "0" * 40, "m.gguf", "b1", 70)
    put_ref(hub, "0" * 40)
    if kept == "a file of the commit":
        file = put_in_hub(hub, "o/r", "0" * 40, "config.json", "b2", 30)
    else:
        file = put(hub / "models--o--r/blobs/b2.incomplete", 5)
    (model,) = [model for model in find(default_folders(Config())) if model.name == "m"]
    assert remove(model) == 70
    assert file.exists()
    assert (hub / "models--o--r/refs/main").exists() is (kept == "a file of the commit")
    assert warnings(hub) == []


def test_what_is_being_downloaded_is_not_taken_away(home: Path, tmp_path: Path) -> None:
    hub, folder = home / ".cache/huggingface/hub", tmp_path / "m"
    put_in_hub(hub, "o/r", "0" * 40, "m.gguf", "b1", 70)
    parts = [put(hub / "models--o--r/blobs/b1.incomplete", 9), put(folder / ".m.gguf.0a.incomplete", 9)]
    put(folder / "m.gguf", 20)
    stale = put(folder / ".m.gguf.0b.incomplete", 3)
    put(folder / ".m.gguf.0b.incomplete.lock", 0)
    with contextlib.ExitStack() as stack:
        for part in parts:
            assert stack.enter_context(locked(lock_of(part)))
        for model in find([folder, hub]):
            remove(model)
        assert all(part.exists() and lock_of(part).exists() for part in parts)
    assert not stale.exists()
    assert not lock_of(stale).exists()


def test_the_folder_that_another_program_downloads_into_stays(home: Path) -> None:
    # huggingface_hub makes the folder of the commit before the first byte, and its link there after the last one
    hub = home / ".cache/huggingface/hub"
    put_in_hub(hub, "o/r", "0" * 40, "m.gguf", "b1", 70)
    waiting = hub / "models--o--r/snapshots" / ("1" * 40)
    waiting.mkdir()
    ref = put_ref(hub, "1" * 40)
    (model,) = find(default_folders(Config()))
    with locked(hub / ".locks/models--o--r/b2.lock") as ours:
        assert ours
        assert remove(model) == 70
        assert waiting.is_dir()
        assert ref.exists()
    tidy(hub / "models--o--r")
    assert not (hub / "models--o--r").exists()


def test_a_folder_that_only_is_called_like_one_of_the_cache_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "models--mine"
    put(folder / "m.gguf", 7)
    kept = put(folder / "refs/note", 3)
    (model,) = find([tmp_path])
    remove(model)
    assert kept.exists()


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
