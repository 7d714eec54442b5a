"""The store: what goes in comes out, for two processes at once, and whatever has happened to its file."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from offtui.gguf.header import Header
from offtui.store.database import VERSION
from offtui.store.measurements import Circumstances, FileId, Point, Residual, Spent, Store
from tests.fakes import gguf_shapes as shapes

FILE = FileId("/m/model.gguf", 5000, 7)
OF = Circumstances(FILE, "llama", "Q4_K_M", "CUDA0 A Card 8", "threads 3", 8192, 12)


def point(layers: int = 12, tps: float = 9.5, time: float = 1.0) -> Point:
    return Point(layers, 300, 64, tps, 120.0, time)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "measurements.db"


def header_file(path: Path) -> Header:
    path.write_bytes(b"x" * 100)
    header = shapes.header_of(shapes.bench_tiny(), str(path))
    return msgspec.structs.replace(header, file_bytes=100)


def test_points_residuals_and_constants_come_back_after_a_restart(file: Path) -> None:
    store = Store(file)
    store.add_point(OF, point(tps=9.0, time=1.0))
    store.add_point(OF, point(tps=10.0, time=2.0))
    store.add_residuals(OF, [Residual("CUDA0", "compute", 100, 130), Residual("CPU", "kv", 5, 5)])
    store.set_constant("CUDA0", "context", 350.0)
    store.set_constant("CUDA0", "context", 340.0)
    store.close()
    again = Store(file)
    assert [entry.tps for entry in again.points(FILE, OF.devices, OF.settings)] == [9.0, 10.0]
    assert again.residuals(OF.devices) == (Residual("CUDA0", "compute", 100, 130), Residual("CPU", "kv", 5, 5))
    assert again.constant("CUDA0", "context") == 340.0
    assert again.constant("CUDA1", "context") is None
    assert again.notices == ()
    again.close()


def test_joules_come_back_after_a_restart_also_in_a_file_that_had_no_place_for_them(file: Path) -> None:
    Store(file).close()
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE energies")
    connection.close()
    first = Store(file)
    assert first.spent(FILE, OF.devices, OF.settings) == ()
    spent = [Spent(12, 64, 130.5, 1.0), Spent(4, 30, 90.0, 2.0)]
    for answer in spent:
        first.add_spent(OF, answer)
    first.close()
    again = Store(file)
    assert again.spent(FILE, OF.devices, OF.settings) == tuple(spent)
    assert again.spent(FILE, OF.devices, "threads 1") == ()
    assert again.spent(msgspec.structs.replace(FILE, size=1), OF.devices, OF.settings) == ()
    assert again.notices == ()
    again.close()


@pytest.mark.parametrize(
    ("of", "devices", "settings"),
    [
        (msgspec.structs.replace(FILE, size=5001), OF.devices, OF.settings),
        (msgspec.structs.replace(FILE, mtime_ns=8), OF.devices, OF.settings),
        (msgspec.structs.replace(FILE, path="/m/other.gguf"), OF.devices, OF.settings),
        (FILE, "CUDA0 Another 8", OF.settings),
        (FILE, OF.devices, "threads 1"),
    ],
)
def test_another_file_device_or_setting_has_other_points(file: Path, of: FileId, devices: str, settings: str) -> None:
    store = Store(file)
    store.add_point(OF, point())
    assert store.points(of, devices, settings) == ()
    store.close()


def test_a_header_is_known_until_its_file_changes(file: Path, tmp_path: Path) -> None:
    store = Store(file)
    path = tmp_path / "m.gguf"
    header = header_file(path)
    assert store.header(str(path)) is None
    store.keep_header(header)
    assert store.header(str(path)) == header
    os.utime(path, ns=(1, 1))
    assert store.header(str(path)) is None
    store.keep_header(header)
    path.write_bytes(b"y" * 101)
    os.utime(path, ns=(1, 1))
    assert store.header(str(path)) is None
    path.unlink()
    assert store.header(str(path)) is None
    store.close()


def test_a_header_is_forgotten_when_another_part_of_the_model_changes(file: Path, tmp_path: Path) -> None:
    store = Store(file)
    first, second = tmp_path / "m-00001-of-00002.gguf", tmp_path / "m-00002-of-00002.gguf"
    second.write_bytes(b"z" * 50)
    header = msgspec.structs.replace(header_file(first), parts=(str(first), str(second)), file_bytes=150)
    store.keep_header(header)
    assert store.header(str(first)) == header
    second.write_bytes(b"z" * 49)
    assert store.header(str(first)) is None
    store.close()


def test_a_name_that_is_no_text_is_a_name(file: Path, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"m\xff.gguf")
    path.write_bytes(b"x")
    found = FileId.of(str(path))
    assert found is not None
    store = Store(file)
    of = msgspec.structs.replace(OF, file=found)
    store.add_point(of, point())
    store.keep_header(msgspec.structs.replace(header_file(path), path=str(path)))
    assert len(store.points(found, OF.devices, OF.settings)) == 1
    assert store.notices == ()
    store.close()


def test_only_so_many_headers_are_kept(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offtui.store.measurements.MAX_HEADERS", 2)
    ticks = iter(range(100))
    store = Store(file, clock=lambda: float(next(ticks)))
    names = [tmp_path / f"{name}.gguf" for name in "abc"]
    headers = [header_file(path) for path in names]
    store.keep_header(headers[0])
    store.keep_header(headers[1])
    assert store.header(str(names[0])) is not None  # used again: b is now the oldest
    store.keep_header(headers[2])
    assert [store.header(str(path)) is not None for path in names] == [True, False, True]
    store.close()


def test_of_what_is_measured_only_the_newest_is_kept_and_that_by_circumstances(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offtui.store.measurements.MAX_POINTS", 3)
    ticks = iter(range(100))
    store = Store(file, clock=lambda: float(next(ticks)))
    elsewhere = msgspec.structs.replace(OF, devices="CUDA0 Another 8")
    other_file = msgspec.structs.replace(OF, file=msgspec.structs.replace(FILE, size=1))
    for number in (1, 5, 2, 4, 3):
        for of in (OF, elsewhere, other_file):
            store.add_point(of, point(tps=float(number), time=float(number)))
            store.add_spent(of, Spent(12, 64, float(number), float(number)))
        for of in (OF, elsewhere):
            store.add_residuals(of, [Residual("CUDA0", "compute", number, 1), Residual("CPU", "kv", number, 1)])
    for of in (OF, elsewhere, other_file):
        assert [entry.tps for entry in store.points(of.file, of.devices, of.settings)] == [3.0, 4.0, 5.0]
        assert [entry.joules for entry in store.spent(of.file, of.devices, of.settings)] == [3.0, 4.0, 5.0]
    for of in (OF, elsewhere):
        assert [(entry.purpose, entry.planned) for entry in store.residuals(of.devices)] == [
            ("kv", 4), ("compute", 3), ("kv", 3),
        ]  # fmt: skip
    assert store.notices == ()
    store.close()
    with sqlite3.connect(file) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("points", "energies", "residuals")
        ]
    connection.close()
    assert counts == [9, 9, 6]


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_file_is_kept_aside_and_said(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    store = Store(file)
    store.add_point(OF, point())
    assert len(store.points(FILE, OF.devices, OF.settings)) == 1
    assert len(store.notices) == 1
    assert "damaged" in store.notices[0]
    (aside,) = file.parent.glob("*.damaged-*")
    assert aside.read_bytes() == content
    store.close()


def test_a_file_that_is_damaged_while_it_is_open_is_replaced(file: Path) -> None:
    store = Store(file)
    for _ in range(200):
        store.add_point(OF, point())
    store.close()
    store = Store(file)
    other = Store(file)
    other.add_point(OF, point())  # what the first has read before is no longer the newest
    other.close()
    data = bytearray(file.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    file.write_bytes(data)
    store.add_point(OF, point())
    assert len(store.points(FILE, OF.devices, OF.settings)) == 1
    assert any("damaged" in notice for notice in store.notices)
    store.close()


def test_a_file_is_read_through_once_in_a_process_and_again_where_it_is_another(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    connect = sqlite3.connect

    def traced(*args, **named) -> sqlite3.Connection:
        connection = connect(*args, **named)
        connection.set_trace_callback(done.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)

    def checks() -> int:
        return sum("quick_check" in statement for statement in done)

    Store(file).close()
    assert checks() == 1
    for _ in range(3):
        Store(file).close()
    assert checks() == 1
    other = file.with_name("other")
    shutil.copy(file, other)
    other.replace(file)
    Store(file).close()
    assert checks() == 2
    file.write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    store = Store(file)
    assert "damaged" in store.notices[0]
    store.close()
    assert checks() == 3


def test_of_two_that_meet_the_damage_only_the_first_sets_the_file_aside(file: Path) -> None:
    store = Store(file)
    for _ in range(200):
        store.add_point(OF, point())
    store.close()
    first, second, other = Store(file), Store(file), Store(file)
    other.add_point(OF, point())  # what the others have read before is no longer the newest
    other.close()
    data = bytearray(file.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    file.write_bytes(data)
    for tps, store in enumerate((first, second), 1):
        store.add_point(OF, point(tps=float(tps), time=float(tps)))
    for store in (first, second):
        assert [entry.tps for entry in store.points(FILE, OF.devices, OF.settings)] == [1.0, 2.0]
    assert (len(first.notices), second.notices) == (1, ())
    first.close()
    second.close()
    (aside,) = file.parent.glob("*.damaged-*[0-9]")
    assert aside.read_bytes() == bytes(data)


def test_a_file_of_a_newer_offtui_is_left_alone(file: Path) -> None:
    Store(file).close()
    with sqlite3.connect(file) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    store = Store(file)
    assert "version" in store.notices[0]
    store.add_point(OF, point())
    assert len(store.points(FILE, OF.devices, OF.settings)) == 1
    store.close()
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM points").fetchone() == (0,)
    connection.close()


def test_a_folder_that_cannot_be_made_costs_one_sentence(tmp_path: Path) -> None:
    blocker = tmp_path / "blocker"
    blocker.write_text("a file where the folder should be")
    store = Store(blocker / "measurements.db")
    store.add_point(OF, point())
    assert len(store.points(FILE, OF.devices, OF.settings)) == 1
    assert len(store.notices) == 1
    store.close()


_READ_ONLY = """
import os, sys
from pathlib import Path
from offtui.store.measurements import Store
from tests.store.test_measurements import FILE, OF, point
if os.getuid() == 0:
    os.setuid(65534)
store = Store(Path(sys.argv[1]))
assert len(store.points(FILE, OF.devices, OF.settings)) == 1, store.notices
store.add_point(OF, point())
assert len(store.points(FILE, OF.devices, OF.settings)) == 2, store.notices
assert len(store.notices) == 1 and "cannot be written" in store.notices[0], store.notices
"""


def test_a_file_that_cannot_be_written_is_read(file: Path) -> None:
    store = Store(file)
    store.add_point(OF, point())
    store.close()
    for each in file.parent.iterdir():
        each.chmod(0o444)
    opened = [folder for folder in file.parents if folder.stat().st_mode & 0o005 != 0o005 and folder.owner() != "root"]
    opened += [folder for folder in file.parents if str(folder).startswith("/tmp/")]
    for folder in opened:
        folder.chmod(0o755)
    file.parent.chmod(0o555)
    run = subprocess.run([sys.executable, "-c", _READ_ONLY, str(file)], capture_output=True, text=True)
    file.parent.chmod(0o755)
    assert run.returncode == 0, run.stderr


def test_a_lock_that_is_held_drops_a_write_and_says_so(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offtui.store.database.PATIENCE", 0.05)
    store = Store(file)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store.add_point(OF, point())
    assert "locked" in store.notices[0]
    other.execute("ROLLBACK")
    other.close()
    store.add_point(OF, point())
    assert len(store.points(FILE, OF.devices, OF.settings)) == 1
    store.close()


_WRITER = """
import sys
from pathlib import Path
from offtui.store.measurements import Store
from tests.store.test_measurements import OF, point
store = Store(Path(sys.argv[1]))
for n in range(100):
    store.add_point(OF, point(layers=int(sys.argv[2]), time=float(n)))
    store.set_constant("CUDA0", "context", n)
assert store.notices == (), store.notices
store.close()
"""


def test_two_offtuis_write_at_once(file: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(file), str(number)]) for number in (1, 2)]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    store = Store(file)
    found = store.points(FILE, OF.devices, OF.settings)
    assert sorted(entry.n_gpu_layers for entry in found) == [12] * 200
    assert store.constant("CUDA0", "context") == 99
    store.close()
