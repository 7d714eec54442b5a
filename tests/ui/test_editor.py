"""The user's own editor, really run."""

from pathlib import Path

import pytest

from offtui.errors import UsageError
from offtui.ui import editor


def program(folder: Path, code: str) -> Path:
    file = folder / "ed it"
    file.write_text(f"#!/bin/sh\n{code}\n")
    file.chmod(0o755)
    return file


def test_what_is_saved_comes_back_cleaned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = program(
        tmp_path,
        "for last; do :; done\n"
        'printf "%s\\r\\nmore\\033[2J\\n\\n" "$(cat "$last")" > "$last.new"; mv "$last.new" "$last"',
    )
    monkeypatch.setenv("VISUAL", f'"{file}" --wait')
    monkeypatch.setenv("EDITOR", "nosuch")
    assert editor.edit(editor.command(), "begun") == "begun\nmore[2J"


def test_an_editor_that_fails_leaves_the_text_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", str(program(tmp_path, "exit 3")).replace(" ", "\\ "))
    with pytest.raises(UsageError, match="ended with 3"):
        editor.edit(editor.command(), "text")
    monkeypatch.setenv("EDITOR", str(program(tmp_path, 'printf "\\377" > "$1"')).replace(" ", "\\ "))
    with pytest.raises(UsageError, match="UTF-8"):
        editor.edit(editor.command(), "text")


@pytest.mark.parametrize("words", ["no-such-editor --wait", 'vim "unclosed'])
def test_an_editor_that_cannot_be_run_is_said(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", words)
    with pytest.raises(UsageError, match="EDITOR"):
        editor.command()


def test_without_any_editor_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="EDITOR"):
        editor.command()
