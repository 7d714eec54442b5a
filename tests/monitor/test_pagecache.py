import mmap
import os
import sys
from pathlib import Path

import pytest

from offtui.monitor import pagecache
from offtui.monitor.pagecache import PageCache, parts_of, resident_bytes

MIB = 2**20
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Eight MiB that are on the disk."""
    path = tmp_path / "model.gguf"
    with path.open("wb") as out:
        out.write(os.urandom(8 * MIB))
        os.fsync(out.fileno())
    return path


@linux
def test_what_was_written_is_there_and_what_was_dropped_is_not(file: Path) -> None:
    assert resident_bytes([file]) == 8 * MIB
    with file.open("rb") as opened:
        os.posix_fadvise(opened.fileno(), 0, 4 * MIB, os.POSIX_FADV_DONTNEED)
    left = resident_bytes([file])
    assert left is not None
    if left == 8 * MIB:
        pytest.skip("this file system keeps its pages")
    assert left == pytest.approx(4 * MIB, abs=MIB)


@linux
def test_both_ways_of_asking_agree(file: Path) -> None:
    with file.open("rb") as opened:
        counted = pagecache._cachestat(opened.fileno())
        paged = pagecache._mincore(opened.fileno(), 8 * MIB)
    assert paged == 8 * MIB
    assert counted in (None, paged)


@linux
def test_an_odd_size_is_not_counted_beyond_its_end(tmp_path: Path) -> None:
    path = tmp_path / "odd"
    path.write_bytes(b"x" * (mmap.PAGESIZE + 1))
    assert resident_bytes([path]) == mmap.PAGESIZE + 1
    (tmp_path / "empty").write_bytes(b"")
    assert resident_bytes([tmp_path / "empty"]) == 0


def test_of_a_file_that_is_not_there_nothing_is_known(tmp_path: Path, file: Path) -> None:
    assert resident_bytes([tmp_path / "none"]) is None
    assert resident_bytes([file, tmp_path / "none"]) is None


def test_a_model_in_parts_is_all_of_them() -> None:
    assert parts_of("/m/a-00001-of-00003.gguf") == [Path(f"/m/a-0000{part}-of-00003.gguf") for part in (1, 2, 3)]
    assert parts_of("/m/a.gguf") == [Path("/m/a.gguf")]


@linux
def test_it_is_looked_at_now_and_then_and_at_once_for_another_file(file: Path) -> None:
    now, model = [0.0], [str(file)]
    reader = PageCache(lambda: model[0], clock=lambda: now[0])
    assert reader.read().cached == 8 * MIB
    file.write_bytes(b"x" * MIB)
    now[0] = pagecache.PERIOD - 0.1
    assert reader.read().cached == 8 * MIB
    now[0] = pagecache.PERIOD
    assert reader.read().cached == MIB
    model[0] = str(file.parent / "another")
    assert reader.read().cached is None
