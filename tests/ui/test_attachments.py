"""Files that go along with a question."""

import contextlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offtui.errors import UsageError
from offtui.ui.attachments import MAX_BYTES, Missing, expanded, missing, path_candidates, read, references


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main.py").write_text("print('hi')\n")
    (tmp_path / "my notes.md").write_text("# Notes\n\n```\ncode\n```")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "mod.c").write_text("int x;")
    (tmp_path / ".hidden").write_text("x")
    return tmp_path


def opened_files() -> list[str]:
    """Files, pipes and folders that this process has open, where the system tells."""
    names: list[str] = []
    for descriptor in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):  # the one that lists them is closed by now
            names.append(os.readlink(descriptor))
    return names


def test_only_names_of_what_is_there_are_references(folder: Path) -> None:
    text = "a@b.c @nobody @main.py, (@x) @src/mod.c. see @'my notes.md' and @\"my notes.md\" @my\\ notes.md"
    assert [text[found.start : found.end] for found in references(text)] == [
        "@main.py", "@src/mod.c", "@'my notes.md'", '@"my notes.md"', "@my\\ notes.md",
    ]  # fmt: skip


def test_the_text_of_each_file_stands_once_below_in_a_fence_it_cannot_close(folder: Path) -> None:
    assert expanded("no file @nobody") == "no file @nobody"
    assert expanded("Explain @main.py and @main.py") == (
        "Explain @main.py and @main.py\n\nmain.py:\n\n```py\nprint('hi')\n```"
    )
    assert expanded('@"my notes.md"').endswith("my notes.md:\n\n````md\n# Notes\n\n```\ncode\n```\n````")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x7fELF\0\0", "is not text"),
        (b"caf\xe9", "not UTF-8"),
        (b"half \xe5\xae", "not UTF-8"),
        (b"x" * (MAX_BYTES + 1), "at most"),
    ],
)
def test_what_is_no_text_or_too_long_is_refused(folder: Path, data: bytes, said: str) -> None:
    (folder / "odd").write_bytes(data)
    with pytest.raises(UsageError, match=said):
        expanded("@odd")


def test_folders_pipes_and_forbidden_files_are_refused_at_once(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    for name in ("pipe", "src"):
        with pytest.raises(UsageError, match="folder or a device"):
            expanded(f"@{name}")
    assert not [name for name in opened_files() if str(folder) in name], "nothing is left open"
    with pytest.raises(UsageError, match="cannot be read"):
        read(folder / "gone")


def test_what_a_file_holds_is_cleaned(folder: Path) -> None:
    (folder / "evil").write_bytes(b"\xef\xbb\xbfa\r\nb\x1b]52;c;eA==\x07\xe2\x80\xae\xc2\x9b31m")
    assert read(folder / "evil").text == "a\nb]52;c;eA==31m"


def test_paths_are_completed_folders_first_and_quoted_where_needed(folder: Path) -> None:
    assert path_candidates("see @") == (4, ["@src/", "@main.py", '@"my notes.md"'])
    assert path_candidates("see @m") == (4, ["@main.py", '@"my notes.md"'])
    assert path_candidates("see @src/m") == (4, ["@src/mod.c"])
    assert path_candidates("see @.h") == (4, ["@.hidden"])
    assert path_candidates('see @"my n') == (4, ['@"my notes.md"'])
    assert path_candidates("mail a@m") == (8, [])
    assert path_candidates("@nowhere/x") == (0, [])
    (folder / "bad\x1b[2J").write_text("x")
    assert path_candidates("@bad") == (0, [])


def test_a_path_that_is_not_there_is_told_from_mentions_decorators_packages_and_code(folder: Path) -> None:
    text = (
        "@mian.py, @src/gone and @/etc/nothing.conf? me@here.org @user @app.route('/') @pytest.fixture @types/node "
        "`@in.py`\n```\n@code.py\n```\n@main.py"
    )
    assert missing(text) == [
        Missing("mian.py", True, "main.py"),
        Missing("src/gone", True),
        Missing("/etc/nothing.conf", True),
        Missing("user", False),
        Missing("pytest.fixture", False),
        Missing("types/node", False),
    ]


@given(st.text(max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    missing(f"@{text}")
    for found in references(text):
        assert text[found.start] == "@"
    path_candidates(text)


def test_a_long_paste_of_code_and_mentions_does_not_hold_up_the_screen(folder: Path) -> None:
    text = "`code` @user said\n" * 50_000 + "@main.py and @nobody.py"
    began = time.process_time()
    there = references(text)
    found = missing(text, there)
    assert time.process_time() - began < 10  # a hang, not a benchmark
    assert [reference.path.name for reference in there] == ["main.py"]
    assert [(word.name, word.is_path) for word in found] == [("user", False), ("nobody.py", True)]
