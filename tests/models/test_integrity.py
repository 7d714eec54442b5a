import hashlib
import os
import time
from pathlib import Path

import pytest

from offtui.models.integrity import Integrity, named_hash
from offtui.store.catalogue import Catalogue
from tests.gguf.test_library import put, put_in_hub


@pytest.fixture
def integrity(catalogue: Catalogue):
    made = Integrity(catalogue)
    yield made
    made.close()


def until_hashed(integrity: Integrity, catalogue: Catalogue, path: Path, not_: str = "") -> str:
    """Step until the file has a hash other than ``not_``; what was said."""
    deadline = time.monotonic() + 30
    said = ""
    while time.monotonic() < deadline:
        said = integrity.step() or said
        recorded = catalogue.hash(str(path))
        if recorded is not None and recorded.sha256 != not_:
            return said
        time.sleep(0.02)
    raise AssertionError("no hash")


def touch(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))


def test_a_hash_is_recorded_once_and_a_changed_file_is_said(
    integrity: Integrity, catalogue: Catalogue, tmp_path: Path
) -> None:
    file = put(tmp_path / "m.gguf", 1000)
    assert integrity.check(file) == ""
    integrity.loaded(file)
    until_hashed(integrity, catalogue, file)
    recorded = catalogue.hash(str(file))
    assert recorded is not None
    assert recorded.sha256 == hashlib.sha256(b"G" * 1000).hexdigest()
    assert integrity.check(file) == ""

    file.write_bytes(b"X" + b"G" * 999)
    touch(file)
    assert "is being compared" in integrity.check(file)
    said = until_hashed(integrity, catalogue, file, not_=recorded.sha256)
    assert "has changed" in said


def test_another_size_needs_no_hashing_to_be_another_file(
    integrity: Integrity, catalogue: Catalogue, tmp_path: Path
) -> None:
    file = put(tmp_path / "m.gguf", 1000)
    integrity.loaded(file)
    until_hashed(integrity, catalogue, file)
    put(file, 4000)
    touch(file)
    assert "it had 1000 B and has 3.9 KiB" in integrity.check(file)


def test_the_same_bytes_with_another_time_are_the_same_file(
    integrity: Integrity, catalogue: Catalogue, tmp_path: Path
) -> None:
    file = put(tmp_path / "m.gguf", 1000)
    integrity.loaded(file)
    until_hashed(integrity, catalogue, file)
    touch(file)
    assert integrity.check(file)
    deadline = time.monotonic() + 30
    while integrity.check(file) and time.monotonic() < deadline:
        assert "has changed" not in integrity.step()
        time.sleep(0.02)
    assert integrity.check(file) == ""


def test_a_second_part_that_changed_is_said_too(integrity: Integrity, catalogue: Catalogue, tmp_path: Path) -> None:
    first = put(tmp_path / "m-00001-of-00002.gguf", 50)
    second = put(tmp_path / "m-00002-of-00002.gguf", 50)
    integrity.loaded(first)
    until_hashed(integrity, catalogue, second)
    put(second, 51)
    touch(second)
    assert "00002-of-00002" in integrity.check(first)


def test_a_cache_that_names_files_by_hash_is_believed(
    integrity: Integrity, catalogue: Catalogue, tmp_path: Path
) -> None:
    digest = hashlib.sha256(b"G" * 10).hexdigest()
    link = put_in_hub(tmp_path / "hub", "o/r", "0a", "m.gguf", digest)
    assert named_hash(link) == digest
    integrity.loaded(link)
    recorded = catalogue.hash(str(link))
    assert recorded is not None
    assert recorded.sha256 == digest


def test_nothing_is_hashed_while_an_answer_is_written(
    integrity: Integrity, catalogue: Catalogue, tmp_path: Path
) -> None:
    file = put(tmp_path / "m.gguf", 1000)
    integrity.is_quiet = False
    integrity.loaded(file)
    for _ in range(20):
        integrity.step()
        time.sleep(0.01)
    assert catalogue.hash(str(file)) is None
    integrity.is_quiet = True
    until_hashed(integrity, catalogue, file)
