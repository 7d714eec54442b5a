from pathlib import Path

import pytest

from offtui.ui.screens.folder import folder_of


def test_a_folder_that_is_or_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert folder_of("~/a/b ") == (str(tmp_path / "a/b"), "")
    assert folder_of("sub") == (str(tmp_path / "sub"), "")
    assert list(tmp_path.iterdir()) == [], "nothing is made by asking"


@pytest.mark.parametrize("text", ["", "  ", "file", "file/below", "\0", "x" * 5000, "~nobody-is-called-so/models"])
def test_what_can_be_no_folder(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    folder, trouble = folder_of(text)
    assert folder == ""
    assert trouble
