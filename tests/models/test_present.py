import hashlib
from pathlib import Path

import pytest

from offtui.hub.names import offers
from offtui.hub.wire import RemoteFile
from offtui.models.present import on_disk
from offtui.store.catalogue import Catalogue
from offtui.store.measurements import FileId
from tests.gguf.test_library import put, put_in_hub

SHA = hashlib.sha256(b"G" * 70).hexdigest()


def remote(name: str = "m-Q4_0.gguf", size: int = 70, sha256: str = SHA) -> RemoteFile:
    return RemoteFile(name=name, bytes=size, sha256=sha256)


def present(catalogue: Catalogue, *files: RemoteFile) -> dict[str, tuple[str, ...]]:
    return on_disk("o/r", offers(files), catalogue)


@pytest.mark.parametrize(
    "place",
    [".lmstudio/models/o/r/m-Q4_0.gguf", ".cache/llama.cpp/o_r_m-Q4_0.gguf", ".cache/lm-studio/models/o/r/m-Q4_0.gguf"],
)
def test_what_other_programs_fetched_from_there_is_here(home: Path, catalogue: Catalogue, place: str) -> None:
    if place.startswith(".cache/llama.cpp") and not (home / ".cache").exists():
        (home / ".cache").mkdir()
    path = put(home / place, 70)
    assert present(catalogue, remote()) == {"m-Q4_0": (str(path),)}
    assert present(catalogue, remote(size=71)) == {}, "an earlier one, or not all of it"


def test_what_lies_in_the_cache_is_here_by_its_hash(home: Path, catalogue: Catalogue) -> None:
    cache = home / ".cache/huggingface/hub"
    link = put_in_hub(cache, "o/r", "0a", "m-Q4_0.gguf", SHA, 70)
    put(cache / "models--o--r/blobs" / f"{'1' * 64}.incomplete", 70)
    assert present(catalogue, remote()) == {"m-Q4_0": (str(link),)}
    assert present(catalogue, remote(sha256="1" * 64)) == {}
    link.unlink()
    assert present(catalogue, remote()) == {}, "nobody finds it"


def test_what_went_to_a_folder_is_here_by_the_hash_that_was_recorded(
    home: Path, catalogue: Catalogue, tmp_path: Path
) -> None:
    path = put(tmp_path / "mine.gguf", 70)
    file = FileId.of(str(path))
    assert file is not None
    catalogue.keep_hash(file, SHA)
    assert present(catalogue, remote()) == {"m-Q4_0": (str(path),)}
    path.write_bytes(b"X" * 70)
    assert present(catalogue, remote()) == {}, "written to since"


def test_a_split_model_is_here_when_all_parts_are_beside_each_other(home: Path, catalogue: Catalogue) -> None:
    files = [remote(f"m-0000{n}-of-00002.gguf", sha256=str(n) * 64) for n in (1, 2)]
    folder = home / ".lmstudio/models/o/r"
    first = put(folder / files[0].name, 70)
    assert present(catalogue, *files) == {}
    second = put(folder / files[1].name, 70)
    assert present(catalogue, *files) == {"m": (str(first), str(second))}
    second.rename(put(home / ".cache/lm-studio/models/o/r" / files[1].name, 70))
    assert present(catalogue, *files) == {}
