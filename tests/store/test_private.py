"""What is kept is for nobody else to read, whatever the umask; what was there before stays as it is."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from offtui.protocol.spec import LoadSpec
from offtui.store.catalogue import Catalogue
from offtui.store.chats.opening import open_chats
from offtui.store.manners import Manner, Manners
from offtui.store.measurements import Store
from offtui.store.remembered import LoadTime, Remembered


def keep_chats(file: Path) -> None:
    connection = open_chats(file).connection
    assert connection is not None
    connection.execute("INSERT INTO remembered VALUES ('draft', 'x')")
    assert_private(file.with_name(f"{file.name}-wal"))
    connection.close()


def keep_manners(file: Path) -> None:
    manners = Manners(file)
    manners.keep_preset("brief", Manner(system_prompt="be brief"))
    manners.keep_preset("long", Manner(system_prompt="be long"))
    assert manners.notice == ""


def keep_loads(file: Path) -> None:
    model = file.with_name("model.gguf")
    model.write_bytes(b"x")
    spec = LoadSpec(model=str(model))
    Remembered(file).keep(spec, spec, LoadTime(1, 2, 3.0))


def assert_private(path: Path) -> None:
    assert oct(path.stat().st_mode & 0o077) == "0o0", path


@pytest.fixture(autouse=True)
def umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize(
    "keep",
    [keep_chats, keep_manners, lambda file: Store(file).close(), lambda file: Catalogue(file).close()],
    ids=["chats", "manners", "measurements", "models"],
)
def test_folder_and_file_are_the_users_alone(tmp_path: Path, keep: Callable[[Path], None]) -> None:
    file = tmp_path / "share" / "offtui" / "kept"
    keep(file)
    assert_private(file.parent)
    assert_private(file)


@pytest.mark.parametrize("keep", [keep_chats, keep_manners, keep_loads], ids=["chats", "manners", "loads"])
def test_a_folder_that_was_there_keeps_its_mode_and_the_file_is_private(
    tmp_path: Path, keep: Callable[[Path], None]
) -> None:
    folder = tmp_path / "given"
    folder.mkdir(mode=0o755)
    keep(folder / "kept")
    assert folder.stat().st_mode & 0o777 == 0o755
    assert_private(folder / "kept")
