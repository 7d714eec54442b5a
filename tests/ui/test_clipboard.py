"""The ladder of copying, with programs that are really run."""

import os
from pathlib import Path

import pytest

from offtui.ui import clipboard


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs, which is all of the PATH, and no desktop."""
    for name in ("TMUX", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    return programs


def program(folder: Path, name: str, code: str) -> Path:
    """A program that keeps what it gets beside itself."""
    file = folder / name
    file.write_text(f'#!/bin/sh\nexport PATH=/usr/bin:/bin\necho "$@" > {file}.args\ncat > {file}.got\n{code}\n')
    file.chmod(0o755)
    return file


def copied(text: str) -> tuple[str, list[str]]:
    sent: list[str] = []
    return clipboard.copy(text, sent.append), sent


def test_without_anything_else_the_terminal_and_a_file_have_it(desk: Path, tmp_path: Path) -> None:
    said, sent = copied("a layer é")
    file = tmp_path / "state" / "offtui" / "copied.txt"
    assert said == f"copied to the terminal's clipboard (OSC 52) and {file}"
    assert sent == ["a layer é"]
    assert file.read_text(encoding="utf-8") == "a layer é"


def test_tmux_comes_first(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMUX", "/tmp/tmux,1,0")
    tmux = program(desk, "tmux", "exit 0")
    said, sent = copied("text")
    assert said.startswith("copied to tmux's buffer and clipboard and ")
    assert sent == []
    assert Path(f"{tmux}.args").read_text().split() == ["load-buffer", "-w", "-"]
    assert Path(f"{tmux}.got").read_text() == "text"


@pytest.mark.parametrize("code", ["exit 1", "sleep 9"])
def test_a_tmux_that_fails_or_hangs_is_passed_over(desk: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setenv("TMUX", "/tmp/tmux,1,0")
    monkeypatch.setattr(clipboard, "SECONDS", 0.5)
    program(desk, "tmux", code)
    said, sent = copied("text")
    assert "OSC 52" in said
    assert sent == ["text"]


@pytest.mark.parametrize(
    ("variable", "name"), [("WAYLAND_DISPLAY", "wl-copy"), ("DISPLAY", "xclip"), ("DISPLAY", "xsel")]
)
def test_a_desktop_is_used_where_we_sit_at_it(
    desk: Path, monkeypatch: pytest.MonkeyPatch, variable: str, name: str
) -> None:
    monkeypatch.setenv(variable, ":0")
    tool = program(desk, name, "sleep 5 &")  # xclip stays, to serve what was copied
    said, sent = copied("text")
    assert said.startswith(f"copied to the clipboard ({name}) and ")
    assert sent == []
    assert Path(f"{tool}.got").read_text() == "text"
    monkeypatch.setenv("SSH_CONNECTION", "1 2 3 4")
    assert copied("text")[1] == ["text"], "over SSH the desktop is another machine's"


def test_what_is_too_long_for_a_terminal_is_only_written(desk: Path) -> None:
    said, sent = copied("x" * 100_000)
    assert sent == []
    assert "OSC 52" not in said
    assert "copied.txt" in said


def test_where_nothing_works_that_is_said(desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_STATE_HOME", str(blocked))
    assert copied("x" * 100_000)[0].startswith("nothing could be copied")
    assert os.listdir(desk) == []
